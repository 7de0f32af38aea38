/** Health checks of the catalog: who is asked, what is logged, when an operator hears of it. */
import { expect, test } from "bun:test";
import { checkCatalog } from "#app/catalogHealth.ts";
import { fail } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { createFileCatalog } from "#catalog/file.ts";
import type { LogEntry } from "#txlog/log.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";

const TABLE = { namespace: ["db"], table: "t" };

async function checks(answers: readonly (string | null)[]) {
  const entries: LogEntry[] = [];
  const lines: string[] = [];
  const stop = new AbortController();
  let asked = 0;
  const storage = createMemoryStorage();
  const clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: async () => {
      if (asked >= answers.length) stop.abort();
    },
    turn: () => Promise.resolve(),
  };
  const logger: Logger = {
    log: (level, text) => lines.push(`${level}: ${text}`),
    with: () => logger,
  };
  const catalog = createFileCatalog(
    { warehouse: "/wh", readOnly: true },
    { storage, clock, log: logger },
  );
  catalog.load = async () => {
    const answer = answers[asked++] ?? null;
    if (answer !== null) throw fail("catalog_unreachable", answer);
    return null;
  };
  const append = async (entry: LogEntry): Promise<void> => void entries.push(entry);
  const txlog = { recovered: [], append, close: async () => undefined };
  await checkCatalog({ catalog, txlog, clock, logger }, TABLE, 60_000, stop.signal);
  return { entries, lines };
}

test("each check is logged with its answer, each failure with its reason", async () => {
  const { entries } = await checks([null, "connection refused", null]);
  const healthy = (is: boolean) => ({
    type: "CatalogHealthCheck",
    catalog_type: "file",
    is_healthy: is,
    response_time_ms: 0,
  });
  expect(entries).toEqual([
    healthy(true),
    healthy(false),
    {
      type: "CatalogError",
      catalog_type: "file",
      error_message: "connection refused",
      retry_count: 1,
    },
    healthy(true),
  ] as LogEntry[]);
});

test("three failures in a row make an error line, and again every three", async () => {
  const count = async (answers: (string | null)[]): Promise<number> =>
    (await checks(answers)).lines.filter((line) => line.startsWith("error: ")).length;
  expect(await count(["x", "x"])).toBe(0);
  expect(await count(["x", "x", null, "x", "x"])).toBe(0);
  expect(await count(["x", "x", "x"])).toBe(1);
  expect(await count(Array.from({ length: 7 }, () => "x"))).toBe(2);
});

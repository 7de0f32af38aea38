/** What becomes of an SQL engine that could not be opened. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import type { Question } from "#sql/answer.ts";
import { EngineProcess } from "#sql/engineProcess.ts";
import type { EngineOptions } from "#sql/protocol.ts";
import { SqlService } from "#sql/service.ts";

const SOURCES = {
  useTable: () => Promise.reject(new Error("unasked")),
  tableNames: () => [],
  syncPoints: async () => [],
  logFolder: "/nowhere",
};
const QUESTION: Question = {
  ...{ sql: "SELECT 1", parameters: [], rowsMax: 10, bytesMax: 1000 },
  ...{ form: "text", snapshot: { kind: "current" } },
};

/** No limit of a process is half a byte: the child cannot bind itself. */
function optionsOf(): EngineOptions & { processBytesMax: number } {
  return { cacheFolder: null, memoryBytesMax: 64e6, processBytesMax: 0.5 };
}

test("a child that cannot bind itself says so, and ends", async () => {
  const replies: unknown[] = [];
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../../../src/sql/child.ts")], {
    stdio: ["ignore", "ignore", "ignore"],
    serialization: "advanced",
    ipc: (reply) => replies.push(reply),
  });
  child.send({ id: 1, type: "open", options: optionsOf() });
  expect(await child.exited).toBe(1);
  expect(replies).toEqual([
    {
      id: 1,
      error: {
        kind: "query_engine",
        message: expect.stringContaining("bind itself"),
        isLast: true,
      },
    },
  ]);
});

test("an engine that cannot be opened is ended with the child's reason", async () => {
  const engine = new EngineProcess(optionsOf());
  expect(await engine.opened.catch(String)).toContain("bind itself");
  expect(engine.isEnded).toBe(true);
});

test("the question after one whose engine could not be opened gets another engine", async () => {
  const options = optionsOf();
  const service = new SqlService(systemClock, options, { root: "/nowhere", bytesMax: 0 });
  const { signal } = new AbortController();
  const ask = () => service.ask(QUESTION, SOURCES, signal).then(({ answer }) => answer, String);
  expect(await ask()).toContain("bind itself");
  options.processBytesMax = 768e6;
  expect(await ask()).toEqual([new Uint8Array(Buffer.from("1\n1\n"))]);
  await service.close();
});

test("a statement that ends DuckDB's database is told why, and the next one gets another engine", async () => {
  const options = { ...optionsOf(), memoryBytesMax: 256e6, processBytesMax: 768e6 };
  const service = new SqlService(systemClock, options, { root: "/nowhere", bytesMax: 0 });
  const { signal } = new AbortController();
  const ask = (sql: string) =>
    service.ask({ ...QUESTION, sql }, SOURCES, signal).then(({ answer }) => answer, String);
  // Two billion places are allocated within one call.
  const greedy = "SELECT reservoir_quantile(1, [0.5], 2147483647)";
  expect(await ask(greedy)).toContain("Out of Memory Error: a part");
  expect(await ask("SELECT 1")).toEqual([new Uint8Array(Buffer.from("1\n1\n"))]);
  await service.close();
});

test("only a run is answered by pieces: null stays null", async () => {
  const engine = new EngineProcess({ ...optionsOf(), processBytesMax: 768e6 });
  expect(await engine.opened).toBeNull();
  const admitted = await engine.admit("SELECT repeat('x', 3000000) AS long");
  const rest = { views: [], hot: [], parameters: [], rowsMax: 1, bytesMax: 4e6 };
  const pieces = await engine.run({ admitted, ...rest, form: "text" });
  expect(Buffer.concat(pieces).toString()).toBe(`long\n${"x".repeat(3e6)}\n`);
  expect(pieces.length).toBeGreaterThan(1);
  await engine.end();
});

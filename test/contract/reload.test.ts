/** SIGHUP: the whole program, before a broker in memory, while records come. */
import { afterEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../scripts/services/process.ts";
import { startProduct } from "../../scripts/services/product.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { tablesIn } from "../support/program.ts";

interface Status {
  readonly pipelines: readonly { readonly tables: readonly { readonly rowsCommitted: number }[] }[];
}

let broker: FakeKafka;
afterEach(() => broker.stop());

test("what may change changes at once, the rest is named, a broken file changes nothing, and no row is lost or doubled", async () => {
  broker = new FakeKafka();
  broker.topic("e");
  let end = 0;
  const more = (count: number): void => {
    const records = Array.from({ length: count }, (_, n) => ({ value: `{"n":${end + n}}` }));
    broker.append("e", 0, buildBatch({ baseOffset: end, records, leaderEpoch: 0 }));
    end += count;
  };
  more(20);
  const product = await startProduct({
    config: {
      kafka: { bootstrap_servers: broker.address, topic: "e" },
      iceberg: { warehouse_path: "wh" },
      "iceberg.commit": { interval_ms: 3_600_000 },
      logging: { level: "info", format: "json" },
    },
  });
  const file = join(product.folder, "config.toml");
  const first = readFileSync(file, "utf8");
  const rows = async (): Promise<number> => {
    const { pipelines } = (await product.status()) as Status;
    return pipelines[0]?.tables[0]?.rowsCommitted ?? 0;
  };
  const lines = (message: string): readonly Record<string, unknown>[] =>
    product.logLines().filter((line) => line.message?.startsWith(message));
  const reload = async (text: string, message: string): Promise<void> => {
    const before = lines(message).length;
    writeFileSync(file, text);
    product.signal("SIGHUP");
    await until(message, () => lines(message).length > before, 30_000);
  };
  await product.ready(60_000);
  await until("the first rows", async () => (await rows()) === 20, 60_000);

  const next = first
    .replace("interval_ms = 3600000", "interval_ms = 3600000\nmax_rows = 10")
    .replace('"info"', '"debug"')
    .replace("[server]", "[server]\nquery_enabled = false");
  await reload(next, "Configuration read again");
  expect(lines("Configuration read again")[0]?.["changed"]).toEqual([
    ...["logging.level", "iceberg.commit.max_rows"],
  ]);
  const named = "These keys have changed, and count from the next start on: server.query_enabled";
  await until(named, () => lines(named).length === 1, 30_000);
  more(20);
  await until("rows by their number", async () => (await rows()) === 40, 60_000);

  const wrong = "The configuration is wrong, and nothing of it was taken over: ";
  await reload(next.replace("max_rows = 10", "max_rows = -1"), wrong);
  const refused = String(lines(wrong)[0]?.["message"]);
  expect(refused).toContain("config.toml:");
  expect(refused).toContain("iceberg.commit.max_rows");
  for (let round = 0; round < 6; round++) {
    more(7);
    const text = next.replace("max_rows = 10", `max_rows = ${5 + round}`);
    await reload(text, "Configuration read again");
  }
  more(20);
  await until("all rows", async () => (await rows()) > 40 + 42, 60_000);
  expect(await product.terminate()).toBe(0);
  expect(tablesIn(join(product.folder, "wh"))["default.e"]?.rows).toBe(end);
}, 180_000);

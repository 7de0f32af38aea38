/**
 * Records that cannot be rows, among records that can, through the whole product: what is in the
 * table, what the log and the metrics say, and what `fail` leaves behind.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { produceValues, type RecordBytes } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder, until } from "../../scripts/services/process.ts";
import { type Config, type Product, startProduct } from "../../scripts/services/product.ts";
import { BAD, FIELDS, good, produceBomb, produceMixed } from "../support/badRecords.ts";
import { fileTable, runUntilEnd, tableFolder } from "../support/binary.ts";
import { readColumns } from "../support/tableReaders.ts";

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka();
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

function configOf(topic: string, folder: string, more: Config): Config {
  const { bootstrap } = broker;
  return fileTable({ bootstrap, topic, warehouse: join(folder, "warehouse"), config: more });
}

async function numbers(folder: string, topic: string): Promise<number[]> {
  const table = { folder: tableFolder(join(folder, "warehouse"), topic) };
  const { readers } = await readColumns({ table, columns: ["n"] });
  const [duckdb, pyiceberg] = ["duckdb", "pyiceberg"].map((reader) => {
    const found = readers[reader]?.["n"];
    if (!Array.isArray(found)) throw new Error(`not read: ${JSON.stringify(found)}`);
    return found.map(Number).sort((a, b) => a - b);
  });
  expect(duckdb).toEqual(pyiceberg ?? []);
  return duckdb ?? [];
}

/** Waits until the product has consumed and committed what the topic holds. */
async function metricsAtEnd(product: Product, rows: number): Promise<string> {
  let text = "";
  await until(
    `${rows} rows written`,
    async () => {
      text = await product.metrics();
      return counted(text, "iceberg_rows_written_total") === rows;
    },
    60_000,
    200,
  );
  return text;
}

/** Sum of a metric's samples whose labels contain `label`. */
function counted(metrics: string, name: string, label = ""): number {
  return metrics
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

describe('dead_letter.action = "skip"', () => {
  test("commits every good record, names each bad one, and counts them by reason", async () => {
    const topic = "skipped";
    await produceMixed(broker.bootstrap, topic);
    const folder = await temporaryFolder("skip");
    const config = configOf(topic, folder, {
      schema: FIELDS,
      dead_letter: { action: "skip" },
      "iceberg.commit": { interval_ms: 500 },
    });
    const product = await startProduct({ folder, config });
    await product.ready();
    const rows = BAD.length + 1 + 100;
    const metrics = await metricsAtEnd(product, rows);
    expect(await product.terminate()).toBe(0);

    const expected = [...BAD.keys(), 99, ...Array.from({ length: 100 }, (_, at) => 1000 + at)];
    expect(await numbers(folder, topic)).toEqual(expected);
    for (const reason of new Set(BAD.map(([each]) => each))) {
      const wanted = BAD.filter(([each]) => each === reason).length;
      const label = `reason="${reason}"`;
      expect([reason, counted(metrics, "dead_letter_records_total", label)]).toEqual([
        reason,
        wanted,
      ]);
    }
    expect(counted(metrics, "kafka_messages_consumed_total")).toBe(rows + BAD.length);
    // A line names all offsets of one cause in one record batch.
    const named = product
      .logLines()
      .filter(({ message }) => message?.startsWith("Skipped at skipped/0 offset "))
      .flatMap((line) =>
        String(line["kafka_offset_range"])
          .split(", ")
          .map((offset) => [Number(offset), line["reason"]] as const),
      );
    expect(named.sort(([a], [b]) => a - b)).toEqual(
      BAD.map(([reason], at) => [at * 2 + 1, reason]),
    );
  }, 120_000);

  test("goes on behind a batch that unpacks to more than its bound, and names it", async () => {
    const { bootstrap } = broker;
    const topic = "bombed";
    await createTopic(bootstrap, { topic, partitions: 1 });
    await produceValues({ bootstrap, topic }, [good(1, 0), good(2, 0)]);
    await produceBomb(broker.bootstrap, topic);
    await produceValues({ bootstrap, topic }, [good(3, 0)]);
    const folder = await temporaryFolder("bomb");
    const config = configOf(topic, folder, {
      schema: FIELDS,
      dead_letter: { action: "skip" },
    });
    const { product, exitCode } = await runUntilEnd({ folder, config });
    expect([exitCode, product.log().slice(-2000)]).toEqual([0, expect.any(String)]);
    expect(await numbers(folder, topic)).toEqual([1, 2, 3]);
    const line = product.logLines().find(({ message }) => message?.includes("batch skipped"));
    expect(line?.message).toContain("bombed partition 0 offset 2");
    expect(line?.message).toContain("max_decompressed_batch_mb");
    expect(product.usage().peakBytes).toBeLessThan(600 * 1024 * 1024);
  }, 120_000);
});

describe('dead_letter.action = "fail"', () => {
  test.each(
    BAD.map(([reason, value], at) => [reason, at, value] as const).filter(firstOfItsReason),
  )(
    "stops with exit code 4 and one sentence: %s",
    async (reason, _, value) => {
      const { bootstrap } = broker;
      const topic = `failed-${reason}`;
      await createTopic(bootstrap, { topic, partitions: 1 });
      const folder = await temporaryFolder("fail");
      const dead_letter = { action: "fail" };
      const config = configOf(topic, folder, { schema: FIELDS, dead_letter });
      const options = { folder, config };
      await produceValues({ bootstrap, topic }, [good(0, 0), good(1, 0)]);
      expect((await runUntilEnd(options)).exitCode).toBe(0);
      await produceValues({ bootstrap, topic }, [good(2, 0), { partition: 0, value }, good(4, 0)]);

      const { product, exitCode } = await runUntilEnd(options);
      expect(exitCode).toBe(4);
      const errors = product.logLines().filter(({ level }) => level === "error");
      expect(errors.map(({ message }) => message)).toEqual([
        expect.stringContaining(`Record ${topic}/0 offset 3 cannot be written`),
      ]);
      // What was committed stays; what came before the bad record is there or still in the topic.
      expect((await numbers(folder, topic)).slice(0, 2)).toEqual([0, 1]);

      const skipping = configOf(topic, folder, { schema: FIELDS, dead_letter: { action: "skip" } });
      expect((await runUntilEnd({ folder, config: skipping })).exitCode).toBe(0);
      expect(await numbers(folder, topic)).toEqual([0, 1, 2, 4]);
    },
    120_000,
  );

  test("stops at a batch that unpacks to more than its bound, by partition and offset", async () => {
    const { bootstrap } = broker;
    const topic = "bombed-fail";
    await createTopic(bootstrap, { topic, partitions: 1 });
    await produceValues({ bootstrap, topic }, [good(1, 0)]);
    await produceBomb(broker.bootstrap, topic);
    const folder = await temporaryFolder("bomb");
    const config = configOf(topic, folder, { schema: FIELDS, dead_letter: { action: "fail" } });
    const { product, exitCode } = await runUntilEnd({ folder, config });
    expect(exitCode).toBe(4);
    const errors = product.logLines().filter(({ level }) => level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toContain("bombed-fail partition 0 offset 1");
  }, 120_000);
});

function firstOfItsReason([reason]: readonly [string, number, RecordBytes], at: number): boolean {
  return BAD.findIndex(([each]) => each === reason) === at;
}

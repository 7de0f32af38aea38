/** One pipeline from its start to its exit code, before a broker in memory and a local warehouse. */
import { afterEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { PipelineRun } from "#app/pipelineRun.ts";
import { Readers } from "#app/readers.ts";
import { type ErrorKind, EXIT, fail, POLICY } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { RunState } from "#server/status.ts";
import type { LogEntry, TransactionLog } from "#txlog/log.ts";
import { PENDING_PARTITIONS } from "#writer/pendingForms.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import {
  brokerWith,
  endAll,
  LIMITS,
  memoryLog,
  newWarehouse,
  pipelineOf,
} from "./pipelineRunRig.ts";

afterEach(endAll);

test("--until-end ends with 0 when everything is in the tables", async () => {
  const run = pipelineOf(brokerWith("a"), { topics: ["a"] });
  expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
  expect([...(run.pipeline?.tables ?? [])].map((table) => table.rowsCommitted)).toEqual([3]);
});

test("a new table is partitioned by columns that are still to be learned, from its first file on", async () => {
  for (const form of ["n", "bucket(4, n)", "truncate(10, n)", "identity(s.x)"]) {
    const run = pipelineOf(brokerWith("a"), {
      topics: ["a"],
      decoder: { fields: null },
      partitionForms: [form],
    });
    expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
    const [table] = [...(run.pipeline?.tables ?? [])];
    expect(table?.rowsCommitted).toBe(3);
    const metadata = table?.writer?.lastSeen.metadata;
    const spec = metadata?.partitionSpecs.find(({ specId }) => specId === metadata.defaultSpecId);
    // No record has `s.x`: the spec waits, in the table, for the first that has.
    const waits = form === "identity(s.x)";
    expect([form, spec?.fields.length]).toEqual([form, waits ? 0 : 1]);
    expect(Object.keys(metadata?.properties ?? {}).includes(PENDING_PARTITIONS)).toBe(waits);
  }
});

test("--until-end with only a topic that is missing ends with 4", async () => {
  const run = pipelineOf(brokerWith(), { topics: ["gone"] });
  expect(await run.run(LIMITS, true)).toBe(EXIT.question);
});

test("--until-end reads the topics that are there, and ends with 4 for the one that is missing", async () => {
  const run = pipelineOf(brokerWith("a"), { topics: ["a", "gone"] });
  expect(await run.run(LIMITS, true)).toBe(EXIT.question);
  const rows = [...(run.pipeline?.tables ?? [])].map((table) => table.rowsCommitted);
  expect(Math.max(...rows)).toBe(3);
});

test("--until-end ends with 4 for a missing topic that shares its table with others", async () => {
  const run = pipelineOf(brokerWith("a"), { topics: ["a", "gone"], tableOf: () => "both" });
  expect(await run.run(LIMITS, true)).toBe(EXIT.question);
  expect([...(run.pipeline?.tables ?? [])].map((table) => table.rowsCommitted)).toEqual([3]);
});

test("a stop while services are waited for ends at once with 0", async () => {
  const broker = brokerWith("a");
  broker.silent.add("Metadata");
  const run = pipelineOf(broker, { topics: ["a"] });
  const ended = run.run({ ...LIMITS, startupTimeoutMs: 0 }, false);
  await Bun.sleep(50);
  await run.stop(LIMITS.shutdownTimeoutMs);
  expect(await Promise.race([ended, Bun.sleep(500).then(() => "still there")])).toBe(EXIT.ok);
});

test("a stop in the middle of a start that succeeds is not forgotten", async () => {
  const broker = brokerWith("a");
  // The topic's absence makes the start wait for it, well after the stop.
  const run = pipelineOf(broker, { topics: ["a", "gone"] });
  const ended = run.run(LIMITS, false);
  await Bun.sleep(20);
  expect(run.pipeline).toBeNull();
  await run.stop(LIMITS.shutdownTimeoutMs);
  expect(await Promise.race([ended, Bun.sleep(1500).then(() => "still there")])).toBe(EXIT.ok);
});

test("a full disk while a failed flush is noted in the log holds the table, it does not stop it", async () => {
  let full = 6;
  const txlog = memoryLog(({ type }) => {
    const isFull = type === "FlushAbandoned" || type === "ParquetWritten";
    if (isFull && full-- > 0) throw fail("storage_full", "No room to append to the log");
  });
  const run = pipelineOf(brokerWith("a"), { topics: ["a"], txlog });
  expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
  expect([...(run.pipeline?.tables ?? [])].map((table) => table.rowsCommitted)).toEqual([3]);
});

test("--until-end ends with 3 when a service stays away for a minute after the start", async () => {
  let attempts = 0;
  const txlog = memoryLog(({ type }) => {
    if (type !== "CommitAttempt" || ++attempts === 1) return;
    throw fail("catalog_unreachable", "The catalog is away");
  });
  const run = pipelineOf(brokerWith("a"), { topics: ["a"], txlog });
  expect(await run.run(LIMITS, true)).toBe(EXIT.unreachable);
  // One attempt was the first position's; the others were an interval of one second apart.
  expect(attempts).toBeWithin(2, 80);
}, 10_000);

test("--until-end is patient with partitions that have no leader for a while at the start", async () => {
  const broker = brokerWith("a");
  const notLeader = 6;
  broker.failNext("ListOffsets", ...new Array<number>(60).fill(notLeader));
  const run = pipelineOf(broker, { topics: ["a"] });
  expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
  expect([...(run.pipeline?.tables ?? [])].map((table) => table.rowsCommitted)).toEqual([3]);
}, 20_000);

test("--until-end ends with 3 when the broker goes away for a minute after the start", async () => {
  const broker = brokerWith("a");
  broker.silent.add("Fetch");
  const run = pipelineOf(broker, { topics: ["a"] });
  const ended = run.run(LIMITS, true);
  while (run.pipeline === null || broker.count("Fetch") === 0) await Bun.sleep(5);
  broker.stop();
  expect(await ended).toBe(EXIT.unreachable);
}, 20_000);

/** A log whose writing takes a while, and that cannot be written once it was closed. */
function slowLog(): { txlog: TransactionLog; types: string[]; close: () => string[] } {
  const types: string[] = [];
  const late: string[] = [];
  let closed = false;
  const append = async ({ type }: LogEntry): Promise<void> => {
    if (closed) late.push(type);
    if (type === "OffsetCommit") await Bun.sleep(30);
    types.push(type);
  };
  const txlog = { recovered: [], append, close: async () => undefined };
  const close = (): string[] => {
    closed = true;
    return late;
  };
  return { txlog, types, close };
}

test("--until-end ends when every commit is acknowledged and complete in the log, not before", async () => {
  const { txlog, types, close } = slowLog();
  const broker = brokerWith("a", "b");
  const run = pipelineOf(broker, { topics: ["a", "b"], txlog, acknowledge: true });
  expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
  const late = close();
  const flushes = types.filter((type) => type === "FlushStarted").length;
  expect(types.filter((type) => type === "FlushComplete")).toHaveLength(flushes);
  expect(broker.count("OffsetCommit")).toBeGreaterThanOrEqual(1);
  await Bun.sleep(100);
  expect(late).toEqual([]);
});

test("a stop in the middle of a commit leaves no flush without its end in the log", async () => {
  const { txlog, types, close } = slowLog();
  const run = pipelineOf(brokerWith("a"), { topics: ["a"], txlog });
  const ended = run.run(LIMITS, false);
  while (!types.includes("IcebergSnapshotCreated") || run.pipeline === null) await Bun.sleep(1);
  while (types.filter((type) => type === "IcebergSnapshotCreated").length < 2) await Bun.sleep(1);
  await run.stop(LIMITS.shutdownTimeoutMs);
  expect(await ended).toBe(EXIT.ok);
  const late = close();
  const flushes = types.filter((type) => type === "FlushStarted").length;
  expect(types.filter((type) => type === "FlushComplete")).toHaveLength(flushes);
  await Bun.sleep(100);
  expect(late).toEqual([]);
});

test("a stop that cannot commit says how many rows the next start reads again", async () => {
  const lines: string[] = [];
  const logger: Logger = { log: (_, message) => lines.push(message), with: () => logger };
  let attempts = 0;
  const txlog = memoryLog(({ type }) => {
    // The first attempt is that of the first position.
    if (type === "CommitAttempt" && ++attempts > 1) throw fail("storage_full", "No room");
  });
  const run = pipelineOf(brokerWith("a"), { topics: ["a"], txlog, logger });
  const ended = run.run(LIMITS, false);
  while (run.uncommittedRows < 3) await Bun.sleep(5);
  await run.stop(LIMITS.shutdownTimeoutMs);
  expect(await ended).toBe(EXIT.ok);
  const said = lines.filter((line) => line.includes("not committed"));
  expect(said).toEqual(["3 rows were read and not committed; the next start reads them again"]);
});

test("a stop that commits everything says nothing of rows", async () => {
  const lines: string[] = [];
  const logger: Logger = { log: (_, message) => lines.push(message), with: () => logger };
  const run = pipelineOf(brokerWith("a"), { topics: ["a"], logger });
  const ended = run.run(LIMITS, false);
  while (run.pipeline === null || run.recordsConsumed < 3) await Bun.sleep(1);
  await run.stop(LIMITS.shutdownTimeoutMs);
  expect(await ended).toBe(EXIT.ok);
  expect(lines.filter((line) => line.includes("not committed"))).toEqual([]);
});

test("the process ends for an error whose policy says so, wherever it is met, and for no other", async () => {
  const kinds = Object.keys(POLICY) as ErrorKind[];
  for (const kind of kinds.filter((each) => POLICY[each].action !== "again")) {
    let crashes = 0;
    const txlog = memoryLog(({ type }) => {
      if (type === "BufferSnapshot") throw fail(kind, "It failed");
    });
    const crash = (): void => void crashes++;
    const run = pipelineOf(brokerWith("a"), { topics: ["a"], txlog, crash });
    expect(await run.run(LIMITS, true)).toBe(POLICY[kind].exitCode);
    expect([kind, crashes > 0]).toEqual([kind, POLICY[kind].action === "crash"]);
  }
}, 20_000);

test("--until-end says that it waits for a paused table, and ends with 4 when nobody resumes it", async () => {
  const lines: string[] = [];
  const logger: Logger = { log: (_, message) => lines.push(message), with: () => logger };
  const properties = { "kafka-iceberg.paused": "true" };
  const run = pipelineOf(brokerWith("a"), { topics: ["a"], properties, logger });
  expect(await run.run({ ...LIMITS, startupTimeoutMs: 5000 }, true)).toBe(EXIT.question);
  const waits =
    "--until-end waits: Table db.a is paused. To let it go on: kafka-iceberg resume db.a";
  expect(lines.filter((line) => line === waits)).toHaveLength(1);
  expect(lines.filter((line) => line.includes("AppError"))).toEqual([]);
}, 10_000);

test("a start names the topics of each table that several fill, also those that only its name maps together", async () => {
  const lines: string[] = [];
  const log: Logger["log"] = (level, message) => lines.push(`${level}: ${message}`);
  const logger: Logger = { log, with: () => logger };
  const topics = ["a.b", "a_b", "c", "x-1", "x-2", "x-3"];
  const tableOf = (topic: string): string => topic.replace(".", "_").replace(/-.*/, "");
  const run = pipelineOf(brokerWith(...topics), { topics, tableOf, logger });
  expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
  const said = lines.filter((line) => line.includes("fill one table")).sort();
  expect(said).toEqual([
    expect.stringContaining("warn: Topics a.b, a_b fill one table, db.a_b."),
    expect.stringContaining("warn: Topics x-1, x-2, x-3 fill one table, db.x."),
  ]);
});

test("an event time that no record has is null in rows of their own partition; one that is no time is rejected by its key", async () => {
  const broker = brokerWith("a");
  const warehouse = newWarehouse();
  const errors: string[] = [];
  const log: Logger["log"] = (level, message) => void (level === "error" && errors.push(message));
  const logger: Logger = { log, with: () => logger };
  const start = (): PipelineRun =>
    pipelineOf(broker, {
      topics: ["a"],
      decoder: { eventTimeField: "ts" },
      partitionForms: ["day(ts)"],
      warehouse,
      logger,
    });
  const first = start();
  expect(await first.run(LIMITS, true)).toBe(EXIT.ok);
  expect([...(first.pipeline?.tables ?? [])].map((table) => table.rowsCommitted)).toEqual([3]);
  expect(readdirSync(`${warehouse}/db/a/data`)).toEqual(["ts_day=null"]);
  const records = [{ value: '{"n":4,"ts":"soon"}' }];
  broker.append("a", 0, buildBatch({ baseOffset: 3, records, leaderEpoch: 0 }));
  expect(await start().run(LIMITS, true)).toBe(EXIT.question);
  expect(errors).toEqual([
    expect.stringContaining('Field "ts" is no time by source.event_time_format'),
  ]);
});

test("a broker that no longer answers shows within seconds, and that it is back", async () => {
  const broker = brokerWith("a");
  const run = pipelineOf(broker, { topics: ["a"] });
  const ended = run.run(LIMITS, false);
  const until = async (state: RunState): Promise<void> => {
    while (run.state !== state) await Bun.sleep(5);
  };
  await until("running");
  while (broker.count("Fetch") < 3) await Bun.sleep(5);
  expect(run.kafkaTrouble).toBeNull();
  broker.silent.add("Fetch");
  await until("retrying");
  expect(String(run.kafkaTrouble)).toContain("Kafka has not answered");
  broker.silent.delete("Fetch");
  await until("running");
  await run.stop(LIMITS.shutdownTimeoutMs);
  expect(await ended).toBe(EXIT.ok);
}, 10_000);

test("a second pipeline that would share the first one's partitions is refused with 2", async () => {
  const broker = brokerWith("a");
  const readers = new Readers();
  readers.add({
    pipeline: "other",
    group: "g",
    byPattern: true,
    feeds: [{ clusterId: "fake-cluster", topic: "a", topicId: "1", partition: 0 }],
  });
  const run = pipelineOf(broker, { topics: ["a"], readers });
  expect(await run.run(LIMITS, false)).toBe(EXIT.usage);
});

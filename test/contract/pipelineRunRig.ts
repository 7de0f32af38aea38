/**
 * A pipeline before a broker in memory and a local warehouse, for the tests of its whole run.
 */

import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BOUNDLESS } from "#app/diskBudget.ts";
import { PipelineRun } from "#app/pipelineRun.ts";
import { Readers } from "#app/readers.ts";
import { statusSource } from "#app/status.ts";
import { systemDisk } from "#base/disk.ts";
import { EXIT } from "#base/errors.ts";
import { type Logger, silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { CopySlots } from "#maintenance/copySlots.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { PartitionStatus } from "#server/status.ts";
import type { LogEntry, TransactionLog } from "#txlog/log.ts";
import type { WriterOptions } from "#writer/parts.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import type { FakeLog } from "../fakes/kafkaLog.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { memoryKeys } from "../support/memoryKeys.ts";
import { WRITER_OPTIONS } from "../support/writerOptions.ts";
import { fastClock } from "./consumerRig.ts";

const MIB = 1024 * 1024;
/** Limits of a run. */
export const LIMITS = { startupTimeoutMs: 60_000, shutdownTimeoutMs: 4000 };
const ends: (() => void)[] = [];

/** Ends what the tests of a file have begun; for `afterEach`. */
export function endAll(): void {
  for (const end of ends.splice(0)) end();
}

/** A log that is nowhere; `before` may throw. */
export function memoryLog(before: (entry: LogEntry) => void = () => undefined): TransactionLog {
  const append = async (entry: LogEntry): Promise<void> => before(entry);
  return { recovered: [], append, close: async () => undefined };
}

function writerOptions(table: string): WriterOptions {
  return { ...WRITER_OPTIONS, name: { namespace: ["db"], table } };
}

/** What a test wants of a pipeline. */
export interface Wanted {
  readonly topics: readonly string[];
  /** In place of `topics`; looked up anew every 20 ms. */
  readonly topicPattern?: string;
  /** Default: no bound. */
  readonly tablesMax?: number;
  /** Default: none; `writer` is made here. */
  readonly routing?: PipelineOptions["routing"];
  readonly tableOf?: (topic: string) => string;
  readonly txlog?: TransactionLog;
  readonly readers?: Readers;
  readonly acknowledge?: boolean;
  readonly logger?: Logger;
  readonly crash?: () => void;
  /** Default: a new one. */
  readonly warehouse?: string;
  /** Default: a file catalog in the warehouse. */
  readonly catalog?: PipelineOptions["catalog"];
  /** Default: the first bad record stops its table. */
  readonly rejects?: PipelineOptions["rejects"];
  /** Default: a second. */
  readonly intervalMs?: number;
  /** Tables of one topic are committed in one request. Default: each by itself. */
  readonly together?: boolean;
  /** Over a decoder of one declared column, `n`. */
  readonly decoder?: Partial<DecoderOptions>;
  /** Columns by which rows are found, and changes ordered. Default: rows are appended. */
  readonly key?: Pick<WriterOptions, "key" | "order" | "latest">;
  /** Default: changes are not logged. */
  readonly changeLog?: PipelineOptions["changeLog"];
  /** How a table that is created is partitioned. */
  readonly partitionForms?: readonly string[];
  /** How files of a table that is created are sorted. */
  readonly sortForms?: readonly string[];
  /** Properties of a table that is created. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** A pipeline of JSON topics into tables of their names. */
export function pipelineOf(broker: FakeKafka, wanted: Wanted): PipelineRun {
  const warehouse = wanted.warehouse ?? newWarehouse();
  ends.push(() => broker.stop());
  const fields = [{ id: 0, name: "n", type: { kind: "long" as const }, required: false }];
  const options: PipelineOptions = {
    name: "p",
    consumer: {
      bootstrapServers: [broker.address],
      topics: [...wanted.topics],
      ...(wanted.topicPattern === undefined
        ? {}
        : { topicPattern: wanted.topicPattern, metadataRefreshMs: 20 }),
      groupId: "g",
      fetchWaitMsMax: 20,
    },
    start: { reset: "earliest", timestampMs: 0, fromGroup: false },
    acknowledge: { enabled: wanted.acknowledge ?? false, intervalMs: 0 },
    registry: null,
    decoder: { ...DECODER_DEFAULTS, fields, ...wanted.decoder },
    rejects: wanted.rejects ?? { action: "fail" },
    metadataCache: { snapshotTtlMs: 1000, manifestTtlMs: 60_000, schemaTtlMs: 300_000 },
    catalogGuard: { backoffMs: [1], failuresMax: 5, resetMs: 1000 },
    catalogCheckMs: 60_000,
    maintenance: { compact: null, expire: null, orphans: null, statistics: null, windows: [] },
    storage: { requestsMax: 8 } as PipelineOptions["storage"],
    catalog: wanted.catalog ?? { type: "file", warehouse, readOnly: false },
    commit: {
      intervalMs: wanted.intervalMs ?? 1000,
      rowsMax: 0,
      bytesMax: 64 * MIB,
      emptyIntervalMs: 1000,
      together: wanted.together ?? false,
    },
    routing: wanted.routing ?? null,
    late: null,
    changeLog: wanted.changeLog ?? null,
    letterTopic: null,
    tablesMax: wanted.tablesMax ?? Number.POSITIVE_INFINITY,
    writer: (topic) => {
      const made = writerOptions((wanted.tableOf ?? ((name) => name))(topic));
      return {
        ...made,
        ...wanted.key,
        create: {
          ...made.create,
          properties: wanted.properties ?? {},
          partitionForms: wanted.partitionForms ?? [],
          sortForms: wanted.sortForms ?? [],
        },
      };
    },
  };
  return new PipelineRun(options, {
    clock: fastClock,
    random: systemRandom,
    disk: systemDisk,
    logger: wanted.logger ?? silentLogger,
    encoder: createInlineEncoder(),
    keys: memoryKeys(),
    txlog: wanted.txlog ?? memoryLog(),
    readers: wanted.readers ?? new Readers(),
    rewrites: {
      ...{ libraryFolder: null, scratch: "", encoder: createInlineEncoder(), room: BOUNDLESS },
      slots: new CopySlots(() => () => undefined),
    },
    crash: wanted.crash ?? (() => undefined),
    observe: () => () => undefined,
    bufferBytesMax: () => 64 * MIB,
    keepMs: 0,
  });
}

/** A folder that `endAll` removes. */
export function newWarehouse(): string {
  const warehouse = mkdtempSync(join(tmpdir(), "pipeline-run-"));
  ends.push(() => rmSync(warehouse, { recursive: true, force: true }));
  return warehouse;
}

/** What `/status` says of the run's first partition. */
export function partitionOf(run: PipelineRun): PartitionStatus | undefined {
  const about = {
    stateTrouble: () => null,
    stateFolders: [],
    clock: fastClock,
    version: "1",
    commit: "c",
    startedMs: 0,
  };
  const lag = { msMax: 0, recordsMax: 0 };
  return statusSource({ ...about, lag, pipelines: [run] }).status().pipelines[0]?.partitions[0];
}

/** A table that holds three records of a log which was lost since. */
export async function lostLog(): Promise<{ broker: FakeKafka; log: FakeLog; warehouse: string }> {
  const broker = brokerWith("a");
  const warehouse = newWarehouse();
  expect(await pipelineOf(broker, { topics: ["a"], warehouse }).run(LIMITS, true)).toBe(EXIT.ok);
  const [log] = broker.topics.get("a")?.partitions ?? [];
  if (log === undefined) throw new Error("no log");
  log.batches = [];
  log.end = 0n;
  return { broker, log, warehouse };
}

/** A broker whose topic holds three records. */
export function brokerWith(...topics: string[]): FakeKafka {
  const broker = new FakeKafka();
  for (const name of topics) {
    broker.topic(name);
    const records = [{ value: '{"n":1}' }, { value: '{"n":2}' }, { value: '{"n":3}' }];
    broker.append(name, 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  }
  return broker;
}

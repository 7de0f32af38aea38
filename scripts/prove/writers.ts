/**
 * Table writers without a consumer, for proofs about commits alone: real encoder, storage, catalog
 * and transaction log; one column `n`, and a clock that can be moved.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import type { Observation } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import { systemRandom } from "#base/random.ts";
import { type CatalogOptions, openCatalog } from "#catalog/open.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import type { ParquetEncoder } from "#parquet/encoder.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { createLocalStorage } from "#storage/local.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import type { WriterOptions } from "#writer/parts.ts";
import { type Flush, TableWriter } from "#writer/tableWriter.ts";

/** Everything written goes here. */
export const FEED: Feed = {
  clusterId: "proof",
  topic: "numbers",
  topicId: "00000000-0000-4000-8000-00000000000a",
  partition: 0,
};

const FIELDS: readonly Field[] = [{ id: 0, name: "n", required: true, type: { kind: "long" } }];

/** Options of {@link openWriters}. */
export interface WritersOptions {
  readonly folder: string;
  readonly catalog: CatalogOptions;
  readonly count: number;
  /** `nowMs`; everything else of the clock is the machine's. */
  readonly nowMs?: () => number;
  /** Columns of the table; default: `n`. */
  readonly fields?: readonly Field[];
  /** Partition fields in their text form; default: none. */
  readonly spec?: readonly string[];
}

/** Writers of one table, each with catalog, storage and log of its own. */
export interface Writers {
  readonly writers: readonly TableWriter[];
  /** Observations of all of them. */
  readonly observed: readonly Observation[];
  close(): Promise<void>;
}

/** Opens writers of the table `default.numbers` with the default settings, one after the other. */
export async function openWriters(options: WritersOptions): Promise<Writers> {
  const { nowMs = () => systemClock.nowMs() } = options;
  const clock: Clock = { ...systemClock, nowMs };
  const encoder = createWorkerEncoder({ clock });
  const observed: Observation[] = [];
  const closing: (() => Promise<void>)[] = [() => encoder.close()];
  const writers: TableWriter[] = [];
  for (let n = 0; n < options.count; n++) {
    writers.push(await openOne(options, n, { clock, encoder, observed, closing }));
  }
  return {
    writers,
    observed,
    close: async () => {
      for (const close of closing.reverse()) await close();
    },
  };
}

/** Settings of the transaction log. */
export const LOG: Omit<Parameters<typeof openTransactionLog>[0], "dir"> = {
  sync: "commit",
  checkpointIntervalEntries: 10_000,
  checkpointIntervalMs: 3_600_000,
  retentionMs: 30 * 86_400_000,
  bytesMax: 1 << 30,
};

interface Shared {
  readonly clock: Clock;
  readonly encoder: ParquetEncoder;
  readonly observed: Observation[];
  readonly closing: (() => Promise<void>)[];
}

async function openOne(options: WritersOptions, n: number, shared: Shared): Promise<TableWriter> {
  const { clock, encoder, observed, closing } = shared;
  const observe = (observation: Observation): void => {
    if (observation.type === "commit" || observation.type === "idempotent_retry") {
      observed.push(observation);
    }
  };
  const parts = { clock, random: systemRandom, disk: systemDisk, log: silentLogger, observe };
  const storage = createLocalStorage(parts);
  const catalog = openCatalog(options.catalog, { ...parts, storage });
  await catalog.open();
  const dir = join(options.folder, `log-${n}`);
  mkdirSync(dir, { recursive: true });
  const txlog = await openTransactionLog({ dir, ...LOG }, parts);
  closing.push(
    () => storage.close(),
    () => catalog.close(),
    () => txlog.close(),
  );
  const all = { ...parts, catalog, encoder, txlog, logger: silentLogger };
  const { fields = FIELDS, spec = [] } = options;
  return TableWriter.open(all, writerOptions(`group-${n}`, spec), fields);
}

/** A flush of the numbers `[start, end)`, which are also their offsets. */
export function numbers(writer: TableWriter, start: number, end: number): Flush {
  const range = { feed: FEED, start: BigInt(start), end: BigInt(end) };
  const values = Array.from({ length: end - start }, (_, index) => BigInt(start + index));
  return writer.newFlush([{ range, batch: batch(values) }]);
}

function batch(values: readonly bigint[]): ColumnBatch {
  const data = new Uint8Array(BigInt64Array.from(values).buffer);
  const length = values.length;
  const columns = FIELDS.map((field) => ({
    field,
    length,
    nullCount: 0,
    validity: null,
    offsets: null,
    data,
    children: [],
  }));
  return { fields: FIELDS, rowCount: length, columns, byteCount: data.length };
}

/** The default settings, for the table `default.numbers`. */
export function writerOptions(group: string, partitionForms: readonly string[]): WriterOptions {
  return {
    name: { namespace: ["default"], table: "numbers" },
    branch: "main",
    group,
    commitRetriesMax: 5,
    codec: "snappy",
    codecLevel: null,
    rowGroupRows: 122_880,
    openFilesMax: 10,
    preserveKafkaPartitions: true,
    thinning: {
      branch: "main",
      keepAllMs: 3_600_000,
      retentionMs: 7 * 86_400_000,
      snapshotsMax: 500,
    },
    schemaMismatch: "fail",
    schemaChanges: "evolve",
    create: {
      allowed: true,
      formatVersion: 2,
      properties: {},
      partitionForms,
      sortForms: [],
      learnsColumns: true,
    },
  };
}

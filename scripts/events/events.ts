/**
 * Fills topics: plain events, exact records, interleaved transactions, compaction holes.
 *
 * Events are a function of the seed alone (generate.py). librdkafka does the producing, so that
 * what we read was not written by code of ours, and every codec and transactions are covered.
 */
import { join } from "node:path";
import { readersPython, serializers } from "../services/cache.ts";
import { run, until } from "../services/process.ts";
import { alterTopic, createTopic } from "./topics.ts";

/** Compression of produced record batches. */
export type Codec = "none" | "gzip" | "snappy" | "lz4" | "zstd";

/** Where to produce, and how. */
export interface Target {
  readonly bootstrap: string;
  readonly topic: string;
  /** Default `none`. */
  readonly codec?: Codec;
  /** Record batches are at most this large; default 65,536. */
  readonly batchBytes?: number;
  readonly lingerMs?: number;
}

/** A job of {@link produceEvents}. */
export interface EventsJob extends Target {
  readonly count: number;
  /** Default 1. */
  readonly seed?: number;
  /** Running number of the first event, default 0. */
  readonly first?: number;
  /** Events a second; default 0: as fast as it goes. */
  readonly rate?: number;
  /** The values as Avro, in Confluent's wire format; default: JSON. */
  readonly avro?: { readonly schema: object; readonly id: number };
}

/** What {@link produceEvents} did. */
export interface Produced {
  readonly count: number;
  /** Sum of the values' sizes. */
  readonly bytes: number;
  readonly seconds: number;
}

/** Produces `count` events, keyed by user, over all partitions; resolves when all are stored. */
export async function produceEvents(job: EventsJob): Promise<Produced> {
  return (await produce({ do: "events", ...job })) as Produced;
}

/** Bytes of a record: text as UTF-8, or hexadecimal. */
export type RecordBytes = string | { readonly hex: string } | null;

/** One record of {@link produceValues}. */
export interface ExactRecord {
  readonly partition?: number;
  readonly key?: RecordBytes;
  readonly value?: RecordBytes;
}

/** Produces exactly these records, in order. */
export async function produceValues(
  target: Target,
  records: readonly ExactRecord[],
): Promise<void> {
  await produce({ do: "values", ...target, records });
}

/** A job of {@link produceUpserts}. */
export interface UpsertsJob extends Target {
  /** Different keys; each comes once, then changes of keys chosen evenly. */
  readonly keys: number;
  readonly changes: number;
  readonly seed?: number;
}

/** What a fold of the records has. */
export interface Upserts {
  readonly count: number;
  readonly rows: number;
  /** Of the column `n`. */
  readonly sum: number;
}

/** Produces `{"id", "n", "name", "amount", "at"}`, keyed by id, of which the last of each id counts. */
export async function produceUpserts(job: UpsertsJob): Promise<Upserts> {
  return (await produce({ do: "upserts", ...job })) as Upserts;
}

/** A job of {@link produceTransactions}. */
export interface TransactionsJob extends Target {
  readonly partitions: number;
  /** Records in all, those of aborted transactions included. */
  readonly count: number;
  readonly seed?: number;
  /** Default 8. */
  readonly producers?: number;
  /** Largest transaction, in records; default 3,000. */
  readonly recordsMax?: number;
  /** Share of transactions that end aborted, default 0.25. */
  readonly abortShare?: number;
  /** Share of records whose key is four zero bytes (as an ABORT marker's is), default 0.02. */
  readonly zeroKeyShare?: number;
  /** Transactions left open at the end, in partition 0 only; default 1. */
  readonly open?: number;
  /** Records in each of them, default 50. */
  readonly openRecords?: number;
  /** Records a second; default 0: as fast as it goes. */
  readonly rate?: number;
}

/** What {@link produceTransactions} did, in records. */
export interface Transactions {
  readonly committed: number;
  readonly aborted: number;
  readonly open: number;
  readonly transactions: number;
  /** For {@link abortOpenTransactions}. */
  readonly openIds: readonly string[];
}

/**
 * Interleaves transactions of several producers over all partitions; every partition but 0 ends
 * with a control record. With `open` > 0, partition 0's last stable offset stays before its end.
 */
export async function produceTransactions(job: TransactionsJob): Promise<Transactions> {
  const defaults = {
    producers: 8,
    recordsMax: 3000,
    abortShare: 0.25,
    zeroKeyShare: 0.02,
    open: 1,
    openRecords: 50,
    idPrefix: `tx-${crypto.randomUUID()}`,
  };
  return (await produce({ do: "transactions", ...defaults, ...job })) as Transactions;
}

/** Aborts transactions that were left open. */
export async function abortOpenTransactions(
  bootstrap: string,
  ids: readonly string[],
): Promise<void> {
  await produce({ do: "abort", bootstrap, ids });
}

const COMPACTED = {
  "cleanup.policy": "compact",
  "segment.bytes": "1048576",
  "min.cleanable.dirty.ratio": "0.01",
  "min.compaction.lag.ms": "0",
  "delete.retention.ms": "0",
};

/** Creates a topic that the broker compacts as soon as a 1 MiB segment is full. */
export async function createCompactedTopic(
  bootstrap: string,
  topic: string,
  partitions: number,
): Promise<void> {
  await createTopic(bootstrap, { topic, partitions, config: COMPACTED });
}

/**
 * Waits until the broker has compacted a topic into holes in every partition, then stops further
 * compaction, so that what the topic returns stays what it is.
 */
export async function freezeWithHoles(
  bootstrap: string,
  topic: string,
  timeoutMs: number = 60_000,
): Promise<void> {
  let last = "";
  await until(
    `compaction holes in ${topic}`,
    async () => {
      const counts = await countRecords(bootstrap, topic);
      const settled = JSON.stringify(counts) === last;
      last = JSON.stringify(counts);
      return settled && Object.values(counts).every((p) => p.count < p.end - p.start);
    },
    timeoutMs,
    1500,
  );
  await alterTopic(bootstrap, topic, { "cleanup.policy": "delete", "retention.ms": "-1" });
}

/** Records of one partition as the independent reader sees them (read_committed). */
export interface PartitionCount {
  /** Log start offset. */
  readonly start: number;
  /** Last stable offset. */
  readonly end: number;
  readonly count: number;
}

/** Counts a topic's records by reading it (scripts/judge/reader.py); key = partition. */
export async function countRecords(
  bootstrap: string,
  topic: string,
): Promise<Record<string, PartitionCount>> {
  const script = join(import.meta.dir, "..", "judge", "reader.py");
  const job = JSON.stringify({ bootstrap, topic });
  const answer = await run([await readersPython(), script, job]);
  return (JSON.parse(answer) as { partitions: Record<string, PartitionCount> }).partitions;
}

async function produce(job: Readonly<Record<string, unknown>>): Promise<unknown> {
  const script = join(import.meta.dir, "produce.py");
  const stdin = JSON.stringify(job);
  const env = "avro" in job ? { PYTHONPATH: await serializers() } : {};
  return JSON.parse(await run([await readersPython(), script, "-"], { stdin, env }));
}

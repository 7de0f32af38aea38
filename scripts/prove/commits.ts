/**
 * Proofs about commits alone: five writers want the same offsets, one commit is repeated, and ten
 * thousand follow each other at the default settings.
 */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../services/process.ts";
import { FEED, numbers, openWriters } from "./writers.ts";

/** What {@link proveOneCommit} found. */
export interface OneCommitReport {
  /** How each of the flushes of one offset range ended. */
  readonly outcomes: readonly string[];
  /** Snapshots that the flushes added to the table. */
  readonly snapshotsAdded: number;
  /** Of the committed flush, and of the same flush sent again. */
  readonly snapshotIds: readonly string[];
  /** Retries that were found to have landed. */
  readonly idempotentRetries: number;
}

/** `count` writers of an SQL catalog commit the same offsets at the same time. */
export async function proveOneCommit(count: number): Promise<OneCommitReport> {
  const folder = await temporaryFolder("one-commit");
  const uri = `sqlite:${folder}/catalog.db`;
  const warehouse = join(folder, "warehouse");
  mkdirSync(warehouse);
  const catalog = { type: "sql", uri, name: "proof", warehouse, readOnly: false } as const;
  const open = await openWriters({ folder, catalog, count });
  const [first] = open.writers;
  if (first === undefined) throw new Error("no writers");
  await first.claim([{ feed: FEED, offset: 0n }]);
  const before = first.lastSeen.metadata.snapshots.length;
  const flushes = open.writers.map((writer) => ({ writer, flush: numbers(writer, 0, 1000) }));
  const results = await Promise.all(flushes.map(({ writer, flush }) => writer.flush(flush)));
  await first.positions([FEED]);
  const snapshotsAdded = first.lastSeen.metadata.snapshots.length - before;
  const winner = flushes[results.findIndex((result) => result.kind === "committed")];
  const again = winner === undefined ? [] : [await winner.writer.flush(winner.flush)];
  const snapshotIds = [...results, ...again].flatMap((result) =>
    result.kind === "committed" ? [String(result.snapshotId)] : [],
  );
  await open.close();
  return {
    outcomes: results.map((result) => result.kind),
    snapshotsAdded,
    snapshotIds,
    idempotentRetries: open.observed.filter((seen) => seen.type === "idempotent_retry").length,
  };
}

/** What {@link proveManyCommits} found. */
export interface ManyCommitsReport {
  readonly commits: number;
  readonly seconds: number;
  readonly snapshots: number;
  readonly metadataBytes: number;
  /** Largest metadata file after any commit. */
  readonly metadataBytesMax: number;
  /** Time of one flush, milliseconds, over the second hundred commits and over the last. */
  readonly early: Spread;
  readonly late: Spread;
}

interface Spread {
  readonly p50: number;
  readonly p99: number;
}

const HUNDRED = 100;
/** The default `iceberg.commit.interval_ms`. */
const INTERVAL_MS = 5000;

/** Commits one row at a time to a file catalog; the clock moves on by the default interval. */
export async function proveManyCommits(commits: number): Promise<ManyCommitsReport> {
  const folder = await temporaryFolder("many-commits");
  const warehouse = join(folder, "warehouse");
  mkdirSync(warehouse);
  let nowMs = Date.now();
  const catalog = { type: "file", warehouse, readOnly: false } as const;
  const open = await openWriters({ folder, catalog, count: 1, nowMs: () => nowMs });
  const [writer] = open.writers;
  if (writer === undefined) throw new Error("no writer");
  await writer.claim([{ feed: FEED, offset: 0n }]);
  const durations: number[] = [];
  let metadataBytesMax = 0;
  const began = performance.now();
  for (let n = 0; n < commits; n++) {
    nowMs += INTERVAL_MS;
    const flush = numbers(writer, n, n + 1);
    const since = performance.now();
    const result = await writer.flush(flush);
    durations.push(performance.now() - since);
    if (result.kind !== "committed") throw new Error(`commit ${n}: ${result.kind}`);
    await writer.complete(flush, result);
    metadataBytesMax = Math.max(metadataBytesMax, statSync(result.table.metadataLocation).size);
  }
  const { metadata, metadataLocation } = writer.lastSeen;
  await open.close();
  return {
    commits,
    seconds: Math.round((performance.now() - began) / 1000),
    snapshots: metadata.snapshots.length,
    metadataBytes: statSync(metadataLocation).size,
    metadataBytesMax,
    early: spread(durations.slice(HUNDRED, 2 * HUNDRED)),
    late: spread(durations.slice(-HUNDRED)),
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
    return Math.round((value ?? Number.NaN) * 10) / 10;
  };
  return { p50: at(0.5), p99: at(0.99) };
}

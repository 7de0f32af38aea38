/**
 * Proofs about commits alone: five writers want the same offsets, one commit is repeated, and ten
 * thousand follow each other at the default settings.
 */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TableWriter } from "#writer/tableWriter.ts";
import { temporaryFolder } from "../services/process.ts";
import { type PlanningReport, planningOf } from "./planning.ts";
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
  /** Time of one flush, milliseconds, of a table with 100 commits and of the one with all. */
  readonly young: Spread;
  readonly old: Spread;
  /** Old over young: to be at most 1.5. */
  readonly p99Ratio: number;
  /** Largest metadata file over 1 MB: to be at most 1. */
  readonly metadataRatio: number;
  /** Of the old table by PyIceberg. Null: not asked for. */
  readonly planning: PlanningReport | null;
}

interface Spread {
  readonly p50: number;
  readonly p99: number;
}

const YOUNG_COMMITS = 100;
/** The default `iceberg.commit.interval_ms`. */
const INTERVAL_MS = 5000;
const METADATA_BYTES_MAX = 1_000_000;

/**
 * Commits one row at a time to a file catalog; the clock moves on by `intervalMs`. Then a table with
 * 100 commits and this one are committed to in turn, so that both are measured on the same machine at
 * the same time.
 * @param measured commits of each that are measured
 * @param isPlanned true: PyIceberg plans a scan of it
 */
export async function proveManyCommits(
  commits: number,
  measured: number = 400,
  intervalMs: number = INTERVAL_MS,
  isPlanned: boolean = false,
): Promise<ManyCommitsReport> {
  const began = performance.now();
  const old = await openTable(intervalMs);
  for (let n = 0; n < commits; n++) await old.commit();
  const seconds = Math.round((performance.now() - began) / 1000);
  const young = await openTable(intervalMs);
  for (let n = 0; n < YOUNG_COMMITS; n++) await young.commit();
  const durations = { young: [] as number[], old: [] as number[] };
  for (let n = 0; n < measured; n++) {
    durations.young.push(await young.commit());
    durations.old.push(await old.commit());
  }
  const { metadata, metadataLocation } = old.writer.lastSeen;
  const metadataBytes = statSync(metadataLocation).size;
  const planning = isPlanned ? await planningOf(old.writer.lastSeen) : null;
  await young.close();
  await old.close();
  const spreads = { young: spread(durations.young), old: spread(durations.old) };
  return {
    commits,
    seconds,
    snapshots: metadata.snapshots.length,
    metadataBytes,
    metadataBytesMax: old.metadataBytesMax(),
    ...spreads,
    p99Ratio: rounded(spreads.old.p99 / spreads.young.p99),
    metadataRatio: rounded(old.metadataBytesMax() / METADATA_BYTES_MAX),
    planning,
  };
}

/** A table of a file catalog to which one row after the other is committed. */
interface GrowingTable {
  readonly writer: TableWriter;
  /** Commits the next row; answers how long that took, in milliseconds. */
  commit(): Promise<number>;
  metadataBytesMax(): number;
  close(): Promise<void>;
}

async function openTable(intervalMs: number): Promise<GrowingTable> {
  const folder = await temporaryFolder("many-commits");
  const warehouse = join(folder, "warehouse");
  mkdirSync(warehouse);
  let nowMs = Date.now();
  const catalog = { type: "file", warehouse, readOnly: false } as const;
  const open = await openWriters({ folder, catalog, count: 1, nowMs: () => nowMs });
  const [writer] = open.writers;
  if (writer === undefined) throw new Error("no writer");
  await writer.claim([{ feed: FEED, offset: 0n }]);
  let committed = 0;
  let metadataBytesMax = 0;
  return {
    writer,
    commit: async () => {
      nowMs += intervalMs;
      const flush = numbers(writer, committed, committed + 1);
      const since = performance.now();
      const result = await writer.flush(flush);
      const took = performance.now() - since;
      if (result.kind !== "committed") throw new Error(`commit ${committed}: ${result.kind}`);
      await writer.complete(flush, result);
      metadataBytesMax = Math.max(metadataBytesMax, statSync(result.table.metadataLocation).size);
      committed++;
      return took;
    },
    metadataBytesMax: () => metadataBytesMax,
    close: () => open.close(),
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

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/**
 * What was measured, as docs/benchmarks.json keeps it: one entry for each thing measured, each with
 * its date, so that a later run of some sides replaces only theirs.
 */
import type { IngestRun } from "../peers/ingest.ts";
import type { PageCodec, SideName } from "../peers/side.ts";
import type { HotRun, IdleRun, SteadyRun } from "../peers/steady.ts";
import type { SustainedRun } from "../peers/sustained.ts";
import type { Freshness } from "../peers/tables.ts";

interface Measured<Kind extends string, Run> {
  readonly kind: Kind;
  readonly side: SideName;
  /** For people, with versions. */
  readonly title: string;
  /** YYYY-MM-DD HH:MM, UTC. */
  readonly date: string;
  readonly intervalMs: number;
  readonly runs: readonly Run[];
}

/** A full topic into a table. */
export interface IngestEntry extends Measured<"ingest", IngestRun> {
  readonly codec: PageCodec;
  readonly events: number;
}

/** Produce -> committed. */
export interface FreshnessEntry extends Measured<"freshness", Freshness> {
  /** Records a second. */
  readonly rate: number;
  readonly seconds: number;
}

/** Anything that was measured. */
export type Entry =
  | IngestEntry
  | FreshnessEntry
  | Measured<"sustained", SustainedRun>
  | Measured<"steady", SteadyRun>
  | Measured<"hot", HotRun>
  | Measured<"idle", IdleRun>;

/** The file. */
export interface Figures {
  /** The machine of the last run. */
  readonly machine: string;
  /** Of all that took part in it. */
  readonly versions: string;
  /** The commit that was built for the last run of ours. */
  readonly commit: string;
  readonly entries: readonly Entry[];
}

/** Adds entries; one that measures the same as an older one takes its place. */
export function mergeEntries(older: readonly Entry[], newer: readonly Entry[]): Entry[] {
  const measured = new Set(newer.map(keyOf));
  return [...older.filter((entry) => !measured.has(keyOf(entry))), ...newer];
}

function keyOf(entry: Entry): string {
  const codec = entry.kind === "ingest" ? entry.codec : "";
  return [entry.kind, entry.side, codec, entry.intervalMs].join(" ");
}

/** Median, and the least and the greatest. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/** Summarises the same figure of several runs. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const median = (at((sorted.length - 1) >> 1) + at(sorted.length >> 1)) / 2;
  return { median, least: at(0), greatest: at(sorted.length - 1) };
}

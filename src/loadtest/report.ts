/**
 * What a load test says: lines while it runs, its figures, and the verdict.
 */

import { type Cell, tableText } from "#cli/output.ts";
import type { AgePercentiles, LoadTestFigures, LoadTestJob, LoadTestState } from "./job.ts";
import type { Verified } from "./verify.ts";

/**
 * A rate is held when its rows took at most 2 % and half a second longer than was asked: a commit and a
 * stop take a moment whatever the rate.
 */
const HELD = { share: 0.02, ms: 500 } as const;
const MIB = 1024 * 1024;

/** What was asked for. */
export type Asked = Pick<LoadTestJob, "rate" | "seconds">;

/** Rows a second that each side reached. */
export interface Reached {
  readonly producing: number;
  readonly ingesting: number;
  readonly committing: number;
}

/** The rates of the figures. */
export function reached({ rows, producedMs, ingestedMs, committedRate }: LoadTestFigures): Reached {
  const rate = (ms: number): number => (rows === 0 ? 0 : (rows * 1000) / Math.max(1, ms));
  return {
    producing: rate(producedMs),
    ingesting: rate(ingestedMs),
    committing: committedRate,
  };
}

/** Null when the rate was held, else one sentence that says which side was the limit. */
export function shortfall({ rate, seconds }: Asked, figures: LoadTestFigures): string | null {
  const rates = reached(figures);
  const slowest = seconds * (1 + HELD.share) + HELD.ms / 1000;
  const holds = (side: number): boolean => side * slowest >= rate * seconds * PARTIAL;
  const ingest = Math.min(rates.ingesting, rates.committing);
  const asked = `The rate of ${count(rate)} rows/s was not held`;
  if (holds(rates.producing) && holds(ingest)) return null;
  if (holds(rates.producing)) {
    return `${asked}: the ingest was the limit, at ${count(ingest)} rows/s`;
  }
  const producer = `the producer was the limit, at ${count(rates.producing)} rows/s`;
  if (ingest * (1 + HELD.share) >= rates.producing) {
    return `${asked}: ${producer}; the ingest kept up with it`;
  }
  return (
    `${asked}: the ingest was the limit, at ${count(ingest)} rows/s; ` +
    `the producer reached ${count(rates.producing)}`
  );
}

/** Events that would only fill a part of a batch are not sent. */
const PARTIAL = 0.99;

/** The figures as text. */
export function figuresText(asked: Asked, figures: LoadTestFigures, verified: Verified): string {
  const { rows, cpuSeconds, wallSeconds, peakBytes, commits } = figures;
  const rates = reached(figures);
  const side = (name: string, rate: number, ages: AgePercentiles | null): Record<string, Cell> => ({
    side: name,
    "asked rows/s": count(asked.rate).padStart("asked rows/s".length),
    "reached rows/s": count(rate).padStart("reached rows/s".length),
    "p50 ms": age(ages?.p50Ms ?? null),
    "p99 ms": age(ages?.p99Ms ?? null),
  });
  const share = wallSeconds === 0 ? 0 : cpuSeconds / wallSeconds;
  const perSecond = cpuSeconds === 0 ? 0 : rows / cpuSeconds;
  const size = `${verified.files} files, ${(Number(verified.bytes) / MIB).toFixed(1)} MiB`;
  return [
    tableText([
      side("producing", rates.producing, null),
      side("ingesting (hot buffer)", rates.ingesting, figures.queryable),
      side("committing (snapshots)", rates.committing, figures.committed),
    ]),
    `CPU     ${share.toFixed(2)} cores, ${count(perSecond)} rows per CPU-second\n`,
    `memory  ${Math.round(peakBytes / MIB)} MiB at most\n`,
    `rows    ${count(rows)} produced, ${count(Number(verified.rows))} in the table `,
    `(${commits} commits, ${size}): ${verified.problem ?? "each once"}\n`,
  ].join("");
}

/** The figures for programs. */
export function figuresJson(
  asked: Asked,
  figures: LoadTestFigures,
  verified: Verified,
): Readonly<Record<string, unknown>> {
  const { producing, ingesting, committing } = reached(figures);
  return {
    asked_rows_per_second: asked.rate,
    producing_rows_per_second: Math.round(producing),
    ingesting_rows_per_second: Math.round(ingesting),
    committing_rows_per_second: Math.round(committing),
    queryable_ms: { p50: figures.queryable.p50Ms, p99: figures.queryable.p99Ms },
    committed_ms: { p50: figures.committed.p50Ms, p99: figures.committed.p99Ms },
    cpu_seconds: figures.cpuSeconds,
    wall_seconds: figures.wallSeconds,
    peak_bytes: figures.peakBytes,
    rows_produced: figures.rows,
    rows_in_table: verified.rows,
    commits: figures.commits,
    files: verified.files,
    problem: verified.problem,
    shortfall: shortfall(asked, figures),
  };
}

/** One line of what happens now, rates from two states. */
export function progressText(before: LoadTestState, now: LoadTestState): string {
  const seconds = Math.max(1, now.passedMs - before.passedMs) / 1000;
  const rate = (of: (state: LoadTestState) => number): string =>
    `${count((of(now) - of(before)) / seconds)} rows/s`;
  const late = now.behindMs < HELD.ms ? "" : ` (${(now.behindMs / 1000).toFixed(1)} s late)`;
  return [
    `${Math.round(now.passedMs / 1000)} s`,
    `producing ${rate((state) => state.produced)}${late}`,
    `ingesting ${rate((state) => state.ingested)}`,
    `behind ${count(Math.max(0, now.produced - now.ingested))}`,
    `buffered ${Math.round(now.bufferedBytes / MIB)} MiB`,
    `committed ${count(now.committed)}`,
  ].join("  ");
}

/** 1234567 -> "1,234,567". */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function age(ms: number | null): string {
  const text = ms === null ? "-" : ms < 10 ? ms.toFixed(1) : count(ms);
  return text.padStart("p50 ms".length);
}

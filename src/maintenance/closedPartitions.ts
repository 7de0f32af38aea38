/**
 * Which partitions are over: those of an hour, a day, a month or a year whose end the rows have passed. Pure.
 */
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { PartitionSpec, TableMetadata } from "#iceberg/metadata/metadata.ts";

/** A span of time whose end has been passed, ms since epoch; `from` is not in it. */
export interface ClosedSpan {
  readonly from: number;
  readonly to: number;
}

/** End of the span of time that a value of a transform stands for, ms since epoch. */
const ENDS: Readonly<Record<string, (value: number) => number>> = {
  hour: (value) => (value + 1) * 3_600_000,
  day: (value) => (value + 1) * 86_400_000,
  month: (value) => Date.UTC(1970, value + 1),
  year: (value) => Date.UTC(1971 + value, 0),
};

/** The shortest span that partitions of a spec have, as a transform; null: they are not by time. */
export function spanOf({ fields }: PartitionSpec): string | null {
  const transforms = new Set(fields.map(({ transform }) => transform));
  return Object.keys(ENDS).find((each) => transforms.has(each)) ?? null;
}

/** The last moment up to a time at which such a span ended, ms since epoch; null: none has. */
export function lastEnd(span: string, untilMs: number): number | null {
  const end = ENDS[span];
  if (end === undefined) return null;
  const date = new Date(untilMs);
  const value = {
    hour: Math.floor(untilMs / 3_600_000),
    day: Math.floor(untilMs / 86_400_000),
    month: 12 * (date.getUTCFullYear() - 1970) + date.getUTCMonth(),
    year: date.getUTCFullYear() - 1970,
  }[span];
  return value === undefined ? null : end(value - 1);
}

/** Up to when partitions were over at the last runs of the table, ms since epoch, oldest first. */
const PROPERTY = "kafka-iceberg.maintenance.compact.closed";
/** A partition is put together by the run that follows its end and by two more: one may have been in the way of a flush. */
const RUNS = 3;
/** How long ago it may have ended, ms. */
const ENDED_MS_MAX = 31 * 86_400_000;

/**
 * The property by which a run that begins says up to when partitions are over.
 * @param untilMs by the time of the rows, ms since epoch
 */
export function markClosed(
  { properties, partitionSpecs }: Pick<TableMetadata, "properties" | "partitionSpecs">,
  untilMs: number,
): Readonly<Record<string, string>> {
  if (partitionSpecs.every((spec) => spanOf(spec) === null)) return {};
  const marks = [...marksOf(properties), Math.floor(untilMs)].slice(-RUNS - 1);
  return { [PROPERTY]: marks.join(" ") };
}

/**
 * The time in which partitions ended that the run puts together whole, whoever ran before, and however long ago. Of
 * older ones only what comes late is left, which waits for more of it, so that no row is written anew at every run.
 * @param backMs goes back so far at least
 * @returns undefined while no run has said up to when partitions are over
 */
export function closedSpan(
  { properties }: Pick<TableMetadata, "properties">,
  backMs: number,
): ClosedSpan | undefined {
  const marks = marksOf(properties);
  const to = marks.at(-1);
  if (to === undefined) return undefined;
  const settled = marks.length > RUNS ? Math.min(...marks) : Number.NEGATIVE_INFINITY;
  return { from: Math.min(to - backMs, Math.max(settled, to - ENDED_MS_MAX)), to };
}

function marksOf(properties: Readonly<Record<string, string>>): number[] {
  const text = properties[PROPERTY] ?? "";
  return /^-?\d{1,15}(?: -?\d{1,15})*$/.test(text) ? text.split(" ").map(Number) : [];
}

/** Says whether a partition ended in a span of time. */
export function endsIn(
  { partitionSpecs }: Pick<TableMetadata, "partitionSpecs">,
  { from, to }: ClosedSpan,
): (place: { readonly specId: number; readonly partition: readonly PartitionValue[] }) => boolean {
  const spans = new Map(
    partitionSpecs.map((spec) => {
      const span = spanOf(spec);
      const at = spec.fields.findIndex(({ transform }) => transform === span);
      return [spec.specId, { at, end: span === null ? undefined : ENDS[span] }] as const;
    }),
  );
  return ({ specId, partition }) => {
    const { at = -1, end } = spans.get(specId) ?? {};
    const value = partition[at];
    if (end === undefined || typeof value !== "number") return false;
    const endMs = end(value);
    return endMs > from && endMs <= to;
  };
}

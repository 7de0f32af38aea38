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

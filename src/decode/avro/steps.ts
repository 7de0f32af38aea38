/**
 * What a program of steps is made of: how the bytes of one Avro type become values of one column.
 */
import { ColumnBuilder } from "#columns/builder.ts";
import type { Aside } from "#decode/aside.ts";
import type { Cover } from "#decode/covers.ts";
import type { Filler } from "#decode/json/defaults.ts";
import type { TextParser } from "#decode/json/values.ts";
import type { RejectReason } from "#decode/rejects.ts";
import type { AvroType } from "./schema.ts";

/** What to do with the bytes that come next. */
export const STEP = {
  /** Passes over a value of `type`. */
  skip: 0,
  /** A null of the column; no bytes. */
  null: 1,
  /** Passes over a value of `type`, and refuses the record with `reason`. */
  refuse: 2,
  boolean: 3,
  /** int32 -> int */
  int: 4,
  /** int32 or int64 -> long, as it is. */
  long: 5,
  float: 6,
  double: 7,
  floatToDouble: 8,
  /** An integer -> float or double. */
  toFloat: 9,
  /** int64 -> int; what does not fit is a conflict. */
  longToInt: 10,
  /** Bytes with their length -> binary. */
  bytes: 11,
  /** The same -> string, as UTF-8. */
  text: 12,
  /** `size` bytes -> fixed, uuid or binary. */
  fixed: 13,
  /** Bytes with their length, which has to be `size` -> fixed. */
  bytesToFixed: 14,
  /** Text -> what `parse` makes of it. */
  parse: 15,
  /** Bytes with their length, big endian -> decimal, times ten to `size`. */
  decimal: 16,
  /** `size` bytes, big endian -> decimal, times ten to `shift`. */
  fixedDecimal: 17,
  /** An index -> `words[index]`. */
  enum: 18,
  date: 19,
  /** int32 milliseconds -> time. */
  timeMillis: 20,
  timeMicros: 21,
  /** int64 -> timestamp in the column's unit, times `size`, or where that is negative, by it. */
  timestamp: 22,
  /** An integer -> the event time's column, by `source.event_time_format`. */
  eventTime: 23,
  /** Members -> a struct. */
  record: 24,
  /** Members -> columns of the row. */
  group: 25,
  /** An index, then `steps[index]`. */
  union: 26,
  list: 27,
  map: 28,
  /** `steps[0]` -> the member of a union's struct. */
  member: 29,
  /** No bytes: the column's default. */
  fill: 30,
  /** No bytes: a value of `type` that lies in `words[0]`, by `steps[0]`. */
  constant: 31,
  /** No bytes: the column has no null. */
  missing: 32,
  /** The kernel's: what a change does, as text, which puts its row (`size` 0) or removes it (1). */
  operation: 33,
  /** `steps[0]`, then what stands for its value. */
  cover: 34,
  /** `steps[0]`, whose value is kept beside the columns; the column is null. */
  rescue: 35,
  /** `steps[0]`, or where its value does not fit the column, `steps[1]`. */
  orRescue: 36,
} as const;

/** One step. All of one shape, for the loop's sake. */
export interface Step {
  readonly op: number;
  /** Where values go. */
  readonly column: ColumnBuilder;
  /** The column's full path, for people; of `refuse` the field's, or what the reason is about. */
  readonly path: string;
  readonly type: AvroType;
  readonly steps: readonly Step[];
  readonly size: number;
  readonly shift: number;
  readonly reason: RejectReason;
  readonly parse: TextParser | null;
  readonly fill: Filler | null;
  readonly words: readonly Uint8Array[];
  /** Where a value is read that becomes text; null: it becomes none. */
  readonly aside: Aside | null;
  readonly cover: Cover | null;
  /** Columns that one value of a list's element or a map's entry fills at least. */
  readonly weight: number;
}

const NONE: AvroType = { kind: "null", logical: null };
const NO_COLUMN = new ColumnBuilder({
  id: 0,
  name: "",
  required: false,
  type: { kind: "struct", fields: [] },
});

/** A step with what it needs. */
export function step(op: number, more: Partial<Omit<Step, "op">> = {}): Step {
  return {
    op,
    column: more.column ?? NO_COLUMN,
    path: more.path ?? "",
    type: more.type ?? NONE,
    steps: more.steps ?? [],
    size: more.size ?? 0,
    shift: more.shift ?? 0,
    reason: more.reason ?? "type_conflict",
    parse: more.parse ?? null,
    fill: more.fill ?? null,
    words: more.words ?? [],
    aside: more.aside ?? null,
    cover: more.cover ?? null,
    weight: more.weight ?? 1,
  };
}

/** Passes over a value. */
export function skipStep(type: AvroType): Step {
  return step(STEP.skip, { type });
}

/** Steps some of whose values their columns cannot hold. */
const CONFLICTING: ReadonlySet<number> = new Set([
  STEP.toFloat,
  STEP.longToInt,
  STEP.text,
  STEP.bytesToFixed,
  STEP.parse,
  STEP.decimal,
  STEP.fixedDecimal,
  STEP.date,
  STEP.timeMillis,
  STEP.timeMicros,
  STEP.timestamp,
  STEP.eventTime,
]);

/** True for a step whose column may not be able to hold a value that is whole. */
export function mayConflict({ op, type }: Step): boolean {
  return CONFLICTING.has(op) && !(op === STEP.text && type.kind === "string");
}

/** True for a step with a column of its own. */
export function hasColumn({ column }: Step): boolean {
  return column !== NO_COLUMN;
}

/** How many values of a column a value has at most. Lists below are left out: their elements are counted one by one. */
export function weightOf({ field, children }: ColumnBuilder): number {
  if (field.type.kind !== "struct") return 1;
  return children.reduce((sum, child) => sum + weightOf(child), 1);
}

/**
 * Partition specs from the configuration's words (SPEC section 4, `[partitioning]`): strategies,
 * and the general form `["day(ts)", "bucket(16, user_id)", "truncate(name, 4)", "region"]`.
 *
 * Names, type checks and redundancy rules are those of Java's `PartitionSpec.Builder` (Iceberg
 * spec, "Partitioning"). Nothing is ever answered with an unpartitioned table instead.
 */
import { type AppError, fail } from "#base/errors.ts";
import { findColumn, similarColumn } from "#columns/paths.ts";
import { type Field, isPrimitive, primitiveName } from "#columns/schema.ts";
import type { PartitionField, PartitionSpec } from "#iceberg/metadata/metadata.ts";
import { PARTITION_FIELD_ID_NONE } from "#iceberg/metadata/newTable.ts";
import { truncateWidthMax } from "./transform.ts";

/** `partition_strategy` with what belongs to it. `field`: a column, dotted when nested. */
export type PartitionStrategy =
  | { readonly strategy: "none" }
  | {
      readonly strategy: "hourly" | "daily" | "monthly" | "yearly" | "identity";
      readonly field: string;
    }
  | { readonly strategy: "bucket"; readonly field: string; readonly buckets: number }
  | { readonly strategy: "truncate"; readonly field: string; readonly width: number };

/** A strategy in the general form. */
export function strategyForms(strategy: PartitionStrategy): string[] {
  switch (strategy.strategy) {
    case "none":
      return [];
    case "hourly":
      return [`hour(${strategy.field})`];
    case "daily":
      return [`day(${strategy.field})`];
    case "monthly":
      return [`month(${strategy.field})`];
    case "yearly":
      return [`year(${strategy.field})`];
    case "identity":
      return [`identity(${strategy.field})`];
    case "bucket":
      return [`bucket(${strategy.buckets}, ${strategy.field})`];
    case "truncate":
      return [`truncate(${strategy.width}, ${strategy.field})`];
  }
}

interface Rule {
  /** What the default partition name ends with. */
  readonly suffix: string;
  readonly takesNumber: boolean;
  /** Kinds of source columns; null: every primitive type. */
  readonly kinds: readonly string[] | null;
}

const TIMES = ["timestamp", "timestamp_ns"];

const RULES = {
  identity: { suffix: "", takesNumber: false, kinds: null },
  year: { suffix: "_year", takesNumber: false, kinds: ["date", ...TIMES] },
  month: { suffix: "_month", takesNumber: false, kinds: ["date", ...TIMES] },
  day: { suffix: "_day", takesNumber: false, kinds: ["date", ...TIMES] },
  hour: { suffix: "_hour", takesNumber: false, kinds: TIMES },
  bucket: {
    suffix: "_bucket",
    takesNumber: true,
    kinds: [
      ...["int", "long", "decimal", "date", "time", "string", "uuid", "fixed", "binary"],
      ...TIMES,
    ],
  },
  truncate: {
    suffix: "_trunc",
    takesNumber: true,
    kinds: ["int", "long", "decimal", "string", "binary"],
  },
} as const satisfies Record<string, Rule>;

type TransformName = keyof typeof RULES;

/** Other spellings that Spark and Java take. */
const ALIASES: Readonly<Record<string, TransformName>> = {
  years: "year",
  months: "month",
  days: "day",
  date: "day",
  hours: "hour",
  date_hour: "hour",
  trunc: "truncate",
};

interface Term {
  readonly transform: TransformName;
  readonly column: string;
  readonly number: number | null;
}

/**
 * Builds the partition spec of a new table.
 * @param columns the table's columns with their final field ids
 * @param forms the general form; empty: unpartitioned
 * Throws `usage` naming the form: not understood, unknown column, a type that the transform does
 * not take, the same partition twice, a name that a column has.
 */
export function partitionSpecOf(
  columns: readonly Field[],
  forms: readonly string[],
): PartitionSpec {
  const fields: PartitionField[] = [];
  const meanings = new Set<string>();
  for (const form of forms) {
    const term = parseTerm(form);
    const source = findColumn(columns, term.column);
    if (source === null) {
      throw problem(
        form,
        `there is no column ${term.column}${similarColumn(columns, term.column)}`,
      );
    }
    checkType(form, term, source);
    const field = partitionField(term, source, fields.length);
    checkName(form, columns, fields, field);
    const meaning = `${source.id} ${meaningOf(term)}`;
    if (meanings.has(meaning)) throw problem(form, "an earlier one partitions the same way");
    meanings.add(meaning);
    fields.push(field);
  }
  return { specId: 0, fields };
}

/** Columns that forms name and that are not there (yet). Throws `usage` as {@link partitionSpecOf}. */
export function missingColumns(columns: readonly Field[], forms: readonly string[]): string[] {
  const named = forms.map((form) => parseTerm(form).column);
  return named.filter((column) => findColumn(columns, column) === null);
}

function parseTerm(form: string): Term {
  const call = /^\s*(\w+)\s*\((.*)\)\s*$/s.exec(form);
  if (call === null) return { transform: "identity", column: bareColumn(form), number: null };
  const name = (call[1] ?? "").toLowerCase();
  const transform = ALIASES[name] ?? (name in RULES ? (name as TransformName) : null);
  if (transform === null) {
    throw problem(form, `${call[1]} is none of ${Object.keys(RULES).join(", ")}`);
  }
  const inside = (call[2] ?? "").trim();
  if (inside === "") throw problem(form, "it names no column");
  if (!RULES[transform].takesNumber) return { transform, column: inside, number: null };
  const numberFirst = /^(\d{1,9})\s*,\s*(.+)$/s.exec(inside);
  const numberLast = /^(.+?)\s*,\s*(\d{1,9})$/s.exec(inside);
  const column = numberFirst?.[2] ?? numberLast?.[1];
  const number = Number(numberFirst?.[1] ?? numberLast?.[2] ?? 0);
  if (column === undefined || number < 1) {
    throw problem(form, `write ${transform}(16, column) with a number above 0`);
  }
  return { transform, column, number };
}

function bareColumn(form: string): string {
  if (form.trim() === "") throw problem(form, "it is empty");
  if (/^\w+\s*\(|\)\s*$/.test(form)) {
    throw problem(
      form,
      "its parentheses do not match; write identity(...) for a column of this name",
    );
  }
  return form.trim();
}

function checkType(form: string, term: Term, source: Field): void {
  if (!isPrimitive(source.type)) {
    throw problem(form, `${term.column} is a ${source.type.kind}, not a single value`);
  }
  const kinds: readonly string[] | null = RULES[term.transform].kinds;
  if (kinds !== null && !kinds.includes(source.type.kind)) {
    const type = primitiveName(source.type);
    throw problem(form, `${term.column} is ${type}; ${term.transform} takes ${kinds.join(", ")}`);
  }
  const widthMax = truncateWidthMax(source.type);
  if (term.transform === "truncate" && widthMax !== null && (term.number ?? 0) > widthMax) {
    const type = primitiveName(source.type);
    throw problem(
      form,
      `${term.column} is ${type}; a width above ${widthMax} has results beyond it`,
    );
  }
}

function partitionField(term: Term, source: Field, index: number): PartitionField {
  return {
    sourceId: source.id,
    fieldId: PARTITION_FIELD_ID_NONE + 1 + index,
    name: term.column + RULES[term.transform].suffix,
    transform: term.number === null ? term.transform : `${term.transform}[${term.number}]`,
  };
}

/** A partition may have a column's name only when it is that column's identity. */
function checkName(
  form: string,
  columns: readonly Field[],
  fields: readonly PartitionField[],
  field: PartitionField,
): void {
  if (fields.some((other) => other.name === field.name)) {
    throw problem(form, `the partition name ${field.name} is taken by an earlier one`);
  }
  const column = findColumn(columns, field.name);
  if (column !== null && (field.transform !== "identity" || column.id !== field.sourceId)) {
    throw problem(form, `the table has a column ${field.name}, as the partition would be called`);
  }
}

/** What makes two partitions of one column redundant: Java's `dedupName`. */
function meaningOf(term: Term): string {
  const isTime = ["year", "month", "day", "hour"].includes(term.transform);
  return isTime ? "time" : `${term.transform} ${term.number ?? ""}`;
}

function problem(form: string, reason: string): AppError {
  return fail("usage", `Partition ${JSON.stringify(form)}: ${reason}`, { partition: form });
}

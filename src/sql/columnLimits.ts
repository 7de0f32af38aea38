/**
 * Limits that a statement's WHERE sets to columns of a table, by which data files are left out: none of their
 * rows can be in the answer. Pure, but for the value of an expression, which DuckDB is asked for.
 *
 * Only what is certain counts: conditions joined by AND, of a column against a constant, right at the one
 * place where the statement reads the table. The engine judges every row that is left itself.
 */
import type { Json } from "#base/json.ts";
import { type Field, isPrimitive, type Type } from "#columns/schema.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { compareValues, decodeSingleValue } from "#iceberg/singleValue.ts";

type Operator = "=" | "<" | "<=" | ">" | ">=";

/** A constant, as DuckDB has it. */
export interface Constant {
  /** DuckDB's name of its type. */
  readonly type: string;
  readonly text: string;
  /** Microseconds since the epoch, where it can be a time. */
  readonly micros: string | null;
}

/** `column operator constant` holds for every row that the statement may need. */
export interface ColumnLimit {
  /** Empty, or the name or alias of the table that stands before the column's. */
  readonly of: string;
  /** In lower case. */
  readonly column: string;
  readonly operator: Operator;
  readonly constant: Constant;
}

/** Limits by {@link relationKey}. */
export type ColumnLimits = ReadonlyMap<string, readonly ColumnLimit[]>;

/** A relation's name in one text. */
export function relationKey(schema: string, table: string): string {
  return JSON.stringify([schema.toLowerCase(), table.toLowerCase()]);
}

type Node = { readonly [key: string]: Json };

const OPERATORS: Readonly<Record<string, readonly [Operator, mirrored: Operator]>> = {
  COMPARE_EQUAL: ["=", "="],
  COMPARE_LESSTHAN: ["<", ">"],
  COMPARE_LESSTHANOREQUALTO: ["<=", ">="],
  COMPARE_GREATERTHAN: [">", "<"],
  COMPARE_GREATERTHANOREQUALTO: [">=", "<="],
};

/** Functions of constants that give the same as when the statement runs; `now` is later then. */
const ARITHMETIC = /^(?:[-+*]|to_(?:milliseconds|seconds|minutes|hours|days|weeks|months|years))$/;
const CLOCK = new Set(["now", "get_current_timestamp", "current_timestamp", "today"]);

/**
 * Finds the limits of a statement.
 * @param evaluate the value of an expression without columns; null: it has none
 */
export function columnLimits(tree: Json, evaluate: (node: Json) => Constant | null): ColumnLimits {
  const limits = new Map<string, ColumnLimit[]>();
  const references = new Map<string, number>();
  for (const node of nodesOf(tree)) {
    const table = filteredTable(node);
    if (table !== null) {
      limits.set(keyOf(table), limitsOf(node["where_clause"] ?? null, table, evaluate));
    }
    if (node["type"] !== "BASE_TABLE") continue;
    references.set(keyOf(node), (references.get(keyOf(node)) ?? 0) + 1);
  }
  // Each place where a table is read wants other rows.
  return new Map([...limits].filter(([key]) => references.get(key) === 1));
}

function* nodesOf(value: Json): Generator<Node> {
  if (value === null || typeof value !== "object") return;
  if (!Array.isArray(value)) yield value;
  for (const each of Object.values(value)) yield* nodesOf(each);
}

/** The table whose rows a SELECT filters. */
function filteredTable(node: Node): Node | null {
  const from = node["from_table"];
  if (node["type"] !== "SELECT_NODE" || from === null || typeof from !== "object") return null;
  const table = from as Node;
  // `FROM t AS r(a, b)` gives columns other names; a sample is taken before WHERE.
  const isRenamed = (table["column_name_alias"] as readonly Json[] | undefined)?.length !== 0;
  const isSampled = table["sample"] !== null || node["sample"] !== null;
  const isPlain = table["type"] === "BASE_TABLE" && table["at_clause"] === null;
  return isPlain && !isRenamed && !isSampled ? table : null;
}

function keyOf(table: Node): string {
  return relationKey(String(table["schema_name"]), String(table["table_name"]));
}

function limitsOf(
  condition: Json,
  table: Node,
  evaluate: (node: Json) => Constant | null,
): ColumnLimit[] {
  if (condition === null || typeof condition !== "object") return [];
  const node = condition as Node;
  if (node["type"] === "CONJUNCTION_AND") {
    const children = node["children"];
    return Array.isArray(children)
      ? children.flatMap((each) => limitsOf(each, table, evaluate))
      : [];
  }
  // With an alias, the table's own name is another relation's.
  const name = String(table["alias"] || table["table_name"]).toLowerCase();
  return comparisonsOf(node).flatMap(({ column, operator, value }) => {
    const found = columnOf(column, name);
    const isLater = mentionsClock(value) && operator !== ">" && operator !== ">=";
    if (found === null || isLater || !isConstant(value)) return [];
    const constant = evaluate(value);
    return constant === null ? [] : [{ ...found, operator, constant }];
  });
}

interface Comparison {
  readonly column: Json;
  readonly operator: Operator;
  readonly value: Json;
}

function comparisonsOf(node: Node): Comparison[] {
  if (node["type"] === "COMPARE_BETWEEN") {
    const { input = null, lower = null, upper = null } = node;
    return [
      { column: input, operator: ">=", value: lower },
      { column: input, operator: "<=", value: upper },
    ];
  }
  const operators = node["class"] === "COMPARISON" ? OPERATORS[String(node["type"])] : undefined;
  if (operators === undefined) return [];
  const { left = null, right = null } = node;
  return [
    { column: left, operator: operators[0], value: right },
    { column: right, operator: operators[1], value: left },
  ];
}

function columnOf(value: Json, name: string): Pick<ColumnLimit, "of" | "column"> | null {
  const node = value as Node | null;
  const parts = node?.["class"] === "COLUMN_REF" ? node["column_names"] : null;
  if (!Array.isArray(parts)) return null;
  const [first = "", second = "", ...others] = parts.map((each) => String(each).toLowerCase());
  if (parts.length === 1) return { of: "", column: first };
  return others.length === 0 && first === name ? { of: first, column: second } : null;
}

function isConstant(value: Json): boolean {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  switch (value["class"]) {
    case "CONSTANT":
      return true;
    case "CAST":
      return isConstant(value["child"] ?? null);
    case "FUNCTION": {
      const name = String(value["function_name"]);
      const children = value["children"];
      const isKnown = ARITHMETIC.test(name) || CLOCK.has(name);
      // What the time is taken from becomes less until the statement runs.
      if (name === "-" && Array.isArray(children) && mentionsClock(children.at(-1) ?? null)) {
        return false;
      }
      return isKnown && Array.isArray(children) && children.every(isConstant);
    }
    default:
      return false;
  }
}

function mentionsClock(value: Json): boolean {
  for (const node of nodesOf(value)) if (CLOCK.has(String(node["function_name"]))) return true;
  return false;
}

/**
 * Whether a data file may have a row within all limits.
 * @param fields of the table
 */
export function mayHold(
  file: Pick<DataFile, "lowerBounds" | "upperBounds">,
  fields: readonly Field[],
  limits: readonly ColumnLimit[],
): boolean {
  const byName = new Map(fields.map((field) => [field.name.toLowerCase(), field]));
  return limits.every((limit) => {
    const field = byName.get(limit.column);
    // `a.b` is a field of column `a` where there is one.
    return field === undefined || byName.has(limit.of) || isWithin(file, field, limit);
  });
}

function isWithin(
  { lowerBounds, upperBounds }: Pick<DataFile, "lowerBounds" | "upperBounds">,
  { id, type }: Field,
  { operator, constant }: ColumnLimit,
): boolean {
  const value = comparable(type, constant);
  if (value === null || !isPrimitive(type)) return true;
  const order = (bytes: Uint8Array | undefined, unknown: number): number =>
    bytes === undefined || isOfDate(type, bytes)
      ? unknown
      : compareValues(type, decodeSingleValue(type, bytes), value);
  const least = order(lowerBounds.get(id), -1);
  const greatest = order(upperBounds.get(id), 1);
  switch (operator) {
    case "=":
      return least <= 0 && greatest >= 0;
    case "<":
      return least < 0;
    case "<=":
      return least <= 0;
    case ">":
      return greatest > 0;
    case ">=":
      return greatest >= 0;
  }
}

/** A bound of a column that was a date when the file was written: days. */
function isOfDate(type: Type, bytes: Uint8Array): boolean {
  return type.kind === "timestamp" && bytes.length === 4;
}

const INTEGERS = /^U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/;
const TIMES = new Set(["TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE"]);
/** A text that is a time to DuckDB, in UTC: without a zone. */
const TIME_TEXT = /^\d{4}-\d\d-\d\d(?:[ T][\d:.]+)?$/;

/** A constant as DuckDB compares it with a column of a type; null: otherwise than as that type. */
function comparable(
  type: Type,
  { type: of, text, micros }: Constant,
): string | number | bigint | null {
  switch (type.kind) {
    case "int":
      return INTEGERS.test(of) ? Number(text) : null;
    case "long":
      return INTEGERS.test(of) ? BigInt(text) : null;
    case "string":
      return of === "VARCHAR" ? text : null;
    case "timestamp": {
      const isTime = TIMES.has(of) || (of === "VARCHAR" && TIME_TEXT.test(text));
      return isTime && micros !== null ? BigInt(micros) : null;
    }
    default:
      return null;
  }
}

/**
 * Which statements may run (SPEC section 7): one SELECT, or the EXPLAIN of one, over relations that
 * are ours, with table functions of a short list. Pure, but for DuckDB's own parser, which it asks. How much
 * time and memory one takes is not judged here: the process that runs it has limits (`engineProcess.ts`).
 *
 * What runs is not the text that came in: DuckDB reads it into a tree, the tree is checked, and the
 * statement is written anew from the tree. So nothing can be in it that was not looked at.
 */
import { fail } from "#base/errors.ts";
import type { Json } from "#base/json.ts";
import { type ColumnLimits, type Constant, columnLimits } from "./columnLimits.ts";
import type { Instance } from "./duckdb/instance.ts";
import { type NamedColumns, namedColumns } from "./namedColumns.ts";
import { isTimeless } from "./timeless.ts";

/** A relation that a statement names. */
export interface RelationName {
  /** Empty when it is named without one. */
  readonly schema: string;
  readonly table: string;
  /** Time travel: a snapshot id, or a time as DuckDB reads it. */
  readonly at: { readonly unit: "version" | "timestamp"; readonly value: string } | null;
}

/** A statement that may run, once its relations are there. */
export interface Admitted {
  /** Written anew; a relation with `at` is `timeTravelName` of it. */
  readonly sql: string;
  readonly explain: "" | "EXPLAIN " | "EXPLAIN ANALYZE ";
  readonly relations: readonly RelationName[];
  readonly columns: NamedColumns;
  readonly limits: ColumnLimits;
  /** The same text is admitted so again, and planned alike (`timeless.ts`). */
  readonly isTimeless: boolean;
}

/** Table functions that read nothing but their arguments. */
const TABLE_FUNCTIONS = new Set(["range", "generate_series", "unnest", "json_each", "json_tree"]);

/** They change the engine, wait, or tell of it. */
const FORBIDDEN = new Set([
  "current_setting",
  "getenv",
  "getvariable",
  "nextval",
  "pg_sleep",
  "query",
  "query_table",
  "setseed",
  "sleep",
  "sleep_ms",
  "write_log",
]);

/** Deeper trees are refused: both the walk and DuckDB's own writer recurse. */
const DEPTH_MAX = 400;

type Node = { readonly [key: string]: Json };

/**
 * Reads a statement and checks it.
 * @throws AppError `query` with a sentence for the one who asked
 */
export function admit(instance: Instance, text: string): Admitted {
  const [, analyze, rest] = /^\s*explain(\s+analyze)?\s+(.*)$/is.exec(text) ?? [];
  const explain = rest === undefined ? "" : analyze === undefined ? "EXPLAIN " : "EXPLAIN ANALYZE ";
  const tree = parseTree(instance, rest ?? text);
  const walk = new Walk();
  walk.visit(tree, 0);
  const limits = columnLimits(tree, (node) => constantOfTree(instance, node));
  const [row] = instance.rowsOften(WRITTEN, [JSON.stringify(tree)]);
  const sql = row?.[0];
  if (sql === undefined || sql === null) throw fail("query", "The statement cannot be read");
  const relations = walk.relations();
  return {
    sql,
    explain,
    relations,
    columns: namedColumns(tree),
    limits,
    isTimeless: isTimeless(tree),
  };
}

const READ = "SELECT json_serialize_sql(?::VARCHAR)";
const WRITTEN = "SELECT json_deserialize_sql(?::JSON)";

/** The value of an expression without columns; null when it has none. */
function constantOfTree(instance: Instance, expression: Json): Constant | null {
  const plain = plainInteger(expression as Node);
  if (plain !== null) return plain;
  const tree = { ...EMPTY_SELECT, select_list: [expression] };
  const json = JSON.stringify({ error: false, statements: [{ node: tree, named_param_map: [] }] });
  try {
    const [written] = instance.rowsOften(WRITTEN, [json]);
    const value = `(${written?.[0] ?? "NULL"})`;
    const [row] = instance.rows(
      `SELECT typeof(v), v::VARCHAR, epoch_us(TRY_CAST(v AS TIMESTAMPTZ))::VARCHAR FROM (SELECT ${value} AS v)`,
    );
    const [type, text, micros = null] = row ?? [];
    return typeof type === "string" && typeof text === "string" ? { type, text, micros } : null;
  } catch {
    // The statement itself will tell.
    return null;
  }
}

/** The value of a whole number as it is written, which nobody has to be asked for; null: it is none. */
function plainInteger({ class: kind, value }: Node): Constant | null {
  if (kind !== "CONSTANT" || value === null || typeof value !== "object") return null;
  const { type, is_null: isNull, value: number } = value as Node;
  const name = (type as Node | undefined)?.["id"];
  const isPlain = (name === "INTEGER" || name === "BIGINT") && isNull === false;
  if (!isPlain || !Number.isSafeInteger(number)) return null;
  return { type: name, text: String(number), micros: null };
}

/** A SELECT of nothing, as DuckDB's trees have it. */
const EMPTY_SELECT = {
  type: "SELECT_NODE",
  modifiers: [],
  cte_map: { map: [] },
  from_table: { type: "EMPTY", alias: "", sample: null },
  where_clause: null,
  group_expressions: [],
  group_sets: [],
  aggregate_handling: "STANDARD_HANDLING",
  having: null,
  sample: null,
  qualify: null,
};

/** The view that stands for a relation at another time. */
export function timeTravelName({ schema, table, at }: RelationName): string {
  const name = schema === "" ? table : `${schema}.${table}`;
  return at === null ? name : `${name} at ${at.unit} ${at.value}`;
}

/** `JSON.rawJSON` is standard, but not yet in TypeScript's library. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** DuckDB tells `10` from `10.0`, and has integers of 128 bits: such numbers stay as they are written. */
function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  const isWritten = typeof value !== "number" || context?.source === String(value);
  return isWritten ? value : rawJSON(context?.source ?? "");
}

function parseTree(instance: Instance, text: string): Json {
  const [row] = instance.rowsOften(READ, [text]);
  const tree = JSON.parse(row?.[0] ?? "{}", exactNumber as typeof JSON.parse) as Node;
  if (tree["error"] === true) {
    const isOther = tree["error_type"] === "not implemented";
    throw fail(
      "query",
      isOther
        ? "Only a SELECT, or an EXPLAIN of one, may be asked (a PIVOT statement is two: write SELECT ... FROM (PIVOT ...))"
        : `The statement cannot be read: ${String(tree["error_message"])}`,
    );
  }
  const statements = tree["statements"];
  if (!Array.isArray(statements) || statements.length !== 1) {
    throw fail("query", "One statement at a time");
  }
  return tree;
}

/** One look at every node of a tree. */
class Walk {
  readonly #tables: RelationName[] = [];
  readonly #common = new Set<string>();

  /** Relations that are no common table expression of the statement. */
  relations(): RelationName[] {
    return this.#tables.filter(
      ({ schema, table }) => schema !== "" || !this.#common.has(table.toLowerCase()),
    );
  }

  visit(value: Json, depth: number): void {
    if (depth > DEPTH_MAX) throw fail("query", "The statement is nested too deeply");
    if (Array.isArray(value)) {
      for (const each of value) this.visit(each, depth + 1);
      return;
    }
    if (value === null || typeof value !== "object") return;
    this.#node(value);
    for (const each of Object.values(value)) this.visit(each, depth + 1);
  }

  #node(node: { [key: string]: Json }): void {
    if (node["type"] === "BASE_TABLE") this.#table(node);
    if (node["type"] === "SHOW_REF" && node["query"] === null) this.#show(node);
    if (node["type"] === "TABLE_FUNCTION") checkTableFunction(node["function"] as Node);
    if (node["class"] === "FUNCTION") checkFunction(node);
    const common = node["cte_map"];
    if (common === undefined || common === null || typeof common !== "object") return;
    const entries = (common as Node)["map"];
    for (const entry of Array.isArray(entries) ? entries : []) {
      this.#common.add(String((entry as Node)["key"]).toLowerCase());
    }
  }

  #table(node: { [key: string]: Json }): void {
    const schema = String(node["schema_name"]);
    const table = String(node["table_name"]);
    if (node["catalog_name"] !== "") {
      throw fail(
        "query",
        `${String(node["catalog_name"])}.${schema}.${table}: a name has two parts`,
      );
    }
    const relation: RelationName = { schema, table, at: timeOf(node["at_clause"] ?? null) };
    this.#tables.push(relation);
    if (relation.at === null) return;
    node["at_clause"] = null;
    node["schema_name"] = "";
    node["table_name"] = timeTravelName(relation);
    if (node["alias"] === "") node["alias"] = table;
  }

  /** `SHOW TABLES` lists what is there; every other form tells of the engine. */
  #show(node: Node): void {
    if (node["table_name"] === '"tables"') return;
    throw fail("query", "SHOW is for TABLES; to see columns: DESCRIBE the table");
  }
}

function checkTableFunction(call: Node): void {
  const name = String(call["function_name"]).toLowerCase();
  if (TABLE_FUNCTIONS.has(name)) return;
  const allowed = [...TABLE_FUNCTIONS].join(", ");
  throw fail("query", `${name}() may not be called: table functions of a statement are ${allowed}`);
}

function checkFunction(call: Node): void {
  const name = String(call["function_name"]).toLowerCase();
  if (FORBIDDEN.has(name)) throw fail("query", `${name}() may not be called`);
}

function timeOf(clause: Json): RelationName["at"] {
  if (clause === null || typeof clause !== "object") return null;
  const { unit, expr } = clause as Node;
  const constant = constantOf(expr as Node);
  const isKnown = unit === "VERSION" || unit === "TIMESTAMP";
  if (constant === null || !isKnown) {
    throw fail(
      "query",
      "AT takes (VERSION => a snapshot id) or (TIMESTAMP => a time), as constants",
    );
  }
  return { unit: unit === "VERSION" ? "version" : "timestamp", value: constant };
}

/** The constant of an expression, casts around it set aside; null when it is none. */
function constantOf(node: Node): string | null {
  if (node["class"] === "CAST") return constantOf(node["child"] as Node);
  if (node["class"] !== "CONSTANT") return null;
  const value = (node["value"] as Node)["value"] ?? null;
  if (value === null || typeof value !== "object") return value === null ? null : String(value);
  // A number that was kept as it is written.
  return typeof (value as Node)["rawJSON"] === "string" ? String((value as Node)["rawJSON"]) : null;
}

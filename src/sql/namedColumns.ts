/**
 * Which columns a statement may read, from DuckDB's tree of it. Pure.
 *
 * Too many are no fault: files of a store are fetched by it, and a column that is missing is an error of
 * DuckDB's, never a wrong answer. What would read a column without naming it counts as all of them.
 */
import type { Json } from "#base/json.ts";
import type { Field } from "#columns/schema.ts";

/** Names in lower case, some of which are no columns; null: any column may be read. */
export type NamedColumns = ReadonlySet<string> | null;

/** Expressions that stand for columns by their place, or for all. */
const WHOLE_CLASSES = new Set(["STAR", "POSITIONAL_REFERENCE"]);
/** Relations whose columns depend on all columns of what they are made of. */
const WHOLE_TYPES = new Set(["SHOW_REF", "PIVOT"]);

/** Every name of a statement's tree, unless it reads columns that it does not name. */
export function namedColumns(tree: Json): NamedColumns {
  const names = new Names();
  names.visit(tree);
  return names.readsUnnamed ? null : names.texts;
}

/** The names, and others that are read beside them. */
export function withNames(named: NamedColumns, others: readonly string[]): NamedColumns {
  return named?.union(new Set(others.map((each) => each.toLowerCase()))) ?? null;
}

/** Those of some fields that a statement may read; at least one: DuckDB counts rows by a column. */
export function fieldsNamed(fields: readonly Field[], named: NamedColumns): readonly Field[] {
  if (named === null) return fields;
  const wanted = fields.filter(({ name }) => named.has(name.toLowerCase()));
  if (wanted.length > 0) return wanted;
  return fields.toSorted((a, b) => cost(a) - cost(b)).slice(0, 1);
}

/** Types whose columns are small, smallest first. */
const SMALL = ["boolean", "int", "date", "float", "long", "time", "timestamp", "double"];

function cost({ type }: Field): number {
  const rank = SMALL.indexOf(type.kind);
  return rank === -1 ? SMALL.length : rank;
}

type Node = { readonly [key: string]: Json };

/** What one look at every node of a tree finds. */
class Names {
  readonly texts = new Set<string>();
  /** Names and aliases of relations. */
  readonly #relations = new Set<string>();
  /** Last parts of references to columns. */
  readonly #references = new Set<string>();
  #isWhole = false;

  get readsUnnamed(): boolean {
    // The name of a relation, as a value, is its whole row.
    return this.#isWhole || !this.#references.isDisjointFrom(this.#relations);
  }

  visit(value: Json): void {
    if (typeof value === "string") this.texts.add(value.toLowerCase());
    if (value === null || typeof value !== "object") return;
    if (!Array.isArray(value)) this.#node(value);
    for (const each of Object.values(value)) this.visit(each);
  }

  #node(node: Node): void {
    this.#isWhole ||= isWhole(node);
    if (node["class"] === "COLUMN_REF") add(this.#references, lastOf(node["column_names"]));
    if (node["class"] !== undefined) return;
    add(this.#relations, node["alias"]);
    add(this.#relations, node["table_name"]);
  }
}

function isWhole(node: Node): boolean {
  return (
    WHOLE_CLASSES.has(String(node["class"])) ||
    WHOLE_TYPES.has(String(node["type"])) ||
    node["ref_type"] === "NATURAL" ||
    // `FROM t AS r(a, b)` names columns by their place.
    lastOf(node["column_name_alias"]) !== undefined
  );
}

function lastOf(value: Json | undefined): Json | undefined {
  return Array.isArray(value) ? value.at(-1) : undefined;
}

function add(names: Set<string>, value: Json | undefined): void {
  if (typeof value === "string" && value !== "") names.add(value.toLowerCase());
}

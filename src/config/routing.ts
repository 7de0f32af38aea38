/**
 * The tables that records name: `iceberg.route_field`, `route_table` and `routes` (SPEC section 4).
 */
import type { TableName } from "#catalog/catalog.ts";
import { checkTableName } from "#catalog/names.ts";
import type { WriterOptions } from "#writer/parts.ts";
import type { PipelineValues } from "./keys.ts";
import { LETTERS_SUFFIX } from "./letterTable.ts";
import { filled, keptForm, namespaceOf, PLACEHOLDERS, placeholdersOf } from "./tableNames.ts";

/** What stands for the value of `iceberg.route_field` in `iceberg.route_table`, and nowhere else. */
const ROUTE = "{route}";

/** The tables that the records of a topic name. */
export interface Routes {
  /** The table of a value; null: it names none, and its records are the topic's own table's. */
  tableOf(topic: string, value: string): TableName | null;
  /** The value that names a table of a topic, by the table's own name; null: none does. */
  valueOf(topic: string, table: string): string | null;
  /** Values whose tables are known from the start. */
  readonly values: readonly string[];
  /** True: any other value names a table as well. */
  readonly isOpen: boolean;
}

/** The tables that records name by `iceberg.route_field`. */
export function routesOf(values: PipelineValues): Routes {
  const known = new Map(Object.entries(values["iceberg.routes"]));
  const isOpen = known.size === 0;
  const template = values["iceberg.route_table"] ?? `{topic}_${ROUTE}`;
  const [before = "", after = ""] = (values["iceberg.table_prefix"] + template).split(ROUTE);
  const named = (topic: string, table: string): TableName | null => {
    const namespace = namespaceOf(values).map((level) => filled(values, level, topic));
    // The names of side tables are theirs, whatever a record says.
    const isSide = table.endsWith(LETTERS_SUFFIX);
    return !isSide && isTableName({ namespace, table }) ? { namespace, table } : null;
  };
  const around = (topic: string): readonly [string, string] => [
    filled(values, before, topic),
    filled(values, after, topic),
  ];
  return {
    isOpen,
    values: [...known.keys()],
    tableOf: (topic, value) => {
      const form = known.get(value);
      if (form !== undefined) {
        return named(topic, values["iceberg.table_prefix"] + filled(values, form, topic));
      }
      return isOpen ? named(topic, around(topic).join(keptForm(values, value))) : null;
    },
    valueOf: (topic, table) => {
      const [head, tail] = around(topic);
      const isOwn = table.length > head.length + tail.length;
      if (!isOpen || !isOwn || table.endsWith(LETTERS_SUFFIX)) return null;
      if (!table.startsWith(head) || !table.endsWith(tail)) return null;
      return table.slice(head.length, table.length - tail.length);
    },
  };
}

function isTableName(name: TableName): boolean {
  try {
    checkTableName(name);
    return true;
  } catch {
    return false;
  }
}

/** Tables that records name. */
export interface RoutingOptions extends Routes {
  /** The field's path. */
  readonly field: string;
  readonly branch: string;
  /** Settings of such a table; null: the value names none. */
  readonly writer: (topic: string, value: string) => WriterOptions | null;
}

/**
 * Those of a pipeline; null: records name none.
 * @param writerFor settings of a table
 */
export function routingOptions(
  values: PipelineValues,
  writerFor: (name: TableName) => WriterOptions,
): RoutingOptions | null {
  const field = values["iceberg.route_field"];
  if (field === null) return null;
  const routes = routesOf(values);
  return {
    ...routes,
    field,
    branch: values["iceberg.branch"],
    writer: (topic, value) => {
      const name = routes.tableOf(topic, value);
      return name === null ? null : writerFor(name);
    },
  };
}

/** @param report one problem of a key */
export function checkRoutes(
  values: PipelineValues,
  report: (key: keyof PipelineValues & string, problem: string) => void,
): void {
  const field = values["iceberg.route_field"];
  const table = values["iceberg.route_table"];
  const routes = Object.values(values["iceberg.routes"]);
  if (field === null) {
    const key = table === null ? "iceberg.routes" : "iceberg.route_table";
    if (table !== null || routes.length > 0) report(key, "needs iceberg.route_field");
    return;
  }
  const format = values["source.format"];
  if (format === "string" || format === "bytes") {
    report("iceberg.route_field", `source.format = "${format}": its values have no fields`);
  }
  if (table !== null && routes.length > 0) report("iceberg.route_table", "excludes iceberg.routes");
  const holds = (text: string, more: readonly string[]): boolean =>
    placeholdersOf(text).every((name) => name in PLACEHOLDERS || more.includes(name));
  if (table !== null && (table.split("{route}").length !== 2 || !holds(table, ["route"]))) {
    const known = Object.keys(PLACEHOLDERS).map((name) => `{${name}}`);
    report("iceberg.route_table", `must hold {route} once, and else only ${known.join(", ")}`);
  }
  const bad = routes.find((text) => text === "" || !holds(text, []));
  if (bad !== undefined) report("iceberg.routes", `"${bad}" is no name of a table`);
}

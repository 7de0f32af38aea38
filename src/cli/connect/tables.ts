/**
 * What a sink says of its tables: their names, which records go where, how they are made and committed.
 */
import type { Draft, TomlValue } from "./draft.ts";
import { splitList } from "./kafka.ts";

const P = "iceberg.tables.";

/** Translates tables, routing and commits. `name`: the sink's. */
export function importTables(draft: Draft, name: string): void {
  const tables = splitList(draft.take("iceberg.tables"));
  const routeField = draft.take(`${P}route-field`);
  const isDynamic = draft.take(`${P}dynamic-enabled`) === "true";
  importDefaults(draft);
  const partitionBy = draft.take(`${P}default-partition-by`);
  if (routeField !== null) partition(partitionBy, (key, value) => draft.set(key, value));
  if (isDynamic && routeField !== null) dynamicTables(draft, routeField);
  else if (routeField !== null) routedTables(draft, routeField, tables);
  else namedTables(draft, tables, partitionBy, name);
  importCommits(draft);
}

function importDefaults(draft: Draft): void {
  const isCreated = draft.take(`${P}auto-create-enabled`) === "true";
  draft.set("iceberg.table_management.auto_create_if_missing", isCreated);
  const isEvolved = draft.take(`${P}evolve-schema-enabled`) === "true";
  draft.set("schema.on_unknown_field", isEvolved || isCreated ? "evolve" : "ignore");
  if (isCreated && !isEvolved) {
    draft.note(
      'New fields become columns (the sink makes tables and never widens them): with a declared [schema], on_unknown_field = "ignore" keeps them out.',
    );
  }
  if (draft.take(`${P}schema-case-insensitive`) === "true") {
    draft.set("schema.match_columns", "ignore-case");
  }
  draft.take(`${P}schema-force-optional`);
  const branch = draft.take(`${P}default-commit-branch`);
  if (branch !== null) draft.set("iceberg.branch", branch);
  // The sink stores the fields of a record and nothing of Kafka's.
  draft.set("source.metadata_columns", []);
  importProperties(draft);
  importChanges(draft);
}

function importChanges(draft: Draft): void {
  for (const key of [`${P}cdc-field`, `${P}default-id-columns`]) {
    if ((draft.take(key) ?? "") !== "") draft.refuse(key, "rows are appended; see source.mode");
  }
  const upsert = `${P}upsert-mode-enabled`;
  if (draft.take(upsert) === "true") draft.refuse(upsert, "rows are appended; see source.mode");
}

/** Properties of new tables; those of writing have keys of their own. */
function importProperties(draft: Draft): void {
  const properties = Object.fromEntries([
    ...draft.takeAll(`${P}auto-create-props.`),
    ...draft.takeAll(`${P}write-props.`),
  ]);
  const { "format-version": version, ...others } = properties;
  const codec = others["write.parquet.compression-codec"];
  if (version !== undefined && version !== "1") {
    draft.set("iceberg.write.format_version", Number(version));
  } else if (version === "1") {
    draft.refuse(`${P}auto-create-props.format-version`, "tables are made with version 2 or 3");
  }
  if (codec !== undefined) {
    draft.set("iceberg.write.compression", codec === "uncompressed" ? "none" : codec);
  }
  if (Object.keys(others).length > 0) draft.set("iceberg.write.properties", others);
}

/** Every record goes into every table: a pipeline each. */
function namedTables(
  draft: Draft,
  tables: readonly string[],
  partitionBy: string | null,
  name: string,
): void {
  const [only] = tables;
  if (only === undefined || tables.length === 1) {
    const set = (key: string, value: TomlValue): void => draft.set(key, value);
    if (only !== undefined) tableSettings(draft, only, partitionBy, set);
    else {
      partition(partitionBy, set);
      draft.note("The sink names no table: each topic has one of its own name.");
    }
    return;
  }
  for (const table of tables) {
    const settings = new Map<string, TomlValue>();
    const set = (key: string, value: TomlValue): void => void settings.set(key, value);
    // Two pipelines of one group on one topic would get a part of its partitions each.
    set("kafka.consumer_group", `kafka-iceberg-${name}-${table}`);
    tableSettings(draft, table, partitionBy, set);
    draft.pipeline(table.replace(/[^A-Za-z0-9_-]/g, "_"), settings);
  }
}

function nameInto(table: string, set: (key: string, value: TomlValue) => void): void {
  const dot = table.lastIndexOf(".");
  if (dot > 0) set("iceberg.database_name", table.slice(0, dot));
  set("iceberg.table_name", table.slice(dot + 1));
}

/** Name and keys of one table. */
function tableSettings(
  draft: Draft,
  table: string,
  partitionBy: string | null,
  set: (key: string, value: TomlValue) => void,
): void {
  nameInto(table, set);
  const prefix = `iceberg.table.${table}.`;
  partition(draft.take(`${prefix}partition-by`) ?? partitionBy, set);
  const branch = draft.take(`${prefix}commit-branch`);
  if (branch !== null) set("iceberg.branch", branch);
  const ids = draft.take(`${prefix}id-columns`);
  if (ids !== null) draft.refuse(`${prefix}id-columns`, "rows are appended; see source.mode");
}

/** Records name their table by a field that a pattern of each table is tried on. */
function routedTables(draft: Draft, field: string, tables: readonly string[]): void {
  draft.set("iceberg.route_field", field);
  const routes: Record<string, string> = {};
  const databases = new Set<string>();
  for (const table of tables) {
    const key = `iceberg.table.${table}.route-regex`;
    const pattern = draft.take(key);
    const values = pattern === null ? null : alternativesOf(pattern);
    const dot = table.lastIndexOf(".");
    if (pattern === null) draft.refuse(key, `it is not set, so that no record goes into ${table}`);
    else if (values === null) {
      draft.refuse(
        key,
        "values are listed one by one in iceberg.routes, patterns are not known there",
      );
    }
    if (dot > 0) databases.add(table.slice(0, dot));
    for (const value of values ?? []) routes[value] = table.slice(dot + 1);
    perTableOnly(draft, table);
  }
  const [database] = databases;
  if (databases.size > 1) {
    draft.refuse(
      "iceberg.tables",
      "its tables are in several databases; routes have one: iceberg.database_name",
    );
  }
  if (database !== undefined) draft.set("iceberg.database_name", database);
  if (Object.keys(routes).length > 0) draft.set("iceberg.routes", routes);
  draft.note(
    "Records that no route takes go into a table of the topic's name; the sink drops them.",
  );
}

/** The field's value is the name of the table. */
function dynamicTables(draft: Draft, field: string): void {
  draft.set("iceberg.route_field", field);
  draft.set("iceberg.route_table", "{route}");
  draft.note(
    "The field's value names a table in iceberg.database_name; where it holds a database as well, as in db.table, name tables without it.",
  );
}

/** With routes all tables of a pipeline have the same settings. */
function perTableOnly(draft: Draft, table: string): void {
  for (const name of ["partition-by", "commit-branch", "id-columns"]) {
    const key = `iceberg.table.${table}.${name}`;
    if (draft.take(key) !== null) {
      draft.refuse(key, "tables of one route have the same settings; use a pipeline of its own");
    }
  }
}

/** The values that a pattern stands for: `a`, `^a$`, `a|b`, `(a|b)`; null: it is a pattern. */
function alternativesOf(pattern: string): string[] | null {
  const bare = pattern
    .replace(/^\^/, "")
    .replace(/\$$/, "")
    .replace(/^\((?:\?:)?(.*)\)$/, "$1");
  const parts = bare.split("|");
  if (parts.some((part) => /[\\^$*+?()[\]{}.]/.test(part.replace(/\\[.\-_]/g, "")))) return null;
  return parts.map((part) => part.replace(/\\(.)/g, "$1"));
}

/** Connect's `days(ts), bucket(id, 16)` are terms of our `partitioning.spec`; without any, a table has none. */
function partition(text: string | null, set: (key: string, value: TomlValue) => void): void {
  const terms = (text ?? "").match(/[^,(]+(?:\([^)]*\))?/g)?.map((term) => term.trim()) ?? [];
  const spec = terms
    .filter((term) => term !== "")
    .map((term) => term.replace(/^(year|month|day|hour)s\(/, "$1(").replace(/\s*,\s*/g, ", "));
  if (spec.length > 0) set("partitioning.spec", spec);
  else set("partitioning.partition_strategy", "none");
}

function importCommits(draft: Draft): void {
  const interval = draft.take("iceberg.control.commit.interval-ms");
  if (interval !== null) draft.set("iceberg.commit.interval_ms", Number(interval));
  // There is no coordinator beside the tables, so that nothing of it can be set.
  for (const key of [
    "iceberg.control.topic",
    "iceberg.control.group-id",
    "iceberg.control.group-id-prefix",
    "iceberg.control.commit.timeout-ms",
    "iceberg.control.commit.threads",
    "iceberg.coordinator.transactional.prefix",
    "iceberg.coordinator-executor-keep-alive-timeout-ms",
    "iceberg.coordinator.executor-keep-alive-timeout-ms",
    "iceberg.catalog",
  ]) {
    draft.take(key);
  }
  const hadoop = [...draft.takeAll("iceberg.hadoop.").keys()].map((key) => `iceberg.hadoop.${key}`);
  for (const key of hadoop) draft.refuse(key, "Hadoop is not used; see [storage]");
  const folder = "iceberg.hadoop-conf-dir";
  if (draft.take(folder) !== null) draft.refuse(folder, "Hadoop is not used; see [storage]");
}

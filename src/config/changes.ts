/**
 * Tables that follow changes (`source.mode` ktable and cdc, SPEC section 6): what their keys mean to a
 * decoder, and combinations that cannot be right.
 *
 * A change takes the place of the row that an earlier one left. So all changes of a row must come in one
 * order, which is that of their partition: they must lie in one, and go into one table.
 */

import type { TableName } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { DELETED, keyColumns } from "#decode/changes.ts";
import { isInEnvelope } from "#decode/metadata.ts";
import type { ChangeOptions, MetadataColumn, RowKeyOptions } from "#decode/options.ts";
import type { DeleteMode, WriterOptions } from "#writer/parts.ts";
import { knownTablesFor } from "./changeLog.ts";
import type { PipelineValues } from "./keys.ts";
import { columnOf } from "./shaping.ts";
import { placeholdersOf } from "./tableNames.ts";
import { topicsOf } from "./topics.ts";

/** How records change rows; null: each appends one. */
export function changeOptions(values: PipelineValues): ChangeOptions | null {
  const mode = values["source.mode"];
  if (mode === "kstream") return null;
  return {
    mode,
    keyFields: values["source.key_field"] ?? [],
    orderColumn: orderColumnOf(values),
    keyFormat: values["source.key_format"],
    onDelete: marksDeleted(values) ? "mark" : values["source.on_delete"],
    opField: values["source.op_field"],
  };
}

/** Columns of appended rows that Kafka's key fills; null: none. */
export function rowKeyOptions(values: PipelineValues): RowKeyOptions | null {
  const columns = values["source.key_field"];
  if (values["source.mode"] !== "kstream" || columns === null) return null;
  return { columns, format: values["source.key_format"] };
}

/** The columns that say which row a row is; none: rows are appended. */
export function keyColumnsOf(values: PipelineValues): readonly string[] {
  return keyColumns({
    changes: changeOptions(values),
    metadataPrefix: values["source.metadata_prefix"],
  });
}

/** True where every change is a row that stays. */
function keepsAll(values: PipelineValues): boolean {
  return values["iceberg.write.delete_mode"] === "append-dedupe";
}

/** True where a delete is a row. */
function marksDeleted(values: PipelineValues): boolean {
  const onDelete = values["source.on_delete"];
  return onDelete === "mark" || (onDelete === "delete" && keepsAll(values));
}

/** How a writer tells rows apart: by the key that they replace each other by, or as rows that stay. */
export function rowsOf(values: PipelineValues): Pick<WriterOptions, "key" | "order" | "latest"> {
  const key = keyColumnsOf(values);
  const orderField = orderColumnOf(values);
  if (!keepsAll(values)) return { key, order: orderField, latest: null };
  const prefix = values["source.metadata_prefix"];
  const latest = {
    ...{ key, orderField, partition: `${prefix}partition`, offset: `${prefix}offset` },
    deleted: values["source.on_delete"] === "delete" ? prefix + DELETED : null,
  };
  return { key: [], order: null, latest };
}

/** Members of the envelope's source that changes may be ordered by, and their metadata columns. */
const SOURCE_ORDERS: ReadonlyMap<string, MetadataColumn> = new Map([
  ["source.lsn", "source_lsn"],
  ["source.ts_ms", "source_ts"],
]);

/** The column that says which change of a key is later; null: they come in their order. */
export function orderColumnOf(values: PipelineValues): string | null {
  const field = values["source.order_field"];
  if (field === null) return null;
  const ofSource = isInSource(values) ? SOURCE_ORDERS.get(field) : undefined;
  return ofSource === undefined
    ? columnOf(values, field)
    : values["source.metadata_prefix"] + ofSource;
}

/** True where `source.x` is a member of the envelope, not of the row. */
function isInSource(values: PipelineValues): boolean {
  return values["source.mode"] === "cdc" && values["source.op_field"] === null;
}

/** The metadata columns of a table: those that are asked for, the Kafka key where it is what rows are found by, and what orders them. */
export function metadataColumnsOf(values: PipelineValues): readonly MetadataColumn[] {
  const columns = values["source.metadata_columns"] as readonly MetadataColumn[];
  const needsKey = values["source.mode"] !== "kstream" && values["source.key_field"] === null;
  const order = isInSource(values)
    ? SOURCE_ORDERS.get(values["source.order_field"] ?? "")
    : undefined;
  const needed: readonly MetadataColumn[] = [
    ...(needsKey ? ["key" as const] : []),
    ...(order === undefined ? [] : [order]),
    ...(keepsAll(values) ? RECORD : []),
  ];
  return [...columns, ...needed.filter((column) => !columns.includes(column))];
}

/** What says which record a row is. */
const RECORD: readonly MetadataColumn[] = ["partition", "offset"];

type Report = (key: keyof PipelineValues & string, problem: string) => void;
type IsSet = (key: keyof PipelineValues & string) => boolean;

const NEEDS_MODE = 'needs source.mode "ktable" or "cdc"';

/** @param report one problem of a key */
export function checkChanges(values: PipelineValues, isSet: IsSet, report: Report): void {
  const { "source.mode": mode, "source.metadata_columns": metadata } = values;
  const ofEnvelope = (metadata as readonly MetadataColumn[]).find(isInEnvelope);
  if (ofEnvelope !== undefined && mode !== "cdc") {
    report("source.metadata_columns", `"${ofEnvelope}" needs source.mode = "cdc"`);
  }
  const deletes = values["iceberg.write.delete_mode"];
  if (mode === "kstream") {
    if (deletes !== "auto") report("iceberg.write.delete_mode", NEEDS_MODE);
    if (values["source.key_field"] !== null) checkKey(values, isSet, report);
    const keys = ["order_field", "op_field"] as const;
    const set = keys.find((key) => values[`source.${key}`] !== null);
    const tracks = values["source.track_changes"] ? "track_changes" : set;
    const key = values["source.on_delete"] === "delete" ? tracks : "on_delete";
    if (key !== undefined) report(`source.${key}`, NEEDS_MODE);
    return;
  }
  checkDeleteMode(values, report);
  checkOperation(values, report);
  checkKey(values, isSet, report);
  checkRows(values, report);
  checkOrder(values, report);
  checkOneOrder(values, report);
}

/** Formats that the ways to delete are of. */
const DELETE_VERSIONS: Readonly<Record<string, 2 | 3>> = {
  "deletion-vector": 3,
  position: 2,
  equality: 2,
};

function checkDeleteMode(values: PipelineValues, report: Report): void {
  const deletes = values["iceberg.write.delete_mode"];
  const key = "iceberg.write.delete_mode";
  const version = DELETE_VERSIONS[deletes];
  if (version !== undefined && version !== values["iceberg.write.format_version"]) {
    report(key, `"${deletes}" needs iceberg.write.format_version = ${version}`);
  }
  if (values["source.order_field"] === null) return;
  if (deletes === "equality") {
    report(
      key,
      '"equality" hides every older row of a key, also one whose source.order_field is larger: only with an index ' +
        'of the keys ("auto") are they compared',
    );
  } else if (deletes === "copy-on-write") {
    report(
      key,
      '"copy-on-write" cannot leave out a row that source.order_field overtakes in its own commit: "auto" hides it',
    );
  }
}

/** The format that a table must be of, where a way to delete is asked for by its name. */
export function deletesAsOf(
  values: PipelineValues,
): Exclude<WriterOptions["deletesAs"], undefined> {
  const mode = values["iceberg.write.delete_mode"];
  const formatVersion = DELETE_VERSIONS[mode];
  return formatVersion === undefined ? null : { mode, formatVersion };
}

/** How the rows of older changes are deleted. */
export function deleteModeOf(values: PipelineValues): DeleteMode {
  const mode = values["iceberg.write.delete_mode"];
  return mode === "equality" || mode === "copy-on-write" ? mode : "position";
}

/** A bare row has no envelope whose members could be columns. */
function checkOperation(values: PipelineValues, report: Report): void {
  const field = values["source.op_field"];
  if (field === null) return;
  if (values["source.mode"] !== "cdc") report("source.op_field", 'needs source.mode = "cdc"');
  if (field === "" || field.includes(".")) {
    report("source.op_field", "must be a member of the row, not one inside an object");
  }
  if (values["source.key_field"]?.includes(field) === true) {
    report("source.op_field", "is no column, so that it cannot be part of the key");
  }
  const metadata = values["source.metadata_columns"] as readonly MetadataColumn[];
  const ofSource = metadata.find((column) => isInEnvelope(column) && column !== "op");
  if (ofSource !== undefined) {
    report(
      "source.metadata_columns",
      `"${ofSource}" is a part of Debezium's envelope, which source.op_field replaces`,
    );
  }
}

function checkKey(values: PipelineValues, isSet: IsSet, report: Report): void {
  const keys = values["source.key_field"];
  if (keys === null) {
    if (values["source.key_format"] !== "string")
      report(
        "source.key_format",
        'needs source.key_field; in the metadata column "key" keys are bytes',
      );
    return;
  }
  const flat = values["source.flatten"];
  const inside = keys.find((key) => key === "" || (!flat && key.includes(".")));
  if (keys.length === 0)
    report("source.key_field", "must name a column; without it rows are found by the Kafka key");
  if (inside !== undefined)
    report("source.key_field", `"${inside}" must be a column of the row, not one inside a struct`);
  if (new Set(keys).size < keys.length) report("source.key_field", "names a column twice");
  if (!isSet("source.key_format")) {
    report(
      "source.key_field",
      "needs source.key_format: it says how the Kafka key holds these columns, which is all " +
        "that a record without a value has, and that all changes of a row are in one partition",
    );
  }
  checkKeyFormat(values, keys, report);
  const paths = [...values["source.transform.mask"], ...values["source.transform.exclude"]];
  const columns = paths.map((path) => columnOf(values, path));
  const hidden = keys.find((key) => columns.includes(key));
  if (hidden !== undefined) {
    report(
      "source.key_field",
      `${hidden} is left out or masked by source.transform; hashed it stays a key`,
    );
  }
}

/** Types of columns that order changes. */
const ORDERED = /^(int|long|date|time|timestamp|timestamptz|timestamp_ns|timestamptz_ns)$/;

/** The order of a deleted row must be in the table, in the row that is marked (CHANGE_RULES 10k). */
function checkOrder(values: PipelineValues, report: Report): void {
  const field = values["source.order_field"];
  const column = orderColumnOf(values);
  if (field === null || column === null) return;
  if (values["source.on_delete"] === "delete" && !keepsAll(values)) {
    report(
      "source.order_field",
      'needs source.on_delete = "mark" (or "ignore"): an older change that comes behind a delete would bring ' +
        "the row back, unless the table keeps the order of the delete",
    );
  }
  const ofSource = isInSource(values) && SOURCE_ORDERS.has(field);
  if (!ofSource && !values["source.flatten"] && field.includes(".")) {
    report(
      "source.order_field",
      `"${field}" must be a column of the row, "source.lsn" or "source.ts_ms"`,
    );
  }
  const declared = values["schema.fields"]?.find(({ name }) => name === column)?.["type"];
  if (declared !== undefined && !ORDERED.test(String(declared))) {
    report(
      "source.order_field",
      `${column} is ${String(declared)}: an order is a whole number or a time`,
    );
  }
}

/** Formats of keys that are one column, and those that need a registry. */
const SINGLE: ReadonlySet<string> = new Set(["string", "bytes", "long", "int"]);
const OF_REGISTRY: ReadonlySet<string> = new Set(["avro", "protobuf", "json-schema"]);

function checkKeyFormat(values: PipelineValues, keys: readonly string[], report: Report): void {
  const format = values["source.key_format"];
  const key = "source.key_format";
  if (SINGLE.has(format) && keys.length > 1) {
    report(key, `"${format}" is the value of one column, and source.key_field names several`);
  }
  if (!OF_REGISTRY.has(format)) return;
  if (values["schema_registry.url"] === null) {
    report(key, `"${format}" needs schema_registry.url: keys name their schema by its id`);
  }
}

function checkRows(values: PipelineValues, report: Report): void {
  const mode = `source.mode = "${values["source.mode"]}"`;
  checkFormat(values, mode, report);
  if (values["source.on_tombstone"] !== "dead_letter") {
    report(
      "source.on_tombstone",
      `${mode}: a record without a value is a delete (source.on_delete)`,
    );
  }
  const keys = values["source.key_field"] ?? [];
  const inexact = values["schema.fields"]?.find(
    ({ name, type }) => keys.includes(String(name)) && (type === "float" || type === "double"),
  );
  if (inexact !== undefined) {
    const problem = `${String(inexact["name"])} is a ${String(inexact["type"])}, which is no key: equal numbers may differ`;
    report("source.key_field", problem);
  }
  const required = values["schema.fields"]?.find(
    ({ name, required: isRequired }) => isRequired === true && !keys.includes(String(name)),
  );
  if (marksDeleted(values) && required !== undefined) {
    report(
      keepsAll(values) ? "iceberg.write.delete_mode" : "source.on_delete",
      `"${keepsAll(values) ? "append-dedupe" : "mark"}" keeps rows of which only the key may be known, but column ${String(required["name"])} is required`,
    );
  }
}

/** One column has no key in it, and an envelope's schema comes from a registry. */
function checkFormat(values: PipelineValues, mode: string, report: Report): void {
  const format = values["source.format"];
  if (format === "string" || format === "bytes") {
    report("source.format", `${mode} needs rows: "json", "avro", "protobuf" or "json-schema"`);
    return;
  }
  const isBinary = format === "avro" || format === "protobuf";
  if (values["source.mode"] !== "cdc" || !isBinary || values["schema_registry.url"] !== null)
    return;
  report("source.format", `${mode}: changes in ${format} need schema_registry.url`);
}

function checkOneOrder(values: PipelineValues, report: Report): void {
  const mode = `source.mode = "${values["source.mode"]}"`;
  if (values["source.late_table"] !== null) {
    report(
      "source.late_table",
      `${mode}: a late change in another table would leave the older row standing`,
    );
  }
  if (values["iceberg.route_field"] !== null) {
    report(
      "iceberg.route_field",
      `${mode}: a change that names another table would leave the older row standing`,
    );
  }
  const taken = values["source.track_changes"] ? takenLogName(values) : undefined;
  if (taken !== undefined)
    report("source.track_changes", `${fullName(taken)} is the name of another table`);
  const table = values["iceberg.table_name"];
  const several =
    values["kafka.topic_pattern"] !== null || (values["kafka.topics"]?.length ?? 1) > 1;
  if (several && table !== null && !placeholdersOf(table).includes("topic")) {
    report(
      "iceberg.table_name",
      `${mode}: nothing says which change of a row is later when they come by several topics; let each fill a table of its own: {topic}`,
    );
  }
}

/** The name of a change log that another topic's table has; undefined: none. */
function takenLogName(values: PipelineValues): TableName | undefined {
  const all = topicsOf(values).map((topic) => knownTablesFor(values, topic));
  const mains = new Set(all.flatMap(([main]) => (main === undefined ? [] : fullName(main))));
  return all.flatMap(([, log]) => log ?? []).find((log) => mains.has(fullName(log)));
}

/**
 * Why records do not become rows: one short word for metrics, one sentence for a person.
 */

/** Every reason, and what it says; `{}` is the field's full path. Values are never shown. */
export const REASONS = {
  bad_json: "The value is not valid JSON",
  bad_protobuf: "The value is not a whole Protobuf message",
  bad_utf8: "The value is not valid UTF-8, or escapes half of a surrogate pair",
  not_an_object: "The value is JSON, but not an object",
  bad_avro: "The value is not what its Avro schema says",
  not_a_record:
    "The value's schema, {}, is no record: its values have no fields that could be columns",
  no_schema_id:
    "The value does not begin as Confluent's wire format does, with a zero byte and a schema id",
  unknown_schema: "The schema registry has no schema with the id {} that the value names",
  bad_schema: "The schema of the value, {}, cannot be read",
  recursive_type: "Type {} contains itself, which no column can hold",
  null_value: "The record has no value (a tombstone); source.on_tombstone says what becomes of it",
  null_key:
    "The record has no key: without a value nothing says which row it removes, and with one nothing says that it came behind the earlier changes of its row",
  bad_key:
    "The record's key does not have the columns of source.key_field, or not with such values",
  bad_envelope:
    "The value is no change in Debezium's envelope: its op, or the row before or after it, is missing",
  bad_operation: "The value's field {} (source.op_field) does not say what was done",
  keyed_truncate:
    "The record says that its source table was emptied (truncate), but has a key: only a record without one is taken for that. Where it is a change of one row, source.op_field names a field that does not say what was done",
  truncate:
    'The record says that its source table was emptied (truncate), which source.on_delete = "mark" cannot follow: every row would have to be marked. Empty this table with another engine and go on behind the record (offsets --set), or have Debezium leave truncates out (skipped.operations)',
  unavailable_value:
    "The record lacks a value that its change left as it was, and that the source therefore did not log, and it cannot be taken from the row before (docs/CHANGE_DATA.md). Set REPLICA IDENTITY FULL for the source table, and have Debezium send a new snapshot of it",
  too_deep: "The value is nested too deeply",
  too_large: "The value is over the size limit for one record",
  too_many_values: "The value holds more list elements and members than one record may have",
  bad_timestamp: "The record's Kafka timestamp is beyond what a timestamp column can hold",
  type_conflict: "Field {} does not fit the type of its column",
  missing_field: "Field {} is required, but null or missing",
  unknown_field: "Field {} is not in the schema",
  ambiguous_field:
    "Field {} has the full name of another column (upper and lower case count as one)",
  colliding_field: "Field {} has two values: two places of the record are flattened to it",
  bad_field_name:
    "Field {} cannot become a column: its name or one in it is empty, too long, or another column's",
  reserved_field_name: "Field {} has a name that Iceberg keeps for its own columns",
  too_many_columns: "Field {} would be a new column beyond the column limit",
} as const;

/** A reason's word. */
export type RejectReason = keyof typeof REASONS;

/** Reasons that another schema of the table might not have. */
export const SCHEMA_REASONS: ReadonlySet<string> = new Set<RejectReason>([
  "type_conflict",
  "missing_field",
  "unknown_field",
  "ambiguous_field",
  "bad_field_name",
  "reserved_field_name",
  "too_many_columns",
]);

/** Reasons after which the table would not be what its source is: it stops, whatever becomes of dead letters. */
export const FATAL_REASONS: ReadonlySet<string> = new Set<RejectReason>([
  "truncate",
  "unavailable_value",
]);

/** What a type conflict is about: any value, or one of which a sentence can say what helps. */
export type TypeConflict = "value" | "number_in_long" | "event_time";

const CONFLICTS: Readonly<Record<Exclude<TypeConflict, "value">, string>> = {
  number_in_long:
    "Field {} is a number that its column of type long cannot hold: Iceberg never turns long into " +
    'double. Before a table is made: schema.infer_integers = "double", or declare the field in ' +
    "schema.fields. In this one: rename the column with another engine, declare the field as double, " +
    'and set schema_mismatch_action = "evolve"',
  event_time:
    "Field {} is no time by source.event_time_format: epoch_millis and the like take numbers, " +
    '"iso8601" takes text such as 2026-01-31T23:59:59Z, a pattern takes text of its form',
};

/** Characters of a path that a sentence shows: a name may have millions. */
const PATH_LENGTH_MAX = 300;

/** The sentence of a reason about a field. */
export function rejectDetail(
  reason: RejectReason,
  path: string,
  conflict: TypeConflict = "value",
): string {
  const sentence = conflict === "value" ? REASONS[reason] : CONFLICTS[conflict];
  return sentence.replace("{}", () => shown(path));
}

function shown(path: string): string {
  const isCut = path.length > PATH_LENGTH_MAX;
  return JSON.stringify(isCut ? `${path.slice(0, PATH_LENGTH_MAX).toWellFormed()}...` : path);
}

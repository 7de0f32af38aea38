/**
 * What a table's decoder knows of changes (SPEC section 6): which columns its rows have for them, and
 * which of them are the key.
 *
 * A row without its key can never be found again, and one without its order never be judged, so that these
 * columns are required in every batch, whatever they are in the table. Of a delete only the key counts: its other columns hold nothing.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { CHANGE_TYPE } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import type { ChangeOptions, DecoderOptions } from "./options.ts";

/**
 * What a record does to the table: a row is put, or deleted, or all that were there are, or nothing happens;
 * `partial`: a row is put that has some of its values from the row that it replaces (`columns/unavailable.ts`).
 */
export type Effect = "put" | "partial" | "delete" | "truncate" | "none";

/**
 * What the words of changes do: Debezium's letters, those of its unwrap transform (`__op`, or `__deleted`
 * with true and false), and what others write.
 */
const EFFECTS: ReadonlyMap<string, Effect> = new Map<string, Effect>([
  ...["c", "r", "u", "i", "create", "read", "update", "insert", "upsert", "false"].map(put),
  ["d", "delete"],
  ["delete", "delete"],
  ["remove", "delete"],
  ["true", "delete"],
  ["t", "truncate"],
  ["truncate", "truncate"],
  ["m", "none"],
]);

function put(word: string): [string, Effect] {
  return [word, "put"];
}

/** What a word of a change does, in any case; null: it is no such word, and its record is refused. */
export function effectOf(word: string): Effect | null {
  return EFFECTS.get(word.toLowerCase()) ?? null;
}

/** The column that says that a row was deleted, where deleted rows stay ({@link keepsDeleted}), behind the prefix. */
export const DELETED = "deleted";

/** Whether a delete is a row, with the last image that it has. */
export function keepsDeleted(changes: Pick<ChangeOptions, "onDelete"> | null): boolean {
  return changes?.onDelete === "mark" || changes?.onDelete === "log";
}

/** The names of the columns that say which row a row is; none: rows are appended. */
export function keyColumns({
  changes,
  metadataPrefix,
}: Pick<DecoderOptions, "changes" | "metadataPrefix">): readonly string[] {
  if (changes === null) return [];
  return changes.keyFields.length > 0 ? changes.keyFields : [`${metadataPrefix}key`];
}

/** Names of the columns that no row may lack: those of its key, and of its order. */
export function neededColumns(
  options: Pick<DecoderOptions, "changes" | "metadataPrefix">,
): readonly string[] {
  const order = options.changes?.orderColumn ?? null;
  return order === null ? keyColumns(options) : [...keyColumns(options), order];
}

/** Fields whose columns of the key have a value in every row. */
export function withRequired(fields: readonly Field[], names: readonly string[]): readonly Field[] {
  if (names.length === 0) return fields;
  return fields.map((field) =>
    names.includes(field.name) && !field.required ? { ...field, required: true } : field,
  );
}

/** Columns of a segment that its table does not have. */
export function controlFields(changes: ChangeOptions | null): readonly Field[] {
  return changes?.onDelete === "delete" ? [CHANGE_TYPE] : [];
}

/** True for a record without a value that says nothing. */
export function passesTombstone({ mode, onDelete }: ChangeOptions): boolean {
  // Debezium has sent the delete itself, with the row's last image, just before.
  return onDelete === "ignore" || (mode === "cdc" && onDelete === "mark");
}

/** Appends what stands in a column of a deleted row: nothing, be it that the column is never null. */
export function appendBlank(column: ColumnBuilder): void {
  const { field, children, width } = column;
  if (!field.required) column.appendNull();
  else if (field.type.kind === "struct") {
    for (const child of children) appendBlank(child);
    column.endStruct();
  } else if (field.type.kind === "boolean") column.appendBoolean(false);
  else if (children.length > 0) column.endList();
  else column.appendBytes(new Uint8Array(width), 0, width);
}

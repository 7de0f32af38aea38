/**
 * Changes as sources tell them: Debezium's envelope around the rows before and after, or a bare row that
 * says itself what was done (SPEC section 6, `mode = "cdc"`). The row after a change goes straight into the
 * columns, of a delete the row before it.
 *
 * This is the judge of the changes that the kernel does not take. A format finds the parts first
 * (`ChangeParts`); they are read then by the readers that read such rows without an envelope.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { type Effect, effectOf, keepsDeleted } from "./changes.ts";
import type { ValueRoot } from "./kernel/image.ts";
import type { ChangeOptions } from "./options.ts";
import type { RejectReason, TypeConflict } from "./rejects.ts";
import type { SchemaAsks } from "./schemaAsks.ts";
import type { ValueReader } from "./segment.ts";
import { clearUnavailable, unavailableColumns, type Wholeness } from "./unavailable.ts";

/** Where a part lies in its value. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The parts of one change after the other, in one format. */
export interface ChangeParts {
  /** Why the last value is no change, and what that is about ("" for nothing). */
  readonly reason: RejectReason;
  readonly path: string;
  /** What was done, as the value says it. */
  readonly operation: string;
  /** Rows, and the envelope's `source`; null: missing, or no row. */
  readonly before: Span | null;
  readonly after: Span | null;
  readonly source: Span | null;
  /** Finds the parts of `bytes[start, end)`, a whole value; false when that is no change. */
  find(bytes: Uint8Array, start: number, end: number): boolean;
}

/** Reads one part into columns. */
export type PartReader = Pick<ValueReader, "reason" | "path" | "conflict" | "read">;

/** What the parts of a change are read by. */
export interface PartReaders {
  /** The row after a change. */
  readonly row: PartReader & Pick<ValueReader, "evolving" | "sawUnknown" | "asks">;
  /** The columns of a row. */
  readonly columns: readonly ColumnBuilder[];
  /** What is kept of a deleted row; null: nothing, it is found by the Kafka key. */
  readonly before: PartReader | null;
  readonly source: PartReader | null;
  /** The column of what was done; null: there is none. */
  readonly operation: ColumnBuilder | null;
  /**
   * Whether a row, just read, has all its values, or its source says of some that it did not log them.
   * @param isConflict the row was refused, since its column cannot hold a value
   */
  wholeness(part: Buffer, row: number, isConflict: boolean): Wholeness;
}

/** What an envelope reader is told of its table. */
export interface EnvelopeOptions {
  readonly prefix: string;
  /** Columns of the row that say which row it is; none: the Kafka key does. */
  readonly keyFields: readonly string[];
  readonly onDelete: ChangeOptions["onDelete"];
  /** The member of a bare row that says what was done; null: rows come in envelopes. */
  readonly opField: string | null;
}

/** The members of `source` that may have a column, by what the column is called behind the prefix. */
const SOURCE_MEMBERS = { source_ts: "ts_ms", source_lsn: "lsn", source_table: "table" } as const;

/** The columns of a change, by the part that they are read from. */
export interface ChangeColumns {
  readonly row: readonly ColumnBuilder[];
  /** Those of the row that say which row it is. */
  readonly keys: readonly ColumnBuilder[];
  readonly operation: ColumnBuilder | null;
  /** With the members of `source` that they hold. */
  readonly source: readonly (readonly [member: string, ColumnBuilder])[];
}

/** Sorts the columns of a value. */
export function changeColumns(
  columns: readonly ColumnBuilder[],
  { prefix, keyFields }: Pick<EnvelopeOptions, "prefix" | "keyFields">,
): ChangeColumns {
  const named = (name: string): ColumnBuilder | null =>
    columns.find(({ field }) => field.name === prefix + name) ?? null;
  const operation = named("op");
  const source = Object.entries(SOURCE_MEMBERS).flatMap(([name, member]) => {
    const column = named(name);
    return column === null ? [] : [[member, column] as const];
  });
  const own = new Set([operation, ...source.map(([, column]) => column)]);
  const row = columns.filter((column) => !own.has(column));
  const keys = row.filter(({ field }) => keyFields.includes(field.name));
  return { row, keys, operation, source };
}

const encoder = new TextEncoder();

/** Reads the changes of one segment. */
export class EnvelopeReader implements ValueReader {
  reason: RejectReason = "bad_envelope";
  path = "";
  conflict: TypeConflict = "value";
  effect: Effect = "put";
  readonly root: ValueRoot | null;
  readonly #parts: ChangeParts;
  readonly #readers: PartReaders;
  readonly #opField: string | null;

  /** A deleted row is kept. */
  readonly #isKept: boolean;
  /** Of a deleted row nothing needs to be there. */
  readonly #isFoundByKey: boolean;
  readonly #onDelete: EnvelopeOptions["onDelete"];

  constructor(
    parts: ChangeParts,
    readers: PartReaders,
    { opField, onDelete, keyFields }: EnvelopeOptions,
    root: ValueRoot | null,
  ) {
    this.#parts = parts;
    this.#readers = readers;
    this.root = root;
    this.#opField = opField;
    this.#isKept = keepsDeleted({ onDelete });
    this.#isFoundByKey = onDelete === "log" && keyFields.length === 0;
    this.#onDelete = onDelete;
  }

  get asks(): SchemaAsks | null {
    return this.#readers.row.asks;
  }

  get evolving(): boolean {
    return this.#readers.row.evolving;
  }

  set evolving(evolving: boolean) {
    this.#readers.row.evolving = evolving;
  }

  get sawUnknown(): boolean {
    return this.#readers.row.sawUnknown;
  }

  set sawUnknown(saw: boolean) {
    this.#readers.row.sawUnknown = saw;
  }

  /** A record without a value has no envelope. */
  readNull(): boolean {
    return this.#refuse("bad_envelope");
  }

  read(bytes: Uint8Array, start: number, end: number, row: number): boolean {
    const { operation, source } = this.#readers;
    const parts = this.#parts;
    if (!parts.find(bytes, start, end)) return this.#refuse(parts.reason, parts.path);
    const effect = effectOf(parts.operation);
    if (effect === null) {
      return this.#refuse(
        this.#opField === null ? "bad_envelope" : "bad_operation",
        this.#opField ?? "",
      );
    }
    this.effect = effect;
    if (effect === "none") return true;
    if (!this.#row(effect, bytes, row)) return false;
    const isWhole = source === null || parts.source === null;
    if (!isWhole && !this.#part(source, parts.source, bytes, row, false)) return false;
    if (operation === null) return true;
    const text = encoder.encode(parts.operation);
    operation.appendBytes(text, 0, text.length);
    return true;
  }

  /** The row of a change; a truncate tells of none. */
  #row(effect: Effect, bytes: Uint8Array, row: number): boolean {
    const { row: reader, before } = this.#readers;
    if (effect === "put") return this.#part(reader, this.#parts.after, bytes, row, true);
    return effect !== "delete" || this.#image(before, bytes, row);
  }

  /** What is kept of a deleted row. */
  #image(reader: PartReader | null, bytes: Uint8Array, row: number): boolean {
    const { before } = this.#parts;
    if (reader === null || (before === null && this.#isFoundByKey)) return true;
    return this.#part(reader, before, bytes, row, this.#isKept);
  }

  /** What becomes of a row that lacks values; false: nothing can say that it does. */
  #takesPartial(row: number): boolean {
    switch (this.#onDelete) {
      case "delete":
        // There is a column for it (`controlFields`).
        this.effect = "partial";
        return true;
      case "log":
        // What the change does not tell is null there.
        return unavailableColumns(this.#readers.columns, row).every((column) =>
          clearUnavailable(column, row),
        );
      default:
        return false;
    }
  }

  /** @param isWhole the part is a row of the table, all of whose values count */
  #part(
    reader: PartReader,
    span: Span | null,
    bytes: Uint8Array,
    row: number,
    isWhole: boolean,
  ): boolean {
    if (span === null) return this.#refuse("bad_envelope");
    const { start, end } = span;
    const isRead = reader.read(bytes, start, end, row);
    if (isWhole) {
      const part = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
      const isConflict = !isRead && reader.reason === "type_conflict" && reader.path !== "";
      const wholeness = this.#readers.wholeness(part, row, isConflict);
      if (wholeness === "lost" || (wholeness === "partial" && !this.#takesPartial(row))) {
        return this.#refuse("unavailable_value");
      }
    }
    if (isRead) return true;
    this.conflict = reader.conflict;
    return this.#refuse(reader.reason, reader.path);
  }

  #refuse(reason: RejectReason, path = ""): false {
    this.reason = reason;
    this.path = path;
    return false;
  }
}

/**
 * Reads Debezium's envelope: the row after a change straight into the columns, of a delete the row before
 * it (SPEC section 6, `mode = "cdc"`); and bare rows that say themselves what was done.
 *
 * This is the judge of the envelopes that the kernel does not take: it finds the parts first, and reads
 * them then, by the readers that read such rows without an envelope.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { TakenPaths } from "#columns/paths.ts";
import type { Effect } from "#decode/changes.ts";
import { eventTime } from "#decode/eventTime.ts";
import type { ValueRoot } from "#decode/kernel/image.ts";
import type { ChangeOptions } from "#decode/options.ts";
import type { RejectReason, TypeConflict } from "#decode/rejects.ts";
import type { ValueReader } from "#decode/segment.ts";
import { NO_SHAPING, Shaping } from "#decode/shaping.ts";
import { EnvelopeParts, type Span } from "./envelopeParts.ts";
import { envelopeRoot } from "./kernelProgram.ts";
import {
  compileEnvelope,
  compileImage,
  compileOperation,
  compileRow,
  type ProgramOptions,
  type StructNode,
} from "./program.ts";
import { JsonReader } from "./reader.ts";
import { lacksValue, UNAVAILABLE_MARKERS } from "./unavailable.ts";

/**
 * What the words of changes do, in any case: Debezium's letters, those of its unwrap transform (`__op`, or
 * `__deleted` with true and false), and what others write. Whatever is not here is refused.
 */
const EFFECTS: ReadonlyMap<string, Effect | "truncate"> = new Map<string, Effect | "truncate">([
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

/** The members of `source` that may have a column, by what the column is called behind the prefix. */
const SOURCE_MEMBERS = { source_ts: "ts_ms", source_lsn: "lsn", source_table: "table" } as const;

const encoder = new TextEncoder();
const IGNORE = { unknown: "ignore", rescue: null, rescuesConflicts: false } as const;

/** What an envelope reader is told of its table. */
export interface EnvelopeOptions {
  readonly prefix: string;
  /** Columns of the row that say which row it is; none: the Kafka key does. */
  readonly keyFields: readonly string[];
  readonly onDelete: ChangeOptions["onDelete"];
  readonly opField: string | null;
}

/** Splits off the columns that are the envelope's own. */
export function rowColumns(
  columns: readonly ColumnBuilder[],
  { prefix }: EnvelopeOptions,
): readonly ColumnBuilder[] {
  const own = ["op", ...Object.keys(SOURCE_MEMBERS)].map((name) => prefix + name);
  return columns.filter(({ field }) => !own.includes(field.name));
}

/**
 * The reader of envelopes.
 * @param row reads a row without its envelope
 * @param columns all columns of the value
 */
export function envelopeReader(
  row: JsonReader,
  columns: readonly ColumnBuilder[],
  options: EnvelopeOptions,
  program: ProgramOptions,
): ValueReader {
  const { prefix, keyFields, onDelete, opField } = options;
  const keys = columns.filter(({ field }) => keyFields.includes(field.name));
  const operation = columns.find(({ field }) => field.name === `${prefix}op`) ?? null;
  const source = sourcePart(columns, prefix);
  const isKept = onDelete === "mark";
  const ofKey = isKept || keys.length === 0 ? null : compileImage(keys, program);
  const image = isKept ? row.node : ofKey;
  const before = isKept ? row : ofKey && new JsonReader(keys, ofKey, IGNORE);
  const nodes = { row: row.node, source: source?.node ?? null, operation };
  const envelope =
    opField === null
      ? compileEnvelope(nodes, program)
      : compileOperation(row.node, opField, operation, program);
  const root = envelopeRoot({
    hostMarkers: UNAVAILABLE_MARKERS,
    envelope,
    image,
    open: [source?.node, ofKey].filter((each) => each !== null && each !== undefined),
    ignoreUnknown: row.root.ignoreUnknown,
    takesDeletes: onDelete !== "ignore",
    isBare: opField !== null,
  });
  const readers = { row, before, source: source?.reader ?? null, operation };
  return new EnvelopeReader(readers, root, opField);
}

/** Members of `source` into the columns that are made of them; null: none is. */
function sourcePart(
  columns: readonly ColumnBuilder[],
  prefix: string,
): { readonly node: StructNode; readonly reader: JsonReader } | null {
  const members = Object.entries(SOURCE_MEMBERS);
  const found = columns.filter(({ field }) =>
    members.some(([name]) => prefix + name === field.name),
  );
  if (found.length === 0) return null;
  const rename = Object.fromEntries(members.map(([name, member]) => [member, prefix + name]));
  const node = compileRow(found, {
    flattenSeparator: null,
    eventTimeField: `${prefix}source_ts`,
    eventTime: () => eventTime("epoch_millis", 1000n),
    taken: new TakenPaths([]),
    dropped: new TakenPaths([]),
    ignoresCase: false,
    dropsZone: false,
    shaping: new Shaping({ ...NO_SHAPING, rename }),
  });
  return { node, reader: new JsonReader(found, node, IGNORE) };
}

/** What an envelope's parts are read by. */
interface PartReaders {
  /** The row after a change. */
  readonly row: JsonReader;
  /** What is kept of a deleted row; null: nothing, it is found by the Kafka key. */
  readonly before: JsonReader | null;
  readonly source: JsonReader | null;
  readonly operation: ColumnBuilder | null;
}

class EnvelopeReader implements ValueReader {
  reason: RejectReason = "bad_envelope";
  path = "";
  conflict: TypeConflict = "value";
  effect: Effect = "put";
  readonly asks = null;
  readonly root: ValueRoot;
  readonly #readers: PartReaders;
  readonly #parts: EnvelopeParts;
  readonly #opField: string | null;

  constructor(readers: PartReaders, root: ValueRoot, opField: string | null) {
    this.#readers = readers;
    this.root = root;
    this.#opField = opField;
    this.#parts = new EnvelopeParts(opField);
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
    const { operation, source, row: ofRow, before } = this.#readers;
    const parts = this.#parts;
    if (!parts.find(bytes, start, end)) return this.#refuse(parts.reason, this.#opField ?? "");
    const effect = EFFECTS.get(parts.operation.toLowerCase());
    if (effect === undefined) {
      const isBare = this.#opField !== null;
      return this.#refuse(isBare ? "bad_operation" : "bad_envelope", this.#opField ?? "");
    }
    if (effect === "truncate") return this.#refuse("truncate");
    this.effect = effect;
    if (effect === "none") return true;
    const isRead =
      effect === "put"
        ? this.#part(ofRow, parts.after, bytes, row)
        : before === null || this.#part(before, parts.before, bytes, row);
    if (!isRead) return false;
    const isWhole = source === null || parts.source === null;
    if (!isWhole && !this.#part(source, parts.source, bytes, row)) return false;
    if (operation === null) return true;
    const text = encoder.encode(parts.operation);
    operation.appendBytes(text, 0, text.length);
    return true;
  }

  #part(reader: JsonReader, span: Span | null, bytes: Uint8Array, row: number): boolean {
    if (span === null) return this.#refuse("bad_envelope");
    const { start, end } = span;
    const part = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
    const isRow = reader === this.#readers.row;
    if (isRow && lacksValue(part)) return this.#refuse("unavailable_value");
    if (reader.read(bytes, start, end, row)) return true;
    this.conflict = reader.conflict;
    return this.#refuse(reader.reason, reader.path);
  }

  #refuse(reason: RejectReason, path = ""): false {
    this.reason = reason;
    this.path = path;
    return false;
  }
}

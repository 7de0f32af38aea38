/**
 * Log entries as bytes: each type's number in the frame and the shape of its JSON payload.
 *
 * Integers that are `bigint` in {@link LogEntry} come back as `bigint`, whatever their size; an
 * entry that lacks a field or holds another kind of value is refused, never guessed. Unknown fields
 * are ignored, so that an entry may gain fields within one format version.
 */

import { fail } from "#base/errors.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import { strictUtf8Text } from "#base/text.ts";
import type { LogEntry, LogOffsets } from "./log.ts";

type LogType = LogEntry["type"];
type EntryOf<T extends LogType> = Extract<LogEntry, { type: T }>;
type Read<V> = (value: Json | undefined) => V;
type Fields<T extends LogType> = {
  readonly [K in Exclude<keyof EntryOf<T>, "type">]: Read<EntryOf<T>[K]>;
};
interface Shape<T extends LogType> {
  /** The type's number in the frame; never used again for another type. */
  readonly code: number;
  readonly fields: Fields<T>;
}

const bool: Read<boolean> = (value) => (typeof value === "boolean" ? value : refuse("boolean"));
const text: Read<string> = (value) => (typeof value === "string" ? value : refuse("string"));
const number: Read<number> = (value) => (typeof value === "number" ? value : refuse("number"));
const integer: Read<bigint> = (value) => {
  if (typeof value === "bigint") return value;
  return Number.isSafeInteger(value) ? BigInt(value as number) : refuse("integer");
};
const integerOrNull: Read<bigint | null> = (value) => (value === null ? null : integer(value));
const texts: Read<readonly string[]> = (value) => list(value).map(text);
const offsets: Read<LogOffsets> = (value) => record(value, integer);
const ids: Read<Readonly<Record<string, string>>> = (value) => record(value, text);
const ranges: Read<Readonly<Record<string, readonly [bigint, bigint]>>> = (value) =>
  record(value, (range) => {
    const [start, end] = list(range);
    return [integer(start), integer(end)] as const;
  });
const entries: Read<readonly LogEntry[]> = (value) =>
  list(value).map((item) => {
    const { type, ...fields } = object(item);
    return readFields(text(type), fields);
  });

const SHAPES: { readonly [T in LogType]: Shape<T> } = {
  OffsetCommit: { code: 1, fields: { topic: text, partition: number, offset: integer } },
  BufferSnapshot: { code: 2, fields: { record_count: number, size_bytes: number } },
  FlushStarted: {
    code: 3,
    fields: {
      table: text,
      commit_id: text,
      base_sequence_number: (value) => (value === undefined ? -1n : integer(value)),
      file_paths: texts,
      upload_ids: ids,
      offsets,
    },
  },
  ParquetWritten: {
    code: 4,
    fields: {
      commit_id: text,
      file_path: text,
      record_count: number,
      file_size: number,
      sha256: text,
      offsets: ranges,
    },
  },
  CommitAttempt: {
    code: 5,
    fields: {
      table: text,
      table_uuid: text,
      commit_id: text,
      snapshot_id: integer,
      base_snapshot_id: integerOrNull,
      base_sequence_number: integer,
      file_paths: texts,
    },
  },
  IcebergSnapshotCreated: {
    code: 6,
    fields: { table: text, commit_id: text, snapshot_id: integer, files_added: texts, offsets },
  },
  FlushComplete: {
    code: 7,
    fields: { table: text, commit_id: text, offsets, snapshot_id: integer },
  },
  FlushAbandoned: {
    code: 8,
    fields: { table: text, commit_id: text, removed: texts, left: texts },
  },
  IdempotencyRecord: { code: 9, fields: { offsets, snapshot_id: integer } },
  SchemaEvolution: { code: 10, fields: { table: text, old: text, new: text } },
  Recovery: {
    code: 11,
    fields: { replayed: number, completed: number, rolled_back: number, offsets },
  },
  CatalogHealthCheck: {
    code: 12,
    fields: { catalog_type: text, is_healthy: bool, response_time_ms: number },
  },
  CatalogError: {
    code: 13,
    fields: { catalog_type: text, error_message: text, retry_count: number },
  },
  MaintenanceRun: {
    code: 15,
    fields: {
      table: text,
      operation: text,
      outcome: text,
      duration_ms: number,
      counts: offsets,
      error: text,
    },
  },
  Checkpoint: { code: 14, fields: { open: entries } },
};

const TYPE_BY_CODE = new Map<number, string>(
  Object.entries(SHAPES).map(([type, shape]) => [shape.code, type]),
);

/** The names of all entry types, for `log --type`. */
export const LOG_ENTRY_TYPES: readonly string[] = Object.keys(SHAPES);

/** An entry as it stands in a frame: its type's number and its JSON. */
export interface EncodedEntry {
  readonly code: number;
  readonly payload: Uint8Array;
}

/** Writes an entry. Throws `state` when it is larger than a frame may be. */
export function encodeEntry(entry: LogEntry): EncodedEntry {
  const { type, ...fields } = entry;
  const payload = new TextEncoder().encode(writeJson(fields));
  if (payload.length <= LIMITS.logFrameBytesMax) return { code: SHAPES[type].code, payload };
  const sentence = `A ${type} entry of ${payload.length} bytes is too large for the log`;
  throw fail("state", sentence, { type, bytes: payload.length });
}

/** Reads an entry back. Throws `state` when the type is unknown or the payload is not its shape. */
export function decodeEntry(code: number, payload: Uint8Array): LogEntry {
  const type = TYPE_BY_CODE.get(code);
  if (type === undefined) throw fail("state", `Entry type ${code} is not known`);
  let fields: Json;
  try {
    fields = parseJson(strictUtf8Text(payload));
  } catch (error) {
    throw fail("state", `The payload of a ${type} entry is not JSON`, {}, error);
  }
  return readFields(type, object(fields));
}

function readFields(type: string, values: Readonly<Record<string, Json>>): LogEntry {
  if (!Object.hasOwn(SHAPES, type)) throw fail("state", `Entry type ${type} is not known`);
  const entry: Record<string, unknown> = { type };
  const fields: Readonly<Record<string, Read<unknown>>> = SHAPES[type as LogType].fields;
  for (const [name, read] of Object.entries(fields)) {
    try {
      entry[name] = read(values[name]);
    } catch (error) {
      throw fail("state", `Field ${name} of a ${type} entry cannot be read`, {}, error);
    }
  }
  return entry as unknown as LogEntry;
}

function list(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : refuse("list");
}

function object(value: Json | undefined): Record<string, Json> {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? value : refuse("object");
}

function record<V>(value: Json | undefined, read: Read<V>): Record<string, V> {
  return Object.fromEntries(Object.entries(object(value)).map(([key, item]) => [key, read(item)]));
}

function refuse(wanted: string): never {
  throw fail("state", `It is not a ${wanted}`);
}

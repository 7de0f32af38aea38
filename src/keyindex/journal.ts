/**
 * What is written down of a key table: frames of its log, and dumps of its ranges. Pure.
 *
 * ```text
 * frame   0 u32 magic | 4 u32 kind | 8 u64 number of the commit | 16 u32 payload bytes | 20 u32 CRC-32 of payload
 *         and of 0..20 | 24 payload
 * add     entries: keys, 16 bytes each | files, u32 each | rows, u32 each
 * remove  keys
 * drop    for each file: u32 number | u32 words of a row set, or ALL | the words
 * move    u32 numbers (`moves.ts`)
 * names, forgotten, label   JSON
 * ```
 * Little endian. A dump is one frame of entries, which stand in the order of their keys. The frames of a
 * commit count once its label is there.
 */
import { crc32 } from "node:zlib";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { utf8Text } from "#base/text.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { Entries } from "./keyTable.ts";
import type { KeySet } from "./port.ts";

/** Kinds of frames, by their numbers in files. */
const KINDS = ["add", "remove", "drop", "names", "forgotten", "label", "range", "move"] as const;

/** What a frame is. */
export type FrameKind = (typeof KINDS)[number];

/** For which snapshot a table is exact. */
export interface IndexLabel {
  /** The table, its key and the secret, as text. */
  readonly identity: string;
  /** Null: the branch has no snapshot. */
  readonly snapshotId: SnapshotId | null;
}

/** A frame as it was read. */
export interface Frame {
  readonly kind: FrameKind;
  readonly commit: number;
  readonly payload: Uint8Array;
}

/** Bytes before a payload. */
export const FRAME_HEAD_BYTES = 24;
const MAGIC = 0x6b69_7831;
const ALL = 0xffff_ffff;

/** What is written before a payload, to be its frame; `commit` is a whole number below 2^53. */
export function encodeHead(kind: FrameKind, commit: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, KINDS.indexOf(kind), true);
  view.setBigUint64(8, BigInt(commit), true);
  view.setUint32(16, payload.length, true);
  view.setUint32(20, sumOf(bytes.subarray(0, 20), payload), true);
  return bytes;
}

/** Payload bytes that a head promises; null: it is no head. */
export function payloadBytes(head: Uint8Array): number | null {
  if (head.length < FRAME_HEAD_BYTES) return null;
  const view = new DataView(head.buffer, head.byteOffset, FRAME_HEAD_BYTES);
  return view.getUint32(0, true) === MAGIC ? view.getUint32(16, true) : null;
}

/** The frame of a head and its payload; null when they are not what was written. */
export function decodeFrame(head: Uint8Array, payload: Uint8Array): Frame | null {
  const view = new DataView(head.buffer, head.byteOffset, FRAME_HEAD_BYTES);
  const kind = KINDS[view.getUint32(4, true)];
  const isWhole = payload.length === payloadBytes(head);
  if (!isWhole || kind === undefined) return null;
  if (view.getUint32(20, true) !== sumOf(head.subarray(0, 20), payload)) return null;
  return { kind, commit: Number(view.getBigUint64(8, true)), payload };
}

function sumOf(head: Uint8Array, payload: Uint8Array): number {
  return crc32(head, crc32(payload));
}

/** The payload of `add` and `range`. */
export function encodeEntries({ keys, files, rows }: Entries): Uint8Array {
  const { count } = keys;
  const payload = new Uint8Array(24 * count);
  payload.set(encodeKeys(keys));
  payload.set(bytesOf(files.subarray(0, count)), 16 * count);
  payload.set(bytesOf(rows.subarray(0, count)), 20 * count);
  return payload;
}

/** @param payload begins at a multiple of 8, as one that was read does */
export function decodeEntries({ buffer, byteOffset, length }: Uint8Array): Entries {
  const count = length / 24;
  return {
    keys: { count, words: new BigUint64Array(buffer, byteOffset, 2 * count) },
    files: new Uint32Array(buffer, byteOffset + 16 * count, count),
    rows: new Uint32Array(buffer, byteOffset + 20 * count, count),
  };
}

/** The payload of `remove`. */
export function encodeKeys({ count, words }: KeySet): Uint8Array {
  return bytesOf(words.subarray(0, 2 * count));
}

/** @param payload as of {@link decodeEntries} */
export function decodeKeys({ buffer, byteOffset, length }: Uint8Array): KeySet {
  return { count: length / 16, words: new BigUint64Array(buffer, byteOffset, length / 8) };
}

/** The payload of `drop`. */
export function encodeDrops(files: ReadonlyMap<number, RowSet | null>): Uint8Array {
  const parts = [...files].flatMap(([file, rows]) =>
    rows === null
      ? [Uint32Array.of(file, ALL)]
      : [Uint32Array.of(file, rows.words.length), rows.words],
  );
  return new Uint8Array(Buffer.concat(parts.map(bytesOf)));
}

/** @param payload as of {@link decodeEntries} */
export function decodeDrops({
  buffer,
  byteOffset,
  length,
}: Uint8Array): Map<number, RowSet | null> {
  const words = new Uint32Array(buffer, byteOffset, length / 4);
  const files = new Map<number, RowSet | null>();
  for (let at = 0; at < words.length; ) {
    const [file = 0, count = 0] = words.subarray(at, at + 2);
    at += 2;
    if (count === ALL) {
      files.set(file, null);
      continue;
    }
    const rows = new RowSet(32 * count);
    rows.words.set(words.subarray(at, at + count));
    files.set(file, rows);
    at += count;
  }
  return files;
}

/** The payload of `names`: numbers of files and their paths. */
export function encodeNames(names: Iterable<readonly [number, string]>): Uint8Array {
  return jsonBytes([...names].map(([number, path]) => [number, path]));
}

/** @throws SyntaxError for what is none */
export function decodeNames(payload: Uint8Array): [number, string][] {
  const list = parseJson(utf8Text(payload));
  if (!Array.isArray(list)) return [];
  return list.flatMap((pair) => (Array.isArray(pair) ? [[Number(pair[0]), String(pair[1])]] : []));
}

/** The payload of `forgotten`: numbers of files that are no more. */
export function encodeForgotten(numbers: readonly number[]): Uint8Array {
  return jsonBytes([...numbers]);
}

/** @throws SyntaxError for what is none */
export function decodeForgotten(payload: Uint8Array): number[] {
  const list = parseJson(utf8Text(payload));
  return Array.isArray(list) ? list.map(Number) : [];
}

/** The payload of `label`. */
export function encodeLabel({ identity, snapshotId }: IndexLabel): Uint8Array {
  return jsonBytes({ identity, snapshot: snapshotId === null ? null : String(snapshotId) });
}

/** Null for what is none. @throws SyntaxError */
export function decodeLabel(payload: Uint8Array): IndexLabel | null {
  const value = parseJson(utf8Text(payload));
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { identity, snapshot } = value;
  if (typeof identity !== "string") return null;
  return { identity, snapshotId: typeof snapshot === "string" ? BigInt(snapshot) : null };
}

function jsonBytes(value: Json): Uint8Array {
  return new TextEncoder().encode(writeJson(value));
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

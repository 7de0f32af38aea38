/**
 * What a Protobuf value begins with in Confluent's wire format: a zero byte, the schema's id, and the
 * place of its message in the schema's file, as indexes of declaration: how many, then each, zigzag
 * varints. The first message of a file, the usual one, is a single zero.
 */
import { HEAD_BYTES, schemaIdOf } from "#decode/registry/wire.ts";

/** Messages are nested this deeply at most: a longer path is no path. */
const INDEXES_MAX = 64;

/** The head of a value. */
export interface Head {
  readonly id: number;
  readonly indexes: readonly number[];
  /** Its bytes. */
  readonly size: number;
}

/** The head of the value `bytes[start, end)`; null: it has none. */
export function headOf(bytes: Uint8Array, start: number, end: number): Head | null {
  const id = schemaIdOf(bytes, start, end);
  if (id < 0) return null;
  let at = start + HEAD_BYTES;
  const next = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35 && at < end; shift += 7) {
      const byte = bytes[at++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    return -1;
  };
  const count = next();
  if (count < 0 || count > INDEXES_MAX) return null;
  const indexes = count === 0 ? [0] : Array.from({ length: count }, next);
  if (indexes.some((index) => index < 0)) return null;
  return { id, indexes, size: at - start };
}

/** True when a value begins with these bytes. */
export function startsWith(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: Uint8Array,
): boolean {
  if (end - start < head.length) return false;
  for (let index = 0; index < head.length; index++) {
    if (bytes[start + index] !== head[index]) return false;
  }
  return true;
}

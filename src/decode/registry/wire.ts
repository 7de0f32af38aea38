/**
 * The head of a value in Confluent's wire format: a zero byte, then the schema's id in four bytes, big
 * endian. What follows is the format's (Protobuf: message indexes first).
 */

/** Bytes of the head. */
export const HEAD_BYTES = 5;

/**
 * The schema id of the value `bytes[start, end)`.
 * @returns -1 when the value has no such head; ids are not negative
 */
export function schemaIdOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < HEAD_BYTES || bytes[start] !== 0) return -1;
  const at = start + 1;
  const a = bytes[at] ?? 0;
  const b = bytes[at + 1] ?? 0;
  const c = bytes[at + 2] ?? 0;
  const d = bytes[at + 3] ?? 0;
  const id = (a << 24) | (b << 16) | (c << 8) | d;
  return id < 0 ? -1 : id;
}

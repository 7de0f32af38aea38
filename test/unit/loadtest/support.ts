/**
 * Reads a record batch by Kafka's specification, independently of the reader under test.
 */

/** One record. */
export interface ReadRecord {
  readonly offsetDelta: number;
  readonly key: string | null;
  readonly value: string;
}

/** The records of an uncompressed batch; throws when they are not exactly `count`. */
export function recordsOf(batch: Uint8Array, count: number): ReadRecord[] {
  const bytes = Buffer.from(batch);
  let at = 61;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value |= (byte & 127) << shift;
      if (byte < 128) return (value >>> 1) ^ -(value & 1);
    }
  };
  const text = (length: number): string => {
    at += length;
    return bytes.toString("utf8", at - length, at);
  };
  const records: ReadRecord[] = [];
  while (at < bytes.length) {
    const end = varint() + at;
    at++;
    varint();
    const offsetDelta = varint();
    const keyLength = varint();
    const key = keyLength < 0 ? null : text(keyLength);
    const value = text(varint());
    if (varint() !== 0 || at !== end) throw new Error(`record ${records.length} is not whole`);
    records.push({ offsetDelta, key, value });
  }
  if (records.length !== count) throw new Error(`${records.length} records, not ${count}`);
  records.forEach((record, i) => {
    if (record.offsetDelta !== i || record.key !== null) throw new Error(`record ${i} is wrong`);
  });
  return records;
}

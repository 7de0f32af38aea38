/**
 * Reads a record batch by Kafka's specification, independently of the reader under test.
 */

/** One record. */
export interface ReadRecord {
  readonly offsetDelta: number;
  readonly key: string | null;
  /** Null: a tombstone. */
  readonly value: string | null;
}

/** The records of an uncompressed batch without keys; throws when they are not exactly `count`. */
export function recordsOf(
  batch: Uint8Array,
  count: number,
): (ReadRecord & { readonly value: string })[] {
  return keyedRecordsOf(batch, count).map(({ value, ...record }, i) => {
    if (value === null || record.key !== null) throw new Error(`record ${i} is wrong`);
    return { ...record, value };
  });
}

/** The same with keys and tombstones. */
export function keyedRecordsOf(batch: Uint8Array, count: number): ReadRecord[] {
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
  const text = (length: number): string | null => {
    if (length < 0) return null;
    at += length;
    return bytes.toString("utf8", at - length, at);
  };
  const records: ReadRecord[] = [];
  while (at < bytes.length) {
    const end = varint() + at;
    at++;
    varint();
    const offsetDelta = varint();
    const key = text(varint());
    const value = text(varint());
    if (varint() !== 0 || at !== end) throw new Error(`record ${records.length} is not whole`);
    records.push({ offsetDelta, key, value });
  }
  if (records.length !== count) throw new Error(`${records.length} records, not ${count}`);
  records.forEach((record, i) => {
    if (record.offsetDelta !== i) throw new Error(`record ${i} is wrong`);
  });
  return records;
}

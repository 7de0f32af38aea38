/**
 * The header of a record batch (protocol, "Record Batch", format v2): baseOffset i64 | length i32 |
 * leaderEpoch i32 | magic i8 | crc u32 | attributes i16 | lastOffsetDelta i32 | baseTimestamp i64 |
 * maxTimestamp i64 | producerId i64 | producerEpoch i16 | baseSequence i32 | recordCount i32 | records.
 * Big endian. The CRC-32C covers everything from the attributes on; the length counts from the leader's epoch on.
 */

/** Bytes before the records. */
export const BATCH_HEADER_BYTES = 61;

/** Where each field begins. */
export const BATCH_AT = {
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const;

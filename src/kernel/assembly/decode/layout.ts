/**
 * Where things lie in memory: the records that the host (`decode/kernel/image.ts`) writes and the
 * kernel reads. All members are u32 unless said otherwise; pointers are addresses in this memory.
 */

/** Call: what one `decode` gets and gives. Begins at the address that it is called with. */
export namespace Call {
  /** in/out: the first record not yet decoded. */
  export const POSITION: usize = 0;
  /** in: end of the records in memory, behind which 64 bytes are zero. */
  export const END: usize = 4;
  /** in/out: records from POSITION on. */
  export const LEFT: usize = 8;
  /** in: rows at most. */
  export const ROWS_MAX: usize = 12;
  /** in/out: rows in the columns. */
  export const ROWS: usize = 16;
  /** out: records below WANTED. */
  export const SKIPPED: usize = 20;
  /** in: i32, offset delta of the first record that is wanted. */
  export const WANTED: usize = 24;
  /** in: root slot of the value: a struct, or a column of raw values. */
  export const ROOT: usize = 28;
  /** in: u32 addresses of the columns of the value, and how many. */
  export const COLUMNS: usize = 32;
  export const COLUMN_COUNT: usize = 36;
  /** in: metadata columns: pairs of kind and column, and how many. */
  export const METADATA: usize = 40;
  export const METADATA_COUNT: usize = 44;
  /** in: 1 when unknown members are skipped whatever they hold. */
  export const IGNORE_UNKNOWN: usize = 48;
  /** in: Kafka partition. */
  export const PARTITION: usize = 52;
  /** in: topic's bytes. */
  export const TOPIC: usize = 56;
  export const TOPIC_BYTES: usize = 60;
  /** in: i64, offset of delta 0. */
  export const BASE_OFFSET: usize = 64;
  /** in: i64, milliseconds of timestamp delta 0. */
  export const BASE_TIMESTAMP: usize = 72;
  /** in: i64, milliseconds of every record; the least i64 when each has its own. */
  export const APPEND_TIMESTAMP: usize = 80;
  /** out: i64, largest timestamp of a row, ms; 0 when there is none. */
  export const TIMESTAMP_MAX: usize = 88;
  /** in: powers of five for `exactDouble`. */
  export const POWERS: usize = 96;
  /** in: nesting at most. */
  export const DEPTH_MAX: usize = 100;
  /** in: 1 when a record without a value deletes the row of its key, else it is the host's. */
  export const TOMBSTONES: usize = 104;
  /** in: root slot of the JSON documents that Kafka's keys are; 0: they stand in a metadata column. */
  export const KEY_ROOT: usize = 108;
  /** in: 1 when a record without a key is the host's. */
  export const NEEDS_KEY: usize = 112;
  /** in: place in the table of the root's straight reader (`straight.ts`); 0: it has none. */
  export const STRAIGHT: usize = 116;
  /** in/out: documents that it left. */
  export const LEFT_STRAIGHT: usize = 120;
  /** in: bytes of a JSON document of which `verdict.ts` may say what is wrong; 0: the host says it of all. */
  export const JUDGED_BYTES: usize = 124;
  /** in: 1 when a record without a value is refused. */
  export const REFUSES_NULL: usize = 128;
  /** out: what is wrong with the record that decode stopped at, a value of Verdict. */
  export const VERDICT: usize = 132;
  /** out: the slot that it is about, or the node; and the key's quote, of a member without a slot. */
  export const REFUSED_PLACE: usize = 136;
  export const REFUSED_KEY: usize = 140;
}

/** Why `decode` stopped. */
export namespace Status {
  /** No record is left. */
  export const DONE: u32 = 0;
  /** The columns have no room for the next record. */
  export const FULL: u32 = 1;
  /** The next record is for the host: it is rare or wrong. */
  export const HOST: u32 = 2;
  /** The next record reaches behind the end, or lies about its parts. */
  export const CUT: u32 = 3;
}

/** Column: one column under construction, or one child of a nested column. */
export namespace Column {
  /** Values so far. */
  export const LENGTH: usize = 0;
  /** Values (fixed width, booleans as bytes), or bytes of strings. */
  export const DATA: usize = 4;
  /** Bytes of strings so far. */
  export const USED: usize = 8;
  /** Bytes of strings at most; 32 more may be overwritten. */
  export const BYTES_MAX: usize = 12;
  /** u32 ends of values: entry `i` is BASE + the end of value `i` in bytes or children. */
  export const ENDS: usize = 16;
  export const BASE: usize = 20;
  /** u32 indexes of null values, ascending, and how many. */
  export const NULLS: usize = 24;
  export const NULL_COUNT: usize = 28;
  /** Values at most. */
  export const VALUES_MAX: usize = 32;
  export const KIND: usize = 36;
  /** u32 addresses of children, and how many. */
  export const CHILDREN: usize = 40;
  export const CHILD_COUNT: usize = 44;
  /** 1 when it may not be null. */
  export const REQUIRED: usize = 48;
  /** Its default's bytes, as DATA has them, and how many; 0 when it has none. */
  export const FILL: usize = 52;
  export const FILL_BYTES: usize = 56;
  export const SIZE: usize = 64;
}

/** Kinds of columns. */
export namespace Kind {
  export const STRUCT: u32 = 0;
  export const LIST: u32 = 1;
  export const BYTES: u32 = 2;
  export const BOOLEAN: u32 = 3;
  export const WIDTH_4: u32 = 4;
  export const WIDTH_8: u32 = 5;
  export const WIDTH_16: u32 = 6;
  /** Only nulls: its values are the host's. */
  export const HOST: u32 = 7;
}

/** Slot: one place of a value, as `decode/json/program.ts` compiles it. */
export namespace Slot {
  export const OP: usize = 0;
  export const COLUMN: usize = 4;
  /**
   * The key as it stands in the text, quotes included; 16 more bytes may be read. The 32 bytes
   * before it go on where TEXT and TEXT_MASK end.
   */
  export const KEY: usize = 8;
  /** 0 when the name needs escapes: then the key never matches. */
  export const KEY_BYTES: usize = 12;
  /** struct, group: node of its members. */
  export const MEMBERS: usize = 16;
  /** list: slot of its elements. */
  export const ELEMENT: usize = 20;
  /**
   * u32 parameter: scale of a decimal, zone and unit of timestamps, microseconds per unit; group:
   * number of the document that showed it last.
   */
  export const PARAMETER: usize = 24;
  /** Bytes from the one before the key's quote to its colon; 0 when TEXT never matches. */
  export const TEXT_BYTES: usize = 28;
  /** Any byte, the key in quotes, a colon: the first sixteen of them. */
  export const TEXT: usize = 32;
  /** 0xff for each byte of TEXT that must be the same. */
  export const TEXT_MASK: usize = 48;
  export const SIZE: usize = 64;
}

/** What a slot does: as `OP` in `decode/json/program.ts`, declared types one by one. */
export namespace Op {
  export const BOOLEAN: u32 = 0;
  export const INT: u32 = 1;
  export const LONG: u32 = 2;
  export const FLOAT: u32 = 3;
  export const DOUBLE: u32 = 4;
  export const STRING: u32 = 5;
  /** Always for the host. */
  export const HOST: u32 = 6;
  /** An integer of PARAMETER microseconds. */
  export const EPOCH: u32 = 7;
  export const STRUCT: u32 = 8;
  export const LIST: u32 = 9;
  export const GROUP: u32 = 11;
  /** The whole value as it is. */
  export const RAW: u32 = 12;
  /** The whole value, which must be UTF-8. */
  export const RAW_TEXT: u32 = 13;
  /** PARAMETER: 1 when a `Z` may stand behind it. */
  export const DATE: u32 = 14;
  /** PARAMETER: as `readTimestamp` has it. */
  export const TIMESTAMP: u32 = 15;
  export const TIME: u32 = 16;
  export const UUID: u32 = 17;
  /** PARAMETER: precision * 256 + scale, precision at most 18. */
  export const DECIMAL: u32 = 18;
  /** The whole value: Protobuf, by the frames (`protobufLayout.ts`) that MEMBERS names. */
  export const PROTOBUF: u32 = 40;
  /** The whole value: Avro, by the programs (`avroLayout.ts`) that MEMBERS names. */
  export const AVRO: u32 = 41;
  /** Parts of an envelope: the row itself, the row as it was before, what was done. */
  export const ROW: u32 = 24;
  export const IMAGE: u32 = 25;
  /** PARAMETER: 1 when it has a column. */
  export const OPERATION: u32 = 26;
  /**
   * STRUCT, an envelope of those parts. ELEMENT: node of what is read of a deleted row, 0 for nothing;
   * PARAMETER: 1 when deletes are rows, and 2 when the document is the row itself.
   */
  export const ENVELOPE: u32 = 38;
  /** The slot that MEMBERS names, behind a zero byte and one of the PARAMETER ids of four bytes that ELEMENT names. */
  export const FRAMED_JSON: u32 = 39;
}

/** Node: an object whose keys are slots. */
export namespace Node {
  export const SLOTS: usize = 0;
  export const SLOT_COUNT: usize = 4;
  /** u32 for each of -1, 0, 1, ...: index + 1 of the slot that followed that slot; 0: none. */
  export const FOLLOW: usize = 8;
  /** The same, of the time before. */
  export const FOLLOW_BEFORE: usize = 12;
  /** u32 hash table of index + 1 by `keyHash`, open addressing; MASK + 1 entries, one is empty. */
  export const TABLE: usize = 16;
  export const MASK: usize = 20;
  /** 1 when members without a slot are skipped, whatever they hold. */
  export const OPEN: usize = 24;
  export const SIZE: usize = 32;
}

/** Kinds of columns that are filled beside the value. */
export namespace Metadata {
  export const PARTITION: u32 = 0;
  export const OFFSET: u32 = 1;
  export const TIMESTAMP: u32 = 2;
  export const TOPIC: u32 = 3;
  export const KEY: u32 = 4;
  /** What the record does, a value of Effect. */
  export const CHANGE: u32 = 5;
  /** The same as a boolean. */
  export const DELETED: u32 = 6;
}

/** What a record does to the table: `CHANGE` of `columns/changes.ts`. */
export namespace Effect {
  export const PUT: u32 = 0;
  export const DELETE: u32 = 1;
}

/** Why a record is refused; the host's reader (`decode/json/reader.ts`) says the same of it. */
export namespace Verdict {
  /** The host says. */
  export const NONE: u32 = 0;
  export const BAD_JSON: u32 = 1;
  export const BAD_UTF8: u32 = 2;
  export const TOO_DEEP: u32 = 3;
  export const NOT_AN_OBJECT: u32 = 4;
  export const NULL_VALUE: u32 = 5;
  /** The value of a slot is none that its column could hold. */
  export const TYPE_CONFLICT: u32 = 6;
  /** A node has no slot for a member: the host says whether it refuses its record. */
  export const UNKNOWN_MEMBER: u32 = 7;
}

/** In place of a position: the host must take the record. */
export const GIVE_UP: usize = 0;
/** In place of a position: the columns have no room for the record. */
export const NO_ROOM: usize = 1;

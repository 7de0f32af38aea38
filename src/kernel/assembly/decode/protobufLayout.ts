/**
 * Where a Protobuf program's parts lie, as `decode/protobuf/kernelProgram.ts` writes them. All members
 * are u32; pointers are addresses in this memory.
 */

/** Frame: how values begin, and what they are then. A root has COUNT of them. */
export namespace Frame {
  /** The root's: how many there are, and the index of the one that matched last. */
  export const COUNT: usize = 0;
  export const LAST: usize = 4;
  export const FIRST: usize = 8;
  /** Bytes that a value begins with, and how many. */
  export const HEAD: usize = 0;
  export const HEAD_BYTES: usize = 4;
  export const NODE: usize = 8;
  /** What makes a value a change of the row that NODE reads; 0: it is the row. */
  export const CHANGE: usize = 12;
  export const SIZE: usize = 16;
}

/** Change: Debezium's envelope, or a row that says itself what was done. */
export namespace Change {
  /** Tags of its parts, all of bytes with their length; 0: there is no such part. */
  export const BEFORE: usize = 0;
  export const AFTER: usize = 4;
  export const SOURCE: usize = 8;
  export const OPERATION: usize = 12;
  /** What is read of a deleted row, and of the source; 0: nothing. */
  export const IMAGE_NODE: usize = 16;
  export const SOURCE_NODE: usize = 20;
  /** The column of what was done; 0: there is none. */
  export const COLUMN: usize = 24;
  /** 1 when deletes are rows; and 2 when the value is the row itself. */
  export const FLAGS: usize = 28;
  export const SIZE: usize = 32;
}

/** Message: fields that have columns. */
export namespace Message {
  /** in/out: the slot that came first the last time; 0: none. */
  export const FIRST: usize = 0;
  /** Addresses of slots by their number, open addressing; MASK + 1 entries, one is empty. */
  export const TABLE: usize = 4;
  export const MASK: usize = 8;
  /** Columns of lists and maps, and how many. */
  export const LISTS: usize = 12;
  export const LIST_COUNT: usize = 16;
  /** All columns, and how many. */
  export const COLUMNS: usize = 20;
  export const COLUMN_COUNT: usize = 24;
  /** For each of them: address and length of what it gets where its field is missing; 0: null. */
  export const DEFAULTS: usize = 28;
  export const SIZE: usize = 32;
}

/** Field: one field with a column. */
export namespace FieldSlot {
  export const OP: usize = 0;
  /** Where a value goes; of a list its elements. */
  export const COLUMN: usize = 4;
  export const NUMBER: usize = 8;
  /** The tag that it usually has, and another one that it may have; 0: none. */
  export const TAG: usize = 12;
  export const OTHER_TAG: usize = 16;
  /** The first bytes of TAG as it stands in a message, 0xff for each of them, and how many they are. */
  export const TEXT: usize = 20;
  export const TEXT_MASK: usize = 24;
  export const TEXT_BYTES: usize = 28;
  /** in/out: the slot that followed the last time. */
  export const NEXT: usize = 32;
  export const LABEL: usize = 36;
  /** list, map: its own column. */
  export const LIST: usize = 40;
  /** message: its Message; enum: its names. */
  export const NODE: usize = 44;
  /** Word that says in which message its oneof was set last; 0: it has none. */
  export const ONEOF: usize = 48;
  /** map: slots of key and value. */
  export const KEY: usize = 52;
  export const VALUE: usize = 56;
  /** epoch: microseconds of a unit. timestamp: nanoseconds of a unit. */
  export const PARAMETER: usize = 60;
  /** 1: the value stands in a message, as its field 1. */
  export const WRAPPED: usize = 64;
  /** Kind of the column (`Kind`). */
  export const KIND: usize = 68;
  export const SIZE: usize = 72;
}

/** How often a field may come. PACKED: a list whose TAG is that of many values in one field. */
export namespace Label {
  export const SINGLE: u32 = 0;
  export const LIST: u32 = 1;
  export const PACKED: u32 = 2;
  export const MAP: u32 = 3;
}

/** What a value is. */
export namespace FieldOp {
  /** Always for the host. */
  export const HOST: u32 = 0;
  export const INT32: u32 = 1;
  export const INT64: u32 = 2;
  export const UINT32: u32 = 3;
  export const UINT64: u32 = 4;
  export const SINT32: u32 = 5;
  export const SINT64: u32 = 6;
  export const FIXED32: u32 = 7;
  export const SFIXED32: u32 = 8;
  export const FIXED64: u32 = 9;
  export const SFIXED64: u32 = 10;
  export const FLOAT: u32 = 11;
  export const DOUBLE: u32 = 12;
  /** A float in a column of doubles. */
  export const FLOAT_DOUBLE: u32 = 13;
  export const BOOL: u32 = 14;
  export const STRING: u32 = 15;
  export const BYTES: u32 = 16;
  export const ENUM: u32 = 17;
  export const MESSAGE: u32 = 18;
  export const TIMESTAMP: u32 = 19;
  /** An int64 in units of PARAMETER microseconds. */
  export const EPOCH: u32 = 20;
}

/** Names: the names of an enum's numbers from 0 on: COUNT pairs of address and length, from FIRST on. */
export namespace Names {
  export const COUNT: usize = 0;
  export const FIRST: usize = 4;
}

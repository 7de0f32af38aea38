/**
 * Where things lie in memory: the records that the host (`parquet/kernel/memory.ts`) writes and the
 * kernel reads. All members are u32; pointers are addresses in this memory. Behind every region
 * that values are read from or written to, 32 more bytes may be read or overwritten.
 */

/** What a function answers instead of a count. */
export namespace Fault {
  /** Offsets go back or point outside their data. */
  export const BAD_OFFSETS: i32 = -1;
  /** The output has no room: the host laid memory out wrong. */
  export const NO_ROOM: i32 = -2;
  /** A required value is null. */
  export const NULL_IN_REQUIRED: i32 = -3;
  /** The dictionary is full. */
  export const FULL: i32 = -4;
}

/** Node: one field on the way from a column to a leaf. */
export namespace Node {
  /** 1: list or map, whose elements are the slots of the next node. */
  export const LIST: usize = 0;
  /** 1: may be null. */
  export const OPTIONAL: usize = 4;
  /** Bitmap, or 0: nothing is null. */
  export const VALIDITY: usize = 8;
  /** Bit of the first slot. */
  export const BIT: usize = 12;
  /** list: `LENGTH + 1` offsets, the first of which is BASE unless it lies. */
  export const OFFSETS: usize = 16;
  export const BASE: usize = 20;
  /** Slots. */
  export const LENGTH: usize = 24;
  export const SIZE: usize = 32;
}

/** Levels: what one `levels` gets and gives. */
export namespace Levels {
  /** out: u8 definition and repetition levels. */
  export const DEFINITIONS: usize = 0;
  export const REPETITIONS: usize = 4;
  /** out: u32 slots of the present values, unless CONTIGUOUS. */
  export const SLOTS: usize = 8;
  /** Room for as many levels of both kinds and slots; only needed for lists. */
  export const SCRATCH: usize = 12;
  /** Entries that all of these have room for. */
  export const ROOM: usize = 16;
  /** out: levels. */
  export const ENTRIES: usize = 20;
  /** out: values that are not null. */
  export const PRESENT: usize = 24;
  /** out: 1 when the leaf's slots are all present, in order. */
  export const CONTIGUOUS: usize = 28;
  export const SIZE: usize = 32;
}

/** Dictionary: the distinct values of a column chunk. */
export namespace Dictionary {
  /** Hash table, zeroed: u64 hash, u32 entry + 1, u32 size. Its size, a power of 2, less 1 is MASK. */
  export const TABLE: usize = 0;
  export const MASK: usize = 4;
  /** u32 starts of the entries in BYTES. */
  export const STARTS: usize = 8;
  /** The entries in PLAIN encoding. */
  export const BYTES: usize = 12;
  export const BYTES_MAX: usize = 16;
  export const COUNT_MAX: usize = 20;
  /** in/out */
  export const COUNT: usize = 24;
  /** in/out: of BYTES. */
  export const USED: usize = 28;
  /** in/out: the next value to be looked up, PLAIN. */
  export const POSITION: usize = 32;
  export const SIZE: usize = 48;
}

/** Bounds: least and greatest value so far, PLAIN without length. */
export namespace Bounds {
  /** 0: none was seen. */
  export const SEEN: usize = 0;
  /** Of floats and doubles. */
  export const NAN_COUNT: usize = 4;
  export const MIN_BYTES: usize = 8;
  export const MAX_BYTES: usize = 12;
  export const MIN: usize = 16;
  export const MAX: usize = 96;
  export const SIZE: usize = 176;
  /** Bytes of a value that are kept: more than the 16 code points of Iceberg's bounds. */
  export const LENGTH_MAX: u32 = 80;
}

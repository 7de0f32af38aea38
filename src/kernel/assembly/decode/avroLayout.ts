/**
 * Where an Avro program's parts lie, as `decode/avro/kernelProgram.ts` writes them. All members are u32;
 * pointers are addresses in this memory.
 */

/** Programs: one for each schema. A root has COUNT of them. */
export namespace Programs {
  /** The root's: how many there are, and the index of the one that matched last. */
  export const COUNT: usize = 0;
  export const LAST: usize = 4;
  /** The root's: 1 when values begin with a zero byte and the id of their schema. */
  export const FRAMED: usize = 8;
  export const FIRST: usize = 16;
  /** The id as its four bytes lie in a value. */
  export const ID: usize = 0;
  /** Steps of a record's fields, and how many. */
  export const STEPS: usize = 4;
  export const STEP_COUNT: usize = 8;
  /** 1 when they give every column a value. */
  export const WHOLE: usize = 12;
  /** The steps of a change that removes its row, tried when those of one that puts it do not fit; 0: none. */
  export const DELETE_STEPS: usize = 16;
  export const DELETE_COUNT: usize = 20;
  export const SIZE: usize = 24;
}

/** Step: what the bytes that come next become. */
export namespace Step {
  export const OP: usize = 0;
  export const COLUMN: usize = 4;
  /** Steps inside, one after the other, and how many. */
  export const STEPS: usize = 8;
  export const COUNT: usize = 12;
  /** Bytes of a fixed type; a timestamp's factor; a decimal's digits; microseconds of an epoch's unit. */
  export const SIZE_OF: usize = 16;
  /** enum: pairs of address and size, COUNT of them. */
  export const WORDS: usize = 20;
  export const SIZE: usize = 32;
}

/** What a step does. What it cannot do, or does not want to, is the host's: the record is given up. */
export namespace AvroOp {
  export const HOST: u32 = 0;
  export const NOTHING: u32 = 1;
  export const NULL: u32 = 2;
  export const BOOLEAN: u32 = 3;
  export const INT: u32 = 4;
  export const LONG: u32 = 5;
  export const FLOAT: u32 = 6;
  export const DOUBLE: u32 = 7;
  export const FLOAT_TO_DOUBLE: u32 = 8;
  export const BYTES: u32 = 9;
  export const TEXT: u32 = 10;
  /** Sixteen bytes: a uuid. */
  export const FIXED_16: u32 = 11;
  export const FIXED_BYTES: u32 = 12;
  export const ENUM: u32 = 13;
  export const DATE: u32 = 14;
  export const TIME_MILLIS: u32 = 15;
  export const TIME_MICROS: u32 = 16;
  /** An int or long times SIZE_OF. */
  export const TIMESTAMP: u32 = 17;
  /** Big endian with its length, SIZE_OF digits at most; 0: as many as 64 bits have. */
  export const DECIMAL: u32 = 18;
  export const RECORD: u32 = 19;
  export const GROUP: u32 = 20;
  export const UNION: u32 = 21;
  export const LIST: u32 = 22;
  export const MAP: u32 = 23;
  export const FILL: u32 = 24;
  export const SKIP_NUMBER: u32 = 25;
  export const SKIP_TEXT: u32 = 26;
  export const SKIP_BYTES: u32 = 27;
  /** SIZE_OF bytes. */
  export const SKIP_FIXED: u32 = 28;
  export const UUID: u32 = 29;
  export const INT_TO_LONG: u32 = 30;
  /** What a change does, as text: it puts its row (SIZE_OF 0), or removes it (1); another word does not fit. */
  export const OPERATION: u32 = 31;
  export const SKIP_INT: u32 = 32;
  export const SKIP_BOOLEAN: u32 = 33;
  /** An index below SIZE_OF. */
  export const SKIP_ENUM: u32 = 34;
  /** The blocks of a list, or of a map (SIZE_OF 1); STEPS: what passes over one value. */
  export const SKIP_BLOCKS: u32 = 35;
}

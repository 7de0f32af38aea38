/**
 * Where an Avro program's parts lie in the decode kernel's memory, in bytes: the host's side of
 * `kernel/assembly/decode/avroLayout.ts`, which says what each member is.
 */

/** The members of a root and of its programs. */
export const PROGRAMS = {
  count: 0,
  last: 4,
  framed: 8,
  first: 16,
  id: 0,
  steps: 4,
  stepCount: 8,
  whole: 12,
  deleteSteps: 16,
  deleteCount: 20,
  size: 24,
} as const;

/** A step's members. */
export const KERNEL_STEP = {
  op: 0,
  column: 4,
  steps: 8,
  count: 12,
  sizeOf: 16,
  words: 20,
  size: 32,
} as const;

/** What a step does. */
export const AVRO_OP = {
  host: 0,
  nothing: 1,
  null: 2,
  boolean: 3,
  int: 4,
  long: 5,
  float: 6,
  double: 7,
  floatToDouble: 8,
  bytes: 9,
  text: 10,
  fixed16: 11,
  fixedBytes: 12,
  enum: 13,
  date: 14,
  timeMillis: 15,
  timeMicros: 16,
  timestamp: 17,
  decimal: 18,
  record: 19,
  group: 20,
  union: 21,
  list: 22,
  map: 23,
  fill: 24,
  skipNumber: 25,
  skipText: 26,
  skipBytes: 27,
  skipFixed: 28,
  uuid: 29,
  intToLong: 30,
  operation: 31,
  skipInt: 32,
  skipBoolean: 33,
  skipEnum: 34,
  skipBlocks: 35,
} as const;

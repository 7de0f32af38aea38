/**
 * Where things lie in the decode kernel's memory, in bytes: the host's side of
 * `kernel/assembly/decode/layout.ts`, which says what each member is.
 */

/** A call's members. */
export const CALL = {
  position: 0,
  end: 4,
  left: 8,
  rowsMax: 12,
  rows: 16,
  skipped: 20,
  wanted: 24,
  root: 28,
  columns: 32,
  columnCount: 36,
  metadata: 40,
  metadataCount: 44,
  ignoreUnknown: 48,
  partition: 52,
  topic: 56,
  topicBytes: 60,
  baseOffset: 64,
  baseTimestamp: 72,
  appendTimestamp: 80,
  timestampMax: 88,
  powers: 96,
  depthMax: 100,
  tombstones: 104,
  keyRoot: 108,
  needsKey: 112,
  straight: 116,
  leftStraight: 120,
  judgedBytes: 124,
  refusesNull: 128,
  verdict: 132,
  refusedPlace: 136,
  refusedKey: 140,
  size: 144,
} as const;

/** What `decode` answers. */
export const STATUS = { done: 0, full: 1, host: 2, cut: 3 } as const;

/** Why a record is refused that `decode` stopped at. */
export const VERDICT = {
  none: 0,
  badJson: 1,
  badUtf8: 2,
  tooDeep: 3,
  notAnObject: 4,
  nullValue: 5,
  typeConflict: 6,
  unknownMember: 7,
} as const;

/** A column's members. */
export const COLUMN = {
  length: 0,
  data: 4,
  used: 8,
  bytesMax: 12,
  ends: 16,
  base: 20,
  nulls: 24,
  nullCount: 28,
  valuesMax: 32,
  kind: 36,
  children: 40,
  childCount: 44,
  required: 48,
  fill: 52,
  fillBytes: 56,
  size: 64,
} as const;

/** Kinds of columns. */
export const KIND = {
  struct: 0,
  list: 1,
  bytes: 2,
  boolean: 3,
  width4: 4,
  width8: 5,
  width16: 6,
  host: 7,
} as const;

/** A slot's members. */
export const SLOT = {
  op: 0,
  column: 4,
  key: 8,
  keyBytes: 12,
  members: 16,
  element: 20,
  parameter: 24,
  textBytes: 28,
  text: 32,
  textMask: 48,
  size: 64,
} as const;

/** What the kernel does with a value. Below 12 as `OP` of `json/program.ts`. */
export const KERNEL_OP = {
  host: 6,
  epoch: 7,
  raw: 12,
  rawText: 13,
  date: 14,
  timestamp: 15,
  time: 16,
  uuid: 17,
  decimal: 18,
  protobuf: 40,
  avro: 41,
  envelope: 38,
  framedJson: 39,
} as const;

/** A node's members. */
export const NODE = {
  slots: 0,
  slotCount: 4,
  follow: 8,
  followBefore: 12,
  table: 16,
  mask: 20,
  open: 24,
  size: 32,
} as const;

/** Kinds of columns beside the value that the kernel fills. */
export const METADATA_KIND = {
  partition: 0,
  offset: 1,
  timestamp: 2,
  topic: 3,
  key: 4,
  change: 5,
  deleted: 6,
} as const;

/**
 * Where a Protobuf program's parts lie in the decode kernel's memory, in bytes: the host's side of
 * `kernel/assembly/decode/protobufLayout.ts`, which says what each member is.
 */

/** The members of a root and of its frames. */
export const FRAME = {
  count: 0,
  last: 4,
  first: 8,
  head: 0,
  headBytes: 4,
  node: 8,
  change: 12,
  size: 16,
} as const;

/** What makes a value a change. */
export const CHANGE = {
  before: 0,
  after: 4,
  source: 8,
  operation: 12,
  imageNode: 16,
  sourceNode: 20,
  column: 24,
  flags: 28,
  size: 32,
} as const;

/** A message's members. */
export const MESSAGE = {
  first: 0,
  table: 4,
  mask: 8,
  lists: 12,
  listCount: 16,
  columns: 20,
  columnCount: 24,
  defaults: 28,
  size: 32,
} as const;

/** A field's members. */
export const FIELD = {
  op: 0,
  column: 4,
  number: 8,
  tag: 12,
  otherTag: 16,
  text: 20,
  textMask: 24,
  textBytes: 28,
  next: 32,
  label: 36,
  list: 40,
  node: 44,
  oneof: 48,
  key: 52,
  value: 56,
  parameter: 60,
  wrapped: 64,
  kind: 68,
  size: 72,
} as const;

/** How often a field may come. */
export const LABEL = { single: 0, list: 1, packed: 2, map: 3 } as const;

/** What a value is. */
export const FIELD_OP = {
  host: 0,
  int32: 1,
  int64: 2,
  uint32: 3,
  uint64: 4,
  sint32: 5,
  sint64: 6,
  fixed32: 7,
  sfixed32: 8,
  fixed64: 9,
  sfixed64: 10,
  float: 11,
  double: 12,
  floatDouble: 13,
  bool: 14,
  string: 15,
  bytes: 16,
  enum: 17,
  message: 18,
  timestamp: 19,
  epoch: 20,
} as const;

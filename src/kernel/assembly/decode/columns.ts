/** Appending to columns, taking back, and their bits for the host. */
import { Call, Column, Kind } from "./layout";

/** Values of a column so far. */
// @ts-ignore: decorator
@inline
export function lengthOf(column: usize): u32 {
  return load<u32>(column, Column.LENGTH);
}

/** Appends four bytes. */
// @ts-ignore: decorator
@inline
export function append4(column: usize, value: u32): void {
  const row = load<u32>(column, Column.LENGTH);
  store<u32>(<usize>load<u32>(column, Column.DATA) + (<usize>row << 2), value);
  store<u32>(column, row + 1, Column.LENGTH);
}

/** Appends eight bytes. */
// @ts-ignore: decorator
@inline
export function append8(column: usize, value: u64): void {
  const row = load<u32>(column, Column.LENGTH);
  store<u64>(<usize>load<u32>(column, Column.DATA) + (<usize>row << 3), value);
  store<u32>(column, row + 1, Column.LENGTH);
}

/** Appends sixteen bytes from their halves. */
export function append16(column: usize, low: u64, high: u64): void {
  const row = load<u32>(column, Column.LENGTH);
  const at = <usize>load<u32>(column, Column.DATA) + (<usize>row << 4);
  store<u64>(at, low);
  store<u64>(at, high, 8);
  store<u32>(column, row + 1, Column.LENGTH);
}

/** Appends a boolean. */
export function appendBoolean(column: usize, value: u32): void {
  const row = load<u32>(column, Column.LENGTH);
  store<u8>(<usize>load<u32>(column, Column.DATA) + row, <u8>value);
  store<u32>(column, row + 1, Column.LENGTH);
}

/** Ends a value whose bytes or children reach `end`. */
// @ts-ignore: decorator
@inline
export function endValue(column: usize, end: u32): void {
  const row = load<u32>(column, Column.LENGTH);
  const ends = <usize>load<u32>(column, Column.ENDS);
  store<u32>(ends + (<usize>row << 2), load<u32>(column, Column.BASE) + end);
  store<u32>(column, row + 1, Column.LENGTH);
}

/** Appends `[from, from + size)` to a column of bytes; false when there is no room. */
export function appendBytes(column: usize, from: usize, size: u32): bool {
  const used = load<u32>(column, Column.USED);
  if (<u64>used + size > load<u32>(column, Column.BYTES_MAX)) return false;
  memory.copy(<usize>load<u32>(column, Column.DATA) + used, from, size);
  store<u32>(column, used + size, Column.USED);
  endValue(column, used + size);
  return true;
}

/** Appends a column's default; false when there is no room for it, or it is the host's. */
export function appendFill(column: usize): bool {
  const from = <usize>load<u32>(column, Column.FILL);
  return appendDefault(column, from, load<u32>(column, Column.FILL_BYTES));
}

/** The same of a default whose `size` bytes lie at `from`, as the column's data has them. */
export function appendDefault(column: usize, from: usize, size: u32): bool {
  switch (load<u32>(column, Column.KIND)) {
    case Kind.BYTES:
      return appendBytes(column, from, size);
    case Kind.BOOLEAN:
      appendBoolean(column, load<u8>(from));
      return true;
    case Kind.WIDTH_4:
      append4(column, load<u32>(from));
      return true;
    case Kind.WIDTH_8:
      append8(column, load<u64>(from));
      return true;
    case Kind.WIDTH_16:
      append16(column, load<u64>(from), load<u64>(from, 8));
      return true;
  }
  return false;
}

/** Gives a column without a value in `row` its default, or null; false when the host must. */
// @ts-ignore: decorator
@inline
export function fill(column: usize, row: u32): bool {
  if (lengthOf(column) > row) return true;
  if (load<u32>(column, Column.FILL) != 0) return appendFill(column);
  if (load<u32>(column, Column.REQUIRED) != 0) return false;
  appendNull(column);
  return true;
}

/** Appends a null, to the children of a struct as well. */
export function appendNull(column: usize): void {
  const row = load<u32>(column, Column.LENGTH);
  const count = load<u32>(column, Column.NULL_COUNT);
  store<u32>(<usize>load<u32>(column, Column.NULLS) + (<usize>count << 2), row);
  store<u32>(column, count + 1, Column.NULL_COUNT);
  switch (load<u32>(column, Column.KIND)) {
    case Kind.BYTES:
      endValue(column, load<u32>(column, Column.USED));
      return;
    case Kind.LIST:
      endValue(column, lengthOf(child(column, 0)));
      return;
    case Kind.BOOLEAN:
      appendBoolean(column, 0);
      return;
    case Kind.WIDTH_4:
      append4(column, 0);
      return;
    case Kind.WIDTH_8:
      append8(column, 0);
      return;
    case Kind.WIDTH_16:
      append16(column, 0, 0);
      return;
  }
  store<u32>(column, row + 1, Column.LENGTH);
  const children = load<u32>(column, Column.CHILD_COUNT);
  for (let index: u32 = 0; index < children; index++) appendNull(child(column, index));
}

/** The address of a child. */
// @ts-ignore: decorator
@inline
export function child(column: usize, index: u32): usize {
  return <usize>load<u32>(<usize>load<u32>(column, Column.CHILDREN) + (<usize>index << 2));
}

/** Takes back everything behind the first `length` values, half-built ones included. */
export function truncate(column: usize, length: u32): void {
  if (load<u32>(column, Column.LENGTH) > length) store<u32>(column, length, Column.LENGTH);
  else length = load<u32>(column, Column.LENGTH);
  let nulls = load<u32>(column, Column.NULL_COUNT);
  const list = <usize>load<u32>(column, Column.NULLS);
  while (nulls > 0 && load<u32>(list + (<usize>(nulls - 1) << 2)) >= length) nulls--;
  store<u32>(column, nulls, Column.NULL_COUNT);
  const kind = load<u32>(column, Column.KIND);
  if (kind > Kind.BYTES) return;
  let end = length;
  if (kind != Kind.STRUCT) {
    const ends = <usize>load<u32>(column, Column.ENDS);
    const base = load<u32>(column, Column.BASE);
    end = length == 0 ? 0 : load<u32>(ends + (<usize>(length - 1) << 2)) - base;
    store<u32>(column, end, Column.USED);
  }
  const children = load<u32>(column, Column.CHILD_COUNT);
  for (let index: u32 = 0; index < children; index++) truncate(child(column, index), end);
}

/** The same of all columns of the value. */
export function truncateValue(call: usize, length: u32): void {
  const columns = <usize>load<u32>(call, Call.COLUMNS);
  const count = load<u32>(call, Call.COLUMN_COUNT);
  for (let index: u32 = 0; index < count; index++) {
    truncate(<usize>load<u32>(columns + (<usize>index << 2)), length);
  }
}

/**
 * Writes the column's nulls as bits from bit `start` (0 to 7) of `out` on, LSB first, 1 = null.
 * Bits around them become 0.
 */
export function nullBits(column: usize, start: u32, out: usize): void {
  const length = load<u32>(column, Column.LENGTH);
  memory.fill(out, 0, (start + length + 7) >> 3);
  const count = load<u32>(column, Column.NULL_COUNT);
  const list = <usize>load<u32>(column, Column.NULLS);
  for (let index: u32 = 0; index < count; index++) setBit(out, start + load<u32>(list + (<usize>index << 2)));
}

/** The same for the values of a boolean column. */
export function boolBits(column: usize, start: u32, out: usize): void {
  const length = load<u32>(column, Column.LENGTH);
  memory.fill(out, 0, (start + length + 7) >> 3);
  const data = <usize>load<u32>(column, Column.DATA);
  for (let index: u32 = 0; index < length; index++) {
    if (load<u8>(data + index) != 0) setBit(out, start + index);
  }
}

// @ts-ignore: decorator
@inline
function setBit(bits: usize, index: u32): void {
  const at = bits + (index >> 3);
  store<u8>(at, load<u8>(at) | ((<u8>1) << <u8>(index & 7)));
}

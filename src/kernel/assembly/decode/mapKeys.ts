/** Keys that come twice in a map. */
import { Column, Kind } from "./layout";

/** Keys of a map that are compared with each other. */
const KEYS_MAX: u32 = 32;

/** True when the key at `last` is one of the row's before it, or may be. */
export function hasKey(list: usize, keys: usize, row: u32, last: u32): bool {
  const ends = <usize>load<u32>(list, Column.ENDS);
  const base = load<u32>(list, Column.BASE);
  const first: u32 = row == 0 ? 0 : load<u32>(ends + (<usize>(row - 1) << 2)) - base;
  if (last - first >= KEYS_MAX) return true;
  for (let index: u32 = first; index < last; index++) {
    if (sameKey(keys, index, last)) return true;
  }
  return false;
}

function sameKey(keys: usize, a: u32, b: u32): bool {
  const data = <usize>load<u32>(keys, Column.DATA);
  switch (load<u32>(keys, Column.KIND)) {
    case Kind.BOOLEAN:
      return load<u8>(data + a) == load<u8>(data + b);
    case Kind.WIDTH_4:
      return load<u32>(data + (<usize>a << 2)) == load<u32>(data + (<usize>b << 2));
    case Kind.WIDTH_8:
      return load<u64>(data + (<usize>a << 3)) == load<u64>(data + (<usize>b << 3));
    case Kind.WIDTH_16:
      return memory.compare(data + (<usize>a << 4), data + (<usize>b << 4), 16) == 0;
    case Kind.BYTES: {
      const size = endOf(keys, a) - startOf(keys, a);
      if (endOf(keys, b) - startOf(keys, b) != size) return false;
      return memory.compare(data + startOf(keys, a), data + startOf(keys, b), size) == 0;
    }
  }
  return true;
}

function endOf(column: usize, index: u32): usize {
  const ends = <usize>load<u32>(column, Column.ENDS);
  return <usize>(load<u32>(ends + (<usize>index << 2)) - load<u32>(column, Column.BASE));
}

function startOf(column: usize, index: u32): usize {
  return index == 0 ? 0 : endOf(column, index - 1);
}

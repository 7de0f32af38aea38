/**
 * Keys of a map that come twice.
 */
import type { ColumnBuilder } from "#columns/builder.ts";

/** True when the value at `last` stands in `[first, last)`, too. */
export function hasKey(keys: ColumnBuilder, first: number, last: number): boolean {
  if (keys.field.type.kind === "boolean") {
    const bit = (index: number): number => ((keys.data[index >> 3] as number) >> (index & 7)) & 1;
    for (let index = first; index < last; index++) if (bit(index) === bit(last)) return true;
    return false;
  }
  const bytes = (index: number): Uint8Array =>
    keys.width > 0
      ? keys.data.subarray(index * keys.width, (index + 1) * keys.width)
      : keys.data.subarray(keys.offsets[index], keys.offsets[index + 1]);
  const own = bytes(last);
  for (let index = first; index < last; index++) {
    if (Buffer.compare(bytes(index), own) === 0) return true;
  }
  return false;
}

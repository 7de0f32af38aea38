/** Texts as DuckDB's vectors have them. */
import { type Pointer, toArrayBuffer } from "bun:ffi";

const INLINE_TEXT_MAX = 12;

/** `duckdb_string_t`: length, then up to 12 bytes in place, or 4 of them and an address. */
export function stringAt(view: DataView, at: number): string {
  const length = view.getUint32(at, true);
  if (length <= INLINE_TEXT_MAX) {
    return Buffer.from(view.buffer, view.byteOffset + at + 4, length).toString("utf8");
  }
  const address = Number(view.getBigUint64(at + 8, true)) as Pointer;
  return Buffer.from(toArrayBuffer(address, 0, length)).toString("utf8");
}

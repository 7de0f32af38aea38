/**
 * CRC-32C (Castagnoli), eight bytes a step ("slicing by 8"), as record batches v2 carry it.
 */

const POLYNOMIAL = 0x82f6_3b78;

/** Table k (256 entries from k * 256) advances a byte that k further bytes follow. */
const TABLES: Int32Array = (() => {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const shorter = tables[i - 256] ?? 0;
    tables[i] = (shorter >>> 8) ^ (tables[shorter & 255] ?? 0);
  }
  return tables;
})();

/**
 * The CRC-32C of `bytes[start, end)` as an unsigned 32-bit number.
 * @param start default 0
 * @param end default the end of `bytes`
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const t = TABLES;
  const b = bytes;
  let crc = -1;
  let i = start;
  for (const last = end - 8; i <= last; i += 8) {
    const low =
      crc ^ (at(b, i) | (at(b, i + 1) << 8) | (at(b, i + 2) << 16) | (at(b, i + 3) << 24));
    crc =
      at(t, 1792 + (low & 255)) ^
      at(t, 1536 + ((low >>> 8) & 255)) ^
      at(t, 1280 + ((low >>> 16) & 255)) ^
      at(t, 1024 + (low >>> 24)) ^
      at(t, 768 + at(b, i + 4)) ^
      at(t, 512 + at(b, i + 5)) ^
      at(t, 256 + at(b, i + 6)) ^
      at(t, at(b, i + 7));
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ at(t, (crc ^ at(b, i)) & 255);
  return ~crc >>> 0;
}

/** An element that is known to be there: the caller's loop bounds the index. */
function at(array: Int32Array | Uint8Array, index: number): number {
  return array[index] as number;
}

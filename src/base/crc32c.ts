/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), sixteen bytes a step ("slicing by 16"): the checksum
 * of Kafka's record batches and of the transaction log's frames.
 *
 * Whole 32-bit words are loaded once the address is aligned: three times as fast as byte by byte.
 */
import { assert } from "./assert.ts";

const POLYNOMIAL = 0x82f6_3b78;
const SLICES = 16;

/** Table k (256 entries from k * 256) advances a byte that k further bytes follow. */
const TABLES: Int32Array = (() => {
  const tables = new Int32Array(SLICES * 256);
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

// Words are read in the machine's byte order, which the tables expect to be this one.
assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "the machine is little endian");

/**
 * The CRC-32C of `bytes[start, end)` as an unsigned 32-bit number.
 * @param start default 0
 * @param end default the end of `bytes`
 * @param previous the CRC of what stands before these bytes, to go on with; default: nothing
 */
export function crc32c(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
  previous = 0,
): number {
  const base = bytes.byteOffset;
  const aligned = Math.min(end, start + (-(base + start) & 3));
  const steps = (end - aligned) >>> 4;
  const words = new Int32Array(bytes.buffer, steps === 0 ? 0 : base + aligned, steps * 4);
  let crc = byBytes(~previous, bytes, start, aligned);
  for (let i = 0; i < words.length; i += 4) {
    crc =
      fourBytes(3072, crc ^ (words[i] as number)) ^
      fourBytes(2048, words[i + 1] as number) ^
      fourBytes(1024, words[i + 2] as number) ^
      fourBytes(0, words[i + 3] as number);
  }
  return ~byBytes(crc, bytes, aligned + steps * 16, end) >>> 0;
}

/** The four bytes of a word, the first of which is followed by `table / 256 + 3` further bytes. */
function fourBytes(table: number, word: number): number {
  return (
    (TABLES[table + 768 + (word & 255)] as number) ^
    (TABLES[table + 512 + ((word >>> 8) & 255)] as number) ^
    (TABLES[table + 256 + ((word >>> 16) & 255)] as number) ^
    (TABLES[table + (word >>> 24)] as number)
  );
}

function byBytes(crc: number, bytes: Uint8Array, start: number, end: number): number {
  let result = crc;
  for (let i = start; i < end; i++) {
    result = (result >>> 8) ^ (TABLES[(result ^ (bytes[i] as number)) & 255] as number);
  }
  return result;
}

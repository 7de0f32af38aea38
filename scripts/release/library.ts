/**
 * DuckDB's shared library as it travels in an executable: the processor's part of it alone, compressed to
 * a quarter, in `dist/native/`; packed once a version.
 */

/** Level 19 would save another 2 MB, and takes a minute. */
const PACK_LEVEL = 12;
const FAT_MAGIC = 0xca_fe_ba_be;
const FAT_HEADER_BYTES = 8;
const FAT_ENTRY_BYTES = 20;
const MACH_O_PROCESSORS = { x64: 0x01_00_00_07, arm64: 0x01_00_00_0c } as const;

/** A packed library. */
export interface PackedLibrary {
  /** Its path, `.../libduckdb.zst`. */
  readonly path: string;
  /** SHA-256 of what is in it, hexadecimal. */
  readonly sha256: string;
}

/** @param processor of a macOS library, which holds several, this one's part is taken */
export async function packLibrary(
  library: string,
  processor: "x64" | "arm64",
): Promise<PackedLibrary> {
  const bytes = processorPart(await Bun.file(library).bytes(), processor);
  const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  const path = `dist/native/${sha256.slice(0, 16)}/libduckdb.zst`;
  if (!(await Bun.file(path).exists())) {
    await Bun.write(path, await Bun.zstdCompress(bytes, { level: PACK_LEVEL }));
  }
  return { path, sha256 };
}

/**
 * A processor's part of a universal Mach-O file, which is a whole file with a signature of its own; any other
 * file as it is.
 * @throws Error the file is universal and lacks it
 */
export function processorPart(bytes: Uint8Array, processor: "x64" | "arm64"): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== FAT_MAGIC) return bytes;
  for (let index = 0; index < view.getUint32(4); index++) {
    const at = FAT_HEADER_BYTES + index * FAT_ENTRY_BYTES;
    if (view.getUint32(at) !== MACH_O_PROCESSORS[processor]) continue;
    const offset = view.getUint32(at + 8);
    return bytes.subarray(offset, offset + view.getUint32(at + 12));
  }
  throw new Error(`the library has no part for ${processor}`);
}

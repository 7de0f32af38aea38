/**
 * Entry of `decompress.wasm`: LZ4 and Snappy blocks, bounds-checked, output-limited; and the checksum
 * of the record batches that they come in.
 */
export { crc32c, crcMargin } from "./decompress/crc32c";
export { lz4Block } from "./decompress/lz4";
export { snappyBlock } from "./decompress/snappy";
export { heapBase } from "./common/memory";

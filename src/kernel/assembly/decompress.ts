/** Entry of `decompress.wasm`: LZ4 and Snappy blocks, bounds-checked, output-limited. */
export { lz4Block } from "./decompress/lz4";
export { snappyBlock } from "./decompress/snappy";
export { heapBase } from "./common/memory";

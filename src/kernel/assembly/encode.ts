/** Entry of `encode.wasm`: Arrow-layout columns into Parquet pages: levels, values, statistics, codecs. */
export { heapBase } from "./common/memory";
export {
  boundBooleans,
  boundBytes,
  boundDoubles,
  boundFixed,
  boundFloats,
  boundInts,
  boundLongs,
} from "./encode/bounds";
export { dictionaryBytes, dictionaryFixed } from "./encode/dictionary";
export { hybridBytes, hybridWords, packBits } from "./encode/hybrid";
export { levels } from "./encode/levels";
export { lz4 } from "./encode/lz4";
export { plainBits, plainBytes, plainDecimals, plainFixed } from "./encode/plain";
export { snappy, snappyWords } from "./encode/snappy";

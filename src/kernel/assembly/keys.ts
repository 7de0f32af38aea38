/** Entry of `keys.wasm`: hashes of row keys, and the table from key to row (`src/keyindex/`). */
export { heapBase } from "./common/memory";
export { hashBytes, hashPairs, hashWords } from "./keys/hash";
export {
  begin,
  collect,
  getMany,
  growBegin,
  growStep,
  isSound,
  putMany,
  size,
  slotOf,
  slots,
  tableBytes,
} from "./keys/table";

/** Entry of `decode.wasm`: the records of a batch into Arrow-layout columns, one pass. */
export { heapBase } from "./common/memory";
export { boolBits, nullBits } from "./decode/columns";
export { tens, wholeTens } from "./decode/numbers";
export { decode, truncateAll } from "./decode/records";
export { readSlot } from "./decode/straight";

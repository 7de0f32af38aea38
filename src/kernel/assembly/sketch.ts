/** Entry of `sketch.wasm`: theta sketches of columns (`src/sql/sketch/`). */
export { heapBase } from "./common/memory";
export { addBytes, addDecimals, addFixed } from "./sketch/values";
export { add, begin, finish, tableBytes, theta } from "./sketch/table";

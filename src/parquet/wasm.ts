/**
 * The only door to `parquet-wasm`: loads its module once per thread, from the file embedded in the
 * executable or lying in `node_modules`.
 *
 * Loading is synchronous on purpose: a Worker that awaits at its top level loses the messages that
 * arrive meanwhile.
 */
import { readFileSync } from "node:fs";
import * as parquetWasm from "parquet-wasm/esm";
import wasmPath from "parquet-wasm/esm/parquet_wasm_bg.wasm" with { type: "file" };

let loaded = false;

/** The module, ready for use; about 50 ms at the first call of a thread. */
export function loadParquetWasm(): typeof parquetWasm {
  if (!loaded) {
    parquetWasm.initSync({ module: readFileSync(wasmPath) });
    loaded = true;
  }
  return parquetWasm;
}

/** Bytes of this thread's WASM memory; it never shrinks, so it is the high mark since the start. */
export function parquetWasmBytes(): number {
  if (!loaded) return 0;
  const memory: WebAssembly.Memory = parquetWasm.wasmMemory();
  return memory.buffer.byteLength;
}

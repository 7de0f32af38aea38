/**
 * The only door to our own WebAssembly: the kernels of `assembly/`, compiled by
 * `bun run build:kernel` and embedded in the executable.
 *
 * A kernel is a set of pure functions over one linear memory that its caller lays out. It allocates
 * nothing and imports nothing; it can damage its own memory, never anything else.
 */
import { readFileSync } from "node:fs";
import decodePath from "./decode.wasm" with { type: "file" };
import decompressPath from "./decompress.wasm" with { type: "file" };
import encodePath from "./encode.wasm" with { type: "file" };
import keysPath from "./keys.wasm" with { type: "file" };
import sketchPath from "./sketch.wasm" with { type: "file" };

/** The kernels, by the name of their file. */
export type KernelName = "decode" | "decompress" | "encode" | "keys" | "sketch";

const PATHS: Readonly<Record<KernelName, string>> = {
  decode: decodePath,
  decompress: decompressPath,
  encode: encodePath,
  keys: keysPath,
  sketch: sketchPath,
};

/** A kernel of its own memory. `functions`: its exports by name; numbers in, numbers out. */
export interface Kernel<F> {
  readonly functions: F;
  /** Grows, never shrinks; views of its buffer are void after `grow`. */
  readonly memory: WebAssembly.Memory;
  /** First byte that is not the kernel's own. */
  readonly heapBase: number;
}

const modules = new Map<KernelName, WebAssembly.Module>();

/** Compiles a kernel at its first use in a thread (about a millisecond), and makes an instance. */
export function loadKernel<F>(name: KernelName): Kernel<F> {
  const module = modules.get(name) ?? new WebAssembly.Module(readFileSync(PATHS[name]));
  modules.set(name, module);
  const { exports } = new WebAssembly.Instance(module, {});
  const { memory, heapBase } = exports as { memory: WebAssembly.Memory; heapBase: () => number };
  return { functions: exports as F, memory, heapBase: heapBase() };
}

/** Makes the memory at least `bytes` long; true when its buffer is a new one. */
export function growMemory(memory: WebAssembly.Memory, bytes: number): boolean {
  const missing = bytes - memory.buffer.byteLength;
  if (missing <= 0) return false;
  memory.grow(Math.ceil(missing / 65_536));
  return true;
}

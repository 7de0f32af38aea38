/** The C library of this process's system: the only place that knows what it is called. */
import { dlopen, type FFIFunction } from "bun:ffi";

/** Its names: glibc, musl, macOS. */
const NAMES = [
  "libc.so.6",
  "libc.musl-x86_64.so.1",
  "libc.musl-aarch64.so.1",
  "libSystem.B.dylib",
] as const;

/**
 * Functions of the C library; null where none is found that has them all.
 * @param symbols their types; `Functions` says the same to the compiler
 */
export function openLibc<Functions extends object>(
  symbols: Readonly<Record<keyof Functions & string, FFIFunction>>,
): Functions | null {
  for (const name of NAMES) {
    try {
      return dlopen(name, symbols).symbols as unknown as Functions;
    } catch {
      // Not this system's C library: the next name.
    }
  }
  return null;
}

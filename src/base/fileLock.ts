/**
 * An exclusive file lock by `flock(2)`, called in the C library: the kernel releases it when the
 * process ends, also by SIGKILL, so that a stale lock cannot exist.
 */
import { dlopen, FFIType } from "bun:ffi";
import { close, open } from "node:fs";
import { promisify } from "node:util";
import { fail } from "./errors.ts";

/** LOCK_EX | LOCK_NB, the same on Linux and macOS. */
const EXCLUSIVE_AT_ONCE = 2 | 4;

/** The C library's names: glibc, musl, macOS. */
const LIBRARIES = [
  "libc.so.6",
  "libc.musl-x86_64.so.1",
  "libc.musl-aarch64.so.1",
  "libSystem.B.dylib",
] as const;

type Flock = (descriptor: number, operation: number) => number;

/**
 * Takes the lock of `path`, which is created when missing; null when another process, or another
 * part of this one, holds it. Does not wait. Throws the system's error, or `state`.
 */
export async function lockFile(path: string): Promise<{ release(): Promise<void> } | null> {
  const flock = loadFlock();
  // A plain descriptor: a FileHandle that nobody keeps is closed by the garbage collector.
  const descriptor = await promisify(open)(path, "a");
  const release = (): Promise<void> => promisify(close)(descriptor);
  if (flock(descriptor, EXCLUSIVE_AT_ONCE) === 0) return { release };
  await release();
  return null;
}

function loadFlock(): Flock {
  for (const name of LIBRARIES) {
    try {
      const symbols = {
        flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
      } as const;
      return dlopen(name, symbols).symbols.flock;
    } catch {
      // Not this system's C library: the next name.
    }
  }
  throw fail("state", "No C library with flock(2) was found, so no state directory can be locked");
}

/**
 * An exclusive file lock: of the file by `flock(2)`, called in the C library, and on Linux of its
 * name as well. The kernel releases both when the process ends, also by SIGKILL, so that a stale lock
 * cannot exist.
 *
 * The file alone is not enough: when somebody removes the folder under a running process, another
 * process makes and locks a new file of the same name. The name is locked by a socket in the abstract
 * namespace, which lies in no folder; it accepts nobody. (Containers that share a folder, but no
 * network namespace, have the file's lock only.)
 */
import { FFIType } from "bun:ffi";
import { close, open } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";
import { fail } from "./errors.ts";
import { openLibc } from "./libc.ts";

/** LOCK_EX | LOCK_NB, the same on Linux and macOS. */
const EXCLUSIVE_AT_ONCE = 2 | 4;

type Flock = (descriptor: number, operation: number) => number;

/**
 * Takes the lock of `path`, which is created when missing; null when another process, or another
 * part of this one, holds it. Does not wait. Throws the system's error, or `state`.
 */
export async function lockFile(path: string): Promise<{ release(): Promise<void> } | null> {
  const flock = loadFlock();
  // A plain descriptor: a FileHandle that nobody keeps is closed by the garbage collector.
  const descriptor = await promisify(open)(path, "a");
  const unlock = (): Promise<void> => promisify(close)(descriptor);
  const name =
    flock(descriptor, EXCLUSIVE_AT_ONCE) === 0
      ? lockName(`${await realpath(dirname(path))}/${basename(path)}`)
      : null;
  if (name === null) {
    await unlock();
    return null;
  }
  return {
    release: async () => {
      name.release();
      await unlock();
    },
  };
}

/** Locks a path that need not exist any more; null when another process holds it. */
function lockName(path: string): { release(): void } | null {
  if (process.platform !== "linux") return { release: () => undefined };
  const hash = new Bun.CryptoHasher("sha256").update(path).digest("hex");
  try {
    const socket = { data: () => undefined, open: (peer: { end(): void }) => peer.end() };
    const listener = Bun.listen({ unix: `\0kafka-iceberg-lock-${hash}`, socket });
    listener.unref();
    return { release: () => listener.stop(true) };
  } catch (error) {
    if ((error as { code?: string }).code === "EADDRINUSE") return null;
    throw error;
  }
}

function loadFlock(): Flock {
  const symbols = { flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } } as const;
  const flock = openLibc<{ readonly flock: Flock }>(symbols)?.flock;
  if (flock !== undefined) return flock;
  throw fail("state", "No C library with flock(2) was found, so no state directory can be locked");
}

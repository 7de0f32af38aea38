/**
 * The disk port: the few file operations that durable writes are made of, so that a test can lose
 * what was not synced (`test/fakes/lossyDisk.ts`). Implementation: the machine's file system.
 *
 * Every operation is asynchronous and throws the system's error (with its `code`);
 * {@link diskError} turns that into an error of ours. A file's content is durable after
 * `DiskFile.sync`, its name after `Disk.syncDir` of the folder that holds it.
 */
import { close, fstat, fsync, ftruncate, open, read, write } from "node:fs";
import { link, mkdir, opendir, stat, unlink } from "node:fs/promises";
import { promisify } from "node:util";
import { type AppError, fail } from "./errors.ts";
import { lockFile } from "./fileLock.ts";

/** What a folder entry or a path is. */
export interface DiskStat {
  readonly kind: "file" | "folder" | "other";
  readonly bytes: number;
  /** What of a file is on the disk: less than its bytes where it has holes. */
  readonly takenBytes: number;
  /** Last modification, ms since epoch. */
  readonly modifiedMs: number;
}

/** Unit of `stat`'s blocks, whatever the file system's own is (POSIX). */
const BLOCK_BYTES = 512;

/** An open file. */
export interface DiskFile {
  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Reads `length` bytes at `position`; fewer only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  truncate(bytes: number): Promise<void>;
  /** Makes the content durable. */
  sync(): Promise<void>;
  /** The size of the file now, in bytes. */
  size(): Promise<number>;
  close(): Promise<void>;
}

/** A lock that the kernel releases when the process ends in any way. */
export interface DiskLock {
  release(): Promise<void>;
}

/** A file system. */
export interface Disk {
  /** Creates a new file; fails with EEXIST when the name is taken. */
  create(path: string): Promise<DiskFile>;
  open(path: string, access: "read" | "write"): Promise<DiskFile>;
  /** Gives a file a second name; fails with EEXIST when that is taken. */
  link(existing: string, name: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Creates one folder. */
  mkdir(path: string): Promise<void>;
  /** Makes the names in a folder durable. */
  syncDir(path: string): Promise<void>;
  /** The names in a folder, in no order. */
  list(path: string): AsyncIterable<string>;
  /** Null when the path does not exist. */
  stat(path: string): Promise<DiskStat | null>;
  /** Maps a whole file that is not empty and that nobody will shorten. */
  map(path: string): Uint8Array;
  /** Takes the exclusive lock of a file, created when missing; null when another holds it. */
  lock(path: string): Promise<DiskLock | null>;
}

/** The `code` of a system error ("ENOENT"), or the empty string. */
export function systemErrorCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}

/**
 * An error of ours for a system error: no room or read-only disk -> `storage_full`; not there ->
 * `storage_missing`; not allowed -> `storage_refused`; all others -> `storage_unreachable`.
 * @param action what was tried, as in "Cannot <action> <path>"
 */
export function diskError(error: unknown, action: string, path: string): AppError {
  const code = systemErrorCode(error);
  const context = { path, code };
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return fail("storage_full", `No room to ${action} ${path}`, context, error);
    case "EROFS":
      return fail("storage_full", `The disk of ${path} is read-only`, context, error);
    case "ENOENT":
      return fail("storage_missing", `Cannot ${action} ${path}: it does not exist`, context, error);
    case "EACCES":
    case "EPERM":
      return fail("storage_refused", `No permission to ${action} ${path}`, context, error);
    case "ENAMETOOLONG": {
      const sentence = `Cannot ${action} ${path}: the path, or a name in it, is too long for the disk`;
      return fail("storage_refused", sentence, context, error);
    }
    case "EEXIST":
    case "EISDIR":
    case "ENOTDIR":
    case "ELOOP":
    case "EXDEV":
    case "EINVAL":
      return fail("storage_refused", `Cannot ${action} ${path} (${code})`, context, error);
    default:
      return fail("storage_unreachable", `Cannot ${action} ${path}`, context, error);
  }
}

/** Runs disk operations; system errors become ours by {@link diskError}, others pass. */
export async function onDisk<T>(
  action: string,
  path: string,
  run: () => Promise<T> | T,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw systemErrorCode(error) === "" ? error : diskError(error, action, path);
  }
}

/**
 * Plain descriptors, not FileHandles: Bun ends the process when a FileHandle that nobody keeps any
 * more is still open as garbage is collected.
 */
const descriptor = {
  open: promisify(open),
  read: promisify(read),
  write: promisify(write),
  sync: promisify(fsync),
  truncate: promisify(ftruncate),
  stat: promisify(fstat),
  close: promisify(close),
};

/** The machine's file system. */
export const systemDisk: Disk = {
  create: async (path) => openFile(await descriptor.open(path, "wx+")),
  open: async (path, access) =>
    openFile(await descriptor.open(path, access === "read" ? "r" : "r+")),
  link,
  unlink,
  mkdir: (path) => mkdir(path),
  syncDir: async (path) => {
    const folder = await descriptor.open(path, "r");
    try {
      await descriptor.sync(folder);
    } finally {
      await descriptor.close(folder);
    }
  },
  list: async function* (path) {
    for await (const entry of await opendir(path)) yield entry.name;
  },
  stat: async (path) => {
    try {
      const found = await stat(path);
      const kind = found.isFile() ? "file" : found.isDirectory() ? "folder" : "other";
      return {
        kind,
        bytes: found.size,
        takenBytes: Math.min(found.size, found.blocks * BLOCK_BYTES),
        modifiedMs: found.mtimeMs,
      };
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT") return null;
      throw error;
    }
  },
  map: (path) => Bun.mmap(path),
  lock: lockFile,
};

function openFile(file: number): DiskFile {
  return {
    write: async (bytes, position) => {
      for (let done = 0; done < bytes.length; ) {
        const rest = bytes.length - done;
        const { bytesWritten } = await descriptor.write(file, bytes, done, rest, position + done);
        done += bytesWritten;
      }
    },
    read: async (position, length) => {
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const rest = length - done;
        const { bytesRead } = await descriptor.read(file, bytes, done, rest, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    },
    truncate: (bytes) => descriptor.truncate(file, bytes),
    sync: () => descriptor.sync(file),
    size: async () => (await descriptor.stat(file)).size,
    close: () => descriptor.close(file),
  };
}

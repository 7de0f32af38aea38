/**
 * The state directory: one per process, locked by the kernel, with the instance's stable id
 * (SPEC 2.11 and section 4 `[state]`). The id makes static membership find its partitions again.
 */

import { type Disk, diskError, onDisk, systemErrorCode } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import { createFolders } from "#base/folders.ts";
import type { Random } from "#base/random.ts";
import { utf8Text } from "#base/text.ts";

/** A locked state directory. */
export interface StateDir {
  /** Absolute path. */
  readonly path: string;
  /** A UUID that stays the same for as long as the directory lives. */
  readonly instanceId: string;
  /** False once somebody removed or replaced the directory under the running process. */
  isOurs(): Promise<boolean>;
  /** Releases the lock. */
  close(): Promise<void>;
}

const LOCK = "lock";
const INSTANCE = "instance-id";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Creates the directory when missing and locks it. Throws `state`, naming the other process, when
 * it is in use, and the disk's errors.
 * @param pid this process's id, written for the other's error message
 */
export async function openStateDir(
  path: string,
  parts: { disk: Disk; random: Random; pid: number },
): Promise<StateDir> {
  const { disk } = parts;
  await createFolders(disk).make(path);
  const lockPath = `${path}/${LOCK}`;
  const lock = await onDisk("lock", lockPath, () => disk.lock(lockPath));
  if (lock === null) throw await inUse(disk, path);
  try {
    await writePid(disk, lockPath, parts.pid);
    const instanceId = await instanceIdOf(disk, path, parts.random);
    return {
      path,
      instanceId,
      isOurs: async () => (await readText(disk, lockPath))?.trim() === String(parts.pid),
      close: () => lock.release(),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function inUse(disk: Disk, path: string): Promise<Error> {
  const pid = (await readText(disk, `${path}/${LOCK}`).catch(() => null))?.trim() ?? "";
  const owner = /^\d+$/.test(pid) ? `process ${pid}` : "another process";
  const sentence = `The state directory ${path} is in use by ${owner}; give each process its own`;
  return fail("state", `${sentence} (state.dir)`, { path, pid });
}

/** The number is only for people; the lock itself is the kernel's. */
async function writePid(disk: Disk, lockPath: string, pid: number): Promise<void> {
  await onDisk("write", lockPath, async () => {
    const file = await disk.open(lockPath, "write");
    try {
      await file.truncate(0);
      await file.write(new TextEncoder().encode(`${pid}\n`), 0);
    } finally {
      await file.close();
    }
  });
}

/** Reads the id, or makes one under a temporary name and links it, so that it is never half there. */
async function instanceIdOf(disk: Disk, path: string, random: Random): Promise<string> {
  const name = `${path}/${INSTANCE}`;
  const found = (await readText(disk, name))?.trim();
  if (found !== undefined) {
    if (UUID.test(found)) return found;
    const sentence = `${name} does not hold an instance id; remove it to get a new one`;
    throw fail("state", sentence, { path: name });
  }
  const id = random.uuid();
  const temporary = `${name}.${random.uuid()}.tmp`;
  await onDisk("create", name, async () => {
    const file = await disk.create(temporary);
    try {
      await file.write(new TextEncoder().encode(`${id}\n`), 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.link(temporary, name);
    await disk.unlink(temporary);
    await disk.syncDir(path);
  });
  return id;
}

/** Null when the file does not exist. */
async function readText(disk: Disk, path: string): Promise<string | null> {
  try {
    const file = await disk.open(path, "read");
    try {
      return utf8Text(await file.read(0, await file.size()));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw diskError(error, "read", path);
  }
}

/** Bytes of all files below a folder. Files that disappear while they are counted count nothing. */
export async function folderBytes(disk: Disk, folder: string): Promise<number> {
  let bytes = 0;
  await onDisk("list", folder, async () => {
    for await (const name of disk.list(folder)) {
      const path = `${folder}/${name}`;
      const found = await disk.stat(path);
      if (found?.kind === "folder") bytes += await folderBytes(disk, path);
      else bytes += found?.takenBytes ?? 0;
    }
  });
  return bytes;
}

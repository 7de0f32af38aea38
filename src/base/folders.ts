/**
 * Creates folders durably: each one's name is synced in its parent, up to the root.
 *
 * A folder that exists may have been created by another process that has not yet synced it, so a
 * folder counts as durable only after *this* process has synced its parent. Each folder costs that
 * once per process; concurrent callers share the work.
 */

import { type Disk, diskError, systemErrorCode } from "./disk.ts";
import { LIMITS } from "./limits.ts";

/** Folders known to be durable. */
export interface Folders {
  /** Creates a folder and its parents where missing; resolves when all their names are durable. */
  make(path: string): Promise<void>;
  /** Forgets what is durable, after a folder was found to be removed. */
  forget(): void;
}

/** Starts with no folder known. */
export function createFolders(disk: Disk): Folders {
  const known = new Map<string, Promise<void>>();
  const make = (path: string): Promise<void> => {
    if (path === "" || path === "/") return Promise.resolve();
    let made = known.get(path);
    if (made === undefined) {
      if (known.size >= LIMITS.knownFoldersMax) known.clear();
      made = makeOne(path);
      known.set(path, made);
      made.catch(() => known.delete(path));
    }
    return made;
  };
  const makeOne = async (path: string): Promise<void> => {
    const parent = path.slice(0, path.lastIndexOf("/")) || "/";
    await make(parent);
    const created = await createFolder(disk, path);
    await syncParent(disk, parent, created);
  };
  return { make, forget: () => known.clear() };
}

/** Whether the folder was created by this call. */
async function createFolder(disk: Disk, path: string): Promise<boolean> {
  try {
    if ((await disk.stat(path))?.kind === "folder") return false;
    await disk.mkdir(path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST" && (await disk.stat(path))?.kind === "folder")
      return false;
    throw diskError(error, "create the folder", path);
  }
}

/** A parent that we may not read is left alone when nothing was created in it. */
async function syncParent(disk: Disk, parent: string, created: boolean): Promise<void> {
  try {
    await disk.syncDir(parent);
  } catch (error) {
    const code = systemErrorCode(error);
    const foreign = code === "EACCES" || code === "EPERM" || code === "EROFS" || code === "EINVAL";
    if (created || !foreign) throw diskError(error, "sync the folder", parent);
  }
}

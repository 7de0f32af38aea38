/**
 * Storage on a local disk: every object is written under a temporary name, synced, linked to its
 * final name and made durable with its folders before a write resolves (SPEC 2.11, 2.12).
 *
 * Steps of a write: folders (each new one synced into its parent) -> create temporary file -> write
 * -> fsync -> compare the size -> `link` to the final name -> `unlink` the temporary name -> fsync
 * of the folder. `link` never overwrites, where `rename` would; of several writers one wins. A crash
 * leaves at most a temporary file `.<name>.<uuid>.tmp`, which `list` hides and `abortUploads`
 * removes; the uuid is the writer's `uploadId`. A name that leaves no room for that in a folder's
 * entry stands there as its hash.
 */
import { type Disk, type DiskFile, diskError, onDisk, systemErrorCode } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import { createFolders, type Folders } from "#base/folders.ts";
import type { Random } from "#base/random.ts";
import { localPath, localPrefix } from "./location.ts";
import type { LeftUpload, ObjectInfo, Storage } from "./storage.ts";
import { type Upload, writesOf } from "./upload.ts";

/** Longest name that a temporary file of it repeats, bytes: with the uuid it stays below 255. */
const STEM_BYTES_MAX = 200;

const TEMPORARY = /^\.(.+)\.([0-9a-f-]{36})\.tmp$/;

/** What local storage is built from. */
export interface LocalStorageParts {
  readonly disk: Disk;
  readonly random: Random;
}

/** Opens the local disk as a storage for `/abs`, `file:/abs` and `file:///abs` locations. */
export function createLocalStorage(parts: LocalStorageParts): Storage {
  const { disk } = parts;
  const folders = createFolders(disk);
  return {
    ...writesOf((location) => startUpload(parts, folders, location)),
    get: (location) => read(disk, location, 0, null),
    getRange: (location, start, length) => read(disk, location, start, length),
    head: async (location) => {
      const path = localPath(location);
      const found = await onDisk("read", path, () => disk.stat(path));
      if (found === null || found.kind !== "file") return null;
      return { location, bytes: found.bytes, modifiedMs: found.modifiedMs };
    },
    remove: async (locations) => {
      for (const location of locations) await removeFile(disk, localPath(location));
    },
    list: (prefix) => list(disk, localPrefix(prefix)),
    abortUploads: async (uploads) => {
      for (const upload of uploads) await removeTemporary(disk, upload.location, upload.uploadId);
    },
    leftUploads: (prefix) => leftUploads(disk, localPrefix(prefix)),
    close: async () => undefined,
  };
}

async function startUpload(
  parts: LocalStorageParts,
  folders: Folders,
  location: string,
): Promise<Upload> {
  const { disk } = parts;
  const path = localPath(location);
  const id = parts.random.uuid();
  const temporary = temporaryPath(path, id);
  const file = await createTemporary(disk, folders, path, temporary);
  let bytes = 0;
  let open = true;
  const close = async (): Promise<void> => {
    if (!open) return;
    open = false;
    await file.close();
  };
  return {
    id,
    write: (content) =>
      onDisk("write", path, async () => {
        await file.write(content, bytes);
        bytes += content.length;
      }),
    finish: async () => {
      await onDisk("sync", path, async () => {
        await file.sync();
        await compareSize(file, path, bytes);
        await close();
      });
      const won = await onDisk("create", path, () => linkUnlessTaken(disk, temporary, path));
      await onDisk("sync the folder of", path, async () => {
        await disk.unlink(temporary);
        if (won) await disk.syncDir(folderOf(path));
      });
      return won ? { location, bytes } : null;
    },
    discard: async () => {
      await onDisk("close", temporary, close);
      await removeFile(disk, temporary);
    },
  };
}

/** A folder that somebody removed since it was made durable is made again, once. */
async function createTemporary(
  disk: Disk,
  folders: Folders,
  path: string,
  temporary: string,
): Promise<DiskFile> {
  await folders.make(folderOf(path));
  try {
    return await disk.create(temporary);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw diskError(error, "create", path);
  }
  folders.forget();
  await folders.make(folderOf(path));
  return onDisk("create", path, () => disk.create(temporary));
}

async function compareSize(file: DiskFile, path: string, expected: number): Promise<void> {
  const found = await file.size();
  if (found === expected) return;
  const sentence = `${path} has ${found} bytes after ${expected} were written`;
  throw fail("storage_corrupt", sentence, { path, expected, found });
}

async function linkUnlessTaken(disk: Disk, temporary: string, path: string): Promise<boolean> {
  try {
    await disk.link(temporary, path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** Reads a part of a file, or with a null length all of it. */
async function read(
  disk: Disk,
  location: string,
  start: number,
  length: number | null,
): Promise<Uint8Array> {
  const path = localPath(location);
  return onDisk("read", path, async () => {
    const file = await disk.open(path, "read");
    try {
      const wanted = length ?? (await file.size()) - start;
      const bytes = await file.read(start, wanted);
      if (bytes.length === wanted) return bytes;
      const sentence = `${path} ends before byte ${start + wanted}`;
      throw fail("storage_corrupt", sentence, { path, start, length: wanted });
    } finally {
      await file.close();
    }
  });
}

async function removeFile(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw diskError(error, "remove", path);
  }
}

/** A folder as a path and as locations begin. */
type Prefix = ReturnType<typeof localPrefix>;

async function* list(disk: Disk, prefix: Prefix): AsyncGenerator<ObjectInfo> {
  for await (const object of walk(disk, prefix)) {
    if (temporaryOf(object.location) === null) yield object;
  }
}

/** Temporary files; the name in them may be the hash of a longer one, which is found by it as well. */
async function* leftUploads(disk: Disk, prefix: Prefix): AsyncGenerator<LeftUpload> {
  for await (const { location, modifiedMs: beganMs } of walk(disk, prefix)) {
    const temporary = temporaryOf(location);
    if (temporary === null) continue;
    yield { location: `${folderOf(location)}/${temporary.stem}`, uploadId: temporary.id, beganMs };
  }
}

function temporaryOf(location: string): { readonly stem: string; readonly id: string } | null {
  const [, stem, id] = TEMPORARY.exec(location.slice(location.lastIndexOf("/") + 1)) ?? [];
  return stem === undefined || id === undefined ? null : { stem, id };
}

/** Walks the folders below `prefix`; what disappears meanwhile is left out. */
async function* walk(disk: Disk, prefix: Prefix): AsyncGenerator<ObjectInfo> {
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of await names(disk, prefix.path + folder)) {
      const found = await onDisk("list", prefix.path, () => disk.stat(prefix.path + folder + name));
      const location = prefix.location + folder + name;
      if (found?.kind === "folder") folders.push(`${folder}${name}/`);
      else if (found?.kind === "file")
        yield { location, bytes: found.bytes, modifiedMs: found.modifiedMs };
    }
  }
}

async function names(disk: Disk, folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(disk.list(folder));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw diskError(error, "list", folder);
  }
}

/** Removes one temporary file of `location`, or with an empty id all of them. */
async function removeTemporary(disk: Disk, location: string, id: string): Promise<void> {
  const path = localPath(location);
  const folder = folderOf(path);
  if (id !== "") return removeFile(disk, temporaryPath(path, id));
  for (const name of await names(disk, folder)) {
    if (TEMPORARY.exec(name)?.[1] === stemOf(path.slice(folder.length + 1)))
      await removeFile(disk, `${folder}/${name}`);
  }
}

function temporaryPath(path: string, id: string): string {
  const folder = folderOf(path);
  return `${folder}/.${stemOf(path.slice(folder.length + 1))}.${id}.tmp`;
}

function stemOf(name: string): string {
  if (Buffer.byteLength(name) <= STEM_BYTES_MAX) return name;
  return new Bun.CryptoHasher("sha256").update(name).digest("hex");
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

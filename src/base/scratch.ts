/**
 * Folders of one process for files that nobody needs after it. What a killed process left there is removed
 * by the next one that makes a folder of the name.
 */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** A folder in use. */
export interface Scratch {
  readonly folder: string;
  /** Removes it with all that is in it. */
  remove(): Promise<void>;
}

/** Those of this process that are in use. */
const inUse = new Set<string>();

/**
 * Makes a folder below `root`, which is made as well, readable by this user alone.
 * @param name of what it is for, letters only
 */
export async function makeScratch(root: string, name: string): Promise<Scratch> {
  await mkdir(root, { recursive: true });
  await removeLeft(root, name);
  const folder = await mkdtemp(join(root, `${name}-${process.pid}-`));
  inUse.add(folder);
  const remove = async (): Promise<void> => {
    inUse.delete(folder);
    await rm(folder, { recursive: true, force: true });
  };
  return { folder, remove };
}

/** Makes such a folder, hands it to `use`, and removes it. */
export async function withScratch<T>(
  root: string,
  name: string,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const scratch = await makeScratch(root, name);
  try {
    return await use(scratch.folder);
  } finally {
    await scratch.remove();
  }
}

async function removeLeft(root: string, wanted: string): Promise<void> {
  for (const each of await readdir(root)) {
    const [, name, pid] = /^([a-z]+)-(\d+)-/.exec(each) ?? [];
    const folder = join(root, each);
    if (name !== wanted || inUse.has(folder) || isOfOther(Number(pid))) continue;
    await rm(folder, { recursive: true, force: true });
  }
}

/** True for another process that runs. In a container the one before had this one's number. */
function isOfOther(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { readonly code?: unknown }).code === "EPERM";
  }
}

/**
 * Folders for files on their way, one for each rewrite. What a killed process left there is removed by
 * the next one.
 */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** Those of this process that are in use. */
const inUse = new Set<string>();

/** Makes a folder below `root`, which is made as well, hands it to `use`, and removes it. */
export async function withScratch<T>(
  root: string,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  await mkdir(root, { recursive: true });
  await removeLeft(root);
  const folder = await mkdtemp(join(root, `rewrite-${process.pid}-`));
  inUse.add(folder);
  try {
    return await use(folder);
  } finally {
    inUse.delete(folder);
    await rm(folder, { recursive: true, force: true });
  }
}

async function removeLeft(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const [, pid] = /^rewrite-(\d+)-/.exec(name) ?? [];
    const folder = join(root, name);
    if (pid === undefined || inUse.has(folder) || isOfOther(Number(pid))) continue;
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

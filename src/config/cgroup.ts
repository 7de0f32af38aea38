/**
 * The memory limit of the process's control group: the smallest of its own group and of all groups
 * above it, of both versions of cgroups (SPEC section 4, `[memory]`).
 *
 * A service of systemd (`MemoryMax=`), a pod and a container have their limit in a group below the
 * root, or in one above their own. The root's file alone says nothing about any of them.
 */
import { dirname, join, relative } from "node:path";

/** Reads a file of the system as text; empty when it cannot be read. */
export type ReadText = (path: string) => Promise<string>;

/** Where one version of cgroups keeps the limit; `memory.high` slows a process down to a halt. */
const LIMIT_FILES = {
  cgroup: ["memory.limit_in_bytes"],
  cgroup2: ["memory.max", "memory.high"],
} as const;

/** The smallest limit in bytes; infinite when no group has one. */
export async function cgroupMemoryLimit(read: ReadText = readText): Promise<number> {
  const groups = await read("/proc/self/cgroup");
  const mounts = await read("/proc/self/mountinfo");
  const files = memoryMounts(mounts).flatMap(({ version, root, folder }) => {
    const group = groupOf(groups, version);
    if (group === null) return [];
    return foldersUp(folder, insideMount(root, group)).flatMap((each) =>
      LIMIT_FILES[version].map((name) => join(each, name)),
    );
  });
  const texts = await Promise.all([...new Set(files)].map(read));
  return Math.min(Number.POSITIVE_INFINITY, ...texts.map(limitIn));
}

/** One mounted hierarchy that may limit memory. */
interface MemoryMount {
  readonly version: keyof typeof LIMIT_FILES;
  /** The group that the mount shows as its top: `/`, or in a container the container's own. */
  readonly root: string;
  readonly folder: string;
}

/** `31 23 0:28 ROOT FOLDER rw,relatime - TYPE SOURCE OPTIONS`, one mount a line (proc(5)). */
function memoryMounts(mountinfo: string): MemoryMount[] {
  return mountinfo.split("\n").flatMap((line): MemoryMount[] => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root = "/", folder = ""] = before.split(" ").map(unescaped);
    const [version = "", , options = ""] = after.split(" ");
    if (version === "cgroup2") return [{ version, root, folder }];
    const isMemory = version === "cgroup" && options.split(",").includes("memory");
    return isMemory ? [{ version, root, folder }] : [];
  });
}

/** `4:memory:/docker/1f..` of version 1, `0::/system.slice/x.service` of version 2. */
function groupOf(groups: string, version: MemoryMount["version"]): string | null {
  for (const line of groups.split("\n")) {
    const [id = "", controllers = "", ...path] = line.split(":");
    const isIts =
      version === "cgroup2"
        ? id === "0" && controllers === ""
        : controllers.split(",").includes("memory");
    if (isIts) return path.join(":");
  }
  return null;
}

/** The group's path below the mount's top; empty when the mount does not show the group. */
function insideMount(root: string, group: string): string {
  const inside = relative(root, group);
  return inside.startsWith("..") ? "" : inside;
}

/** The group's folder, then those above it, up to the mount's top. */
function foldersUp(top: string, inside: string): string[] {
  const folders: string[] = [];
  for (let below = inside; below !== "" && below !== "."; below = dirname(below)) {
    folders.push(join(top, below));
  }
  return [...folders, top];
}

/** `max` and version 1's 9223372036854771712 mean that there is none. */
function limitIn(text: string): number {
  const bytes = /^\d+$/.test(text.trim()) ? Number(text.trim()) : 0;
  return bytes > 0 ? bytes : Number.POSITIVE_INFINITY;
}

/** The kernel writes spaces in paths as octal numbers: `\040`. */
function unescaped(word: string): string {
  return word.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

async function readText(path: string): Promise<string> {
  return Bun.file(path)
    .text()
    .catch(() => "");
}

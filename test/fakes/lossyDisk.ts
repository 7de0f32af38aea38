/**
 * A disk with a page cache that can lose power: what was not synced may survive a crash, in any
 * mixture, or not. Content is durable after `sync` of the file, names after `syncDir` of their
 * folder. Each operation is a step, at which a crash or a system error can be asked for.
 */
import type { Disk, DiskFile } from "#base/disk.ts";
import type { Random } from "#base/random.ts";

/** An operation of the port, as hooks and traces see it. */
export interface DiskStep {
  readonly operation: string;
  readonly path: string;
}

/** Options of {@link createLossyDisk}. */
export interface LossyDiskOptions {
  readonly random: Random;
  /** A system error code ("ENOSPC") for this step, or null. A write is done by half. */
  readonly fault?: (step: DiskStep) => string | null;
  /** Time of modification, ms; default 0. */
  readonly nowMs?: () => number;
}

/** The machine around the disk. */
export interface LossyDisk {
  /** The disk as a process sees it that was started after the last crash. */
  mount(): Disk;
  /** The power fails: all mounted disks are dead, and what was not synced survives by chance. */
  crash(): void;
  /** The power fails at the step with this number from now on, 0 being the next; null: never. */
  crashAt(step: number | null): void;
  /** Steps of all processes so far. */
  readonly steps: DiskStep[];
  /** Flips one bit of a file, durably. */
  flipBit(path: string, bit: number): void;
}

const BLOCK = 512;

interface FileNode {
  kind: "file";
  now: Uint8Array;
  durable: Uint8Array;
  modifiedMs: number;
}

interface FolderNode {
  kind: "folder";
  now: Map<string, Node>;
  durable: Map<string, Node>;
  modifiedMs: number;
}

type Node = FileNode | FolderNode;

/** An error as the system throws it. */
export function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** Creates an empty disk with a durable root folder. */
export function createLossyDisk(options: LossyDiskOptions): LossyDisk {
  const { random } = options;
  const root: FolderNode = { kind: "folder", now: new Map(), durable: new Map(), modifiedMs: 0 };
  const steps: DiskStep[] = [];
  const locks = new Set<string>();
  let generation = 0;
  let crashStep: number | null = null;

  const find = (path: string): Node | null => {
    let node: Node | undefined = root;
    for (const name of path.split("/").filter((part) => part !== "")) {
      if (node?.kind !== "folder") return null;
      node = node.now.get(name);
    }
    return node ?? null;
  };
  const folderAt = (path: string): FolderNode => {
    const node = find(path);
    if (node === null) throw systemError("ENOENT", path);
    if (node.kind !== "folder") throw systemError("ENOTDIR", path);
    return node;
  };
  const fileAt = (path: string): FileNode => {
    const node = find(path);
    if (node === null) throw systemError("ENOENT", path);
    if (node.kind !== "file") throw systemError("EISDIR", path);
    return node;
  };
  const add = (path: string, node: Node): void => {
    const { folder, name } = split(path);
    const parent = folderAt(folder);
    if (parent.now.has(name)) throw systemError("EEXIST", path);
    parent.now.set(name, node);
  };
  const crash = (): void => {
    generation++;
    crashStep = null;
    locks.clear();
    survive(root, random, new Set());
  };

  /** One step of the process of `born`: dies, fails, or does `run`. */
  const step = async <T>(
    born: number,
    operation: string,
    path: string,
    run: (portion: number) => T,
  ): Promise<T> => {
    await Promise.resolve();
    if (born !== generation) throw new Error("This process is dead");
    const isLastStep = crashStep !== null && steps.length >= crashStep;
    steps.push({ operation, path });
    if (isLastStep) {
      try {
        if (random.unit() < 0.5) run(random.unit());
      } finally {
        crash();
      }
      throw new Error("The power failed");
    }
    const code = options.fault?.({ operation, path }) ?? null;
    if (code === null) return run(1);
    if (operation === "write") run(0.5);
    throw systemError(code, path);
  };

  const openFile = (born: number, path: string, node: FileNode): DiskFile => {
    const act = <T>(operation: string, run: (portion: number) => T): Promise<T> =>
      step(born, operation, path, run);
    return {
      write: (bytes, position) =>
        act("write", (portion) => {
          const part = bytes.subarray(0, Math.ceil(bytes.length * portion));
          const grown = new Uint8Array(Math.max(node.now.length, position + part.length));
          grown.set(node.now);
          grown.set(part, position);
          node.now = grown;
          node.modifiedMs = options.nowMs?.() ?? 0;
        }),
      read: (position, length) => act("read", () => node.now.slice(position, position + length)),
      truncate: (bytes) =>
        act("truncate", () => {
          node.now = node.now.slice(0, bytes);
        }),
      sync: () =>
        act("sync", () => {
          node.durable = node.now.slice();
        }),
      size: () => act("size", () => node.now.length),
      close: () => act("close", () => undefined),
    };
  };

  const mount = (): Disk => {
    const born = generation;
    const act = <T>(operation: string, path: string, run: () => T): Promise<T> =>
      step(born, operation, path, run);
    return {
      create: (path) =>
        act("create", path, () => {
          const empty = new Uint8Array();
          const node: FileNode = { kind: "file", now: empty, durable: empty, modifiedMs: 0 };
          add(path, node);
          return openFile(born, path, node);
        }),
      open: (path) => act("open", path, () => openFile(born, path, fileAt(path))),
      link: (existing, name) => act("link", name, () => add(name, fileAt(existing))),
      unlink: (path) =>
        act("unlink", path, () => {
          fileAt(path);
          const { folder, name } = split(path);
          folderAt(folder).now.delete(name);
        }),
      mkdir: (path) =>
        act("mkdir", path, () => {
          const now = new Map<string, Node>();
          add(path, { kind: "folder", now, durable: new Map(), modifiedMs: 0 });
        }),
      syncDir: (path) =>
        act("syncDir", path, () => {
          const node = folderAt(path);
          node.durable = new Map(node.now);
        }),
      list: async function* (path) {
        yield* await act("list", path, () => [...folderAt(path).now.keys()]);
      },
      stat: (path) =>
        act("stat", path, () => {
          const node = find(path);
          if (node === null) return null;
          const bytes = node.kind === "file" ? node.now.length : 0;
          return { kind: node.kind, bytes, takenBytes: bytes, modifiedMs: node.modifiedMs };
        }),
      map: (path) => fileAt(path).now.slice(),
      lock: (path) =>
        act("lock", path, () => {
          if (locks.has(path)) return null;
          if (find(path) === null)
            add(path, {
              kind: "file",
              now: new Uint8Array(),
              durable: new Uint8Array(),
              modifiedMs: 0,
            });
          locks.add(path);
          return {
            release: async () => {
              locks.delete(path);
            },
          };
        }),
    };
  };

  return {
    mount,
    crash,
    crashAt: (at) => {
      crashStep = at === null ? null : steps.length + at;
    },
    steps,
    flipBit: (path, bit) => {
      const file = fileAt(path);
      const at = bit >> 3;
      file.now[at] = (file.now[at] ?? 0) ^ (1 << (bit & 7));
      file.durable = file.now.slice();
    },
  };
}

/** Decides for each name and each block of content whether its newer or its durable form is left. */
function survive(node: Node, random: Random, seen: Set<Node>): void {
  if (seen.has(node)) return;
  seen.add(node);
  if (node.kind === "file") {
    node.now = surviving(node, random);
    node.durable = node.now.slice();
    return;
  }
  const left = new Map<string, Node>();
  for (const name of new Set([...node.durable.keys(), ...node.now.keys()])) {
    const kept = random.unit() < 0.5 ? node.now.get(name) : node.durable.get(name);
    if (kept !== undefined) left.set(name, kept);
  }
  node.now = left;
  node.durable = new Map(left);
  for (const child of left.values()) survive(child, random, seen);
}

function surviving(file: FileNode, random: Random): Uint8Array {
  const { now, durable } = file;
  const [shorter, longer] = [now.length, durable.length].sort((a, b) => a - b) as [number, number];
  const pick = random.unit();
  const between = shorter + Math.floor(random.unit() * (longer - shorter + 1));
  const length = pick < 0.34 ? now.length : pick < 0.67 ? durable.length : between;
  const left = new Uint8Array(length);
  for (let at = 0; at < length; at += BLOCK) {
    const source = random.unit() < 0.5 ? now : durable;
    left.set(source.subarray(at, Math.min(at + BLOCK, length)), at);
  }
  return left;
}

function split(path: string): { folder: string; name: string } {
  const at = path.lastIndexOf("/");
  return { folder: path.slice(0, at), name: path.slice(at + 1) };
}

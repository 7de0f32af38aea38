/**
 * Reading what `store.ts` wrote: the newest whole dump of each range, then the commits behind it, up to the
 * last one that has its label; what follows it is cut off. Anything else that is not as it was written, or
 * that lacks a part, makes the whole count as nothing.
 */
import type { Disk, DiskFile } from "#base/disk.ts";
import {
  decodeDrops,
  decodeEntries,
  decodeForgotten,
  decodeFrame,
  decodeKeys,
  decodeLabel,
  decodeNames,
  FRAME_HEAD_BYTES,
  type Frame,
  type IndexLabel,
  payloadBytes,
} from "./journal.ts";
import { type Entries, RANGES, type RangedKeyTable, rangesOf } from "./keyTable.ts";
import { pickedKeys } from "./lastRows.ts";
import { decodeMoves } from "./moves.ts";
import type { KeySet } from "./port.ts";
import type { KeyStoreParts, RestoredIndex } from "./store.ts";

/** Of a frame of the log what is left behind: its payload, and the part of it that was not dumped. */
const GARBAGE_TIMES = 2;

/** What lies in a folder. */
export interface FoundStore {
  readonly restored: RestoredIndex | null;
  /** The last commit that has its label; 0: there is none. */
  readonly commit: number;
  readonly dumped: number[];
  readonly logs: number[];
}

/** Loads the table; when there is nothing that counts, the folder is emptied. */
export async function readStore(parts: KeyStoreParts): Promise<FoundStore> {
  const reader = new Reader(parts);
  if (await reader.read()) return reader.found();
  parts.table.clear();
  for (const name of await namesIn(parts)) await parts.disk.unlink(`${parts.folder}/${name}`);
  return { restored: null, commit: 0, dumped: Array(RANGES).fill(0), logs: [] };
}

async function namesIn({ disk, folder }: KeyStoreParts): Promise<string[]> {
  const names: string[] = [];
  for await (const name of disk.list(folder)) names.push(name);
  return names;
}

class Reader {
  readonly #parts: KeyStoreParts;
  readonly #disk: Disk;
  readonly #table: RangedKeyTable;
  readonly #dumped: number[] = Array(RANGES).fill(0);
  readonly #names = new Map<number, string>();
  #logs: number[] = [];
  #commit = 0;
  #label: IndexLabel | null = null;

  constructor(parts: KeyStoreParts) {
    this.#parts = parts;
    this.#disk = parts.disk;
    this.#table = parts.table;
  }

  /** False: what is there does not count. */
  async read(): Promise<boolean> {
    const names = await namesIn(this.#parts);
    this.#logs = names
      .flatMap((name) => /^log-(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
    await this.#readRanges(names);
    const [first] = this.#logs;
    if (first === undefined || first > Math.min(...this.#dumped) + 1) return false;
    for (const log of [...this.#logs]) if (!(await this.#readLog(log))) return false;
    return this.#label !== null && Math.max(...this.#dumped) <= this.#commit;
  }

  found(): FoundStore {
    const [label, names] = [this.#label, this.#names];
    const restored = label === null ? null : { label, names, rows: this.#table.countRows() };
    return { restored, commit: this.#commit, dumped: this.#dumped, logs: this.#logs };
  }

  /** The newest whole dump of each range; older ones, and pieces, go. */
  async #readRanges(names: readonly string[]): Promise<void> {
    const dumps = names
      .flatMap((name) => {
        const [, range, commit] = /^range-(\d+)-(\d+)$/.exec(name) ?? [];
        return commit === undefined ? [] : [{ name, range: Number(range), commit: Number(commit) }];
      })
      .sort((a, b) => b.commit - a.commit);
    for (const { name, range, commit } of dumps) {
      const isOlder = (this.#dumped[range] ?? 0) > 0;
      const frame = isOlder ? null : await this.#readDump(name);
      if (frame === null || frame.commit !== commit) {
        await this.#disk.unlink(`${this.#parts.folder}/${name}`);
        continue;
      }
      this.#dumped[range] = commit;
      const entries = decodeEntries(frame.payload);
      // Ranges have about as many keys, of however many rows: the first says how many come.
      if (this.#table.size === 0)
        this.#table.reserve(Math.ceil(1.05 * RANGES * distinctKeys(entries.keys)));
      this.#table.addEntries(entries);
      this.#parts.leave?.(frame.payload.length);
    }
  }

  async #readDump(name: string): Promise<Frame | null> {
    const file = await this.#disk.open(`${this.#parts.folder}/${name}`, "read");
    try {
      const frame = await readFrame(file, 0);
      return frame?.kind === "range" ? frame : null;
    } finally {
      await file.close();
    }
  }

  /** False: it is damaged where it must not be. */
  async #readLog(first: number): Promise<boolean> {
    const file = await this.#disk.open(`${this.#parts.folder}/log-${first}`, "write");
    try {
      const size = await file.size();
      const end = await this.#replay(file);
      if (end === size) return true;
      // Only the last file may end in pieces; a part that stayed would look like damage next time.
      if (first !== this.#logs.at(-1)) return false;
      await file.truncate(end);
      await file.sync();
      if (end > 0) return true;
      this.#logs.pop();
      await this.#disk.unlink(`${this.#parts.folder}/log-${first}`);
      return true;
    } finally {
      await file.close();
    }
  }

  /** Applies whole commits; the position behind the last one. */
  async #replay(file: DiskFile): Promise<number> {
    let end = 0;
    let frames: Frame[] = [];
    for (let at = 0; ; ) {
      const frame = await readFrame(file, at);
      if (frame === null || frame.kind === "range") return end;
      at += FRAME_HEAD_BYTES + frame.payload.length;
      frames.push(frame);
      if (frame.kind !== "label") continue;
      const isNext = this.#commit === 0 || frame.commit === this.#commit + 1;
      if (!isNext || frames.some(({ commit }) => commit !== frame.commit)) return end;
      for (const each of frames) {
        this.#apply(each);
        this.#parts.leave?.(GARBAGE_TIMES * each.payload.length);
      }
      this.#commit = frame.commit;
      frames = [];
      end = at;
    }
  }

  #apply({ kind, commit, payload }: Frame): void {
    const isRange = (range: number): boolean => (this.#dumped[range] ?? 0) < commit;
    switch (kind) {
      case "add":
        this.#table.addEntries(entriesIn(decodeEntries(payload), isRange));
        break;
      case "remove": {
        const keys = decodeKeys(payload);
        const wanted = keysIn(keys, isRange);
        this.#table.remove(pickedKeys(keys, wanted, wanted.length));
        break;
      }
      case "drop":
        this.#table.dropIn(decodeDrops(payload), isRange);
        break;
      case "move":
        this.#table.moveIn(decodeMoves(payload), isRange);
        break;
      case "names":
        for (const [file, path] of decodeNames(payload)) this.#names.set(file, path);
        break;
      case "forgotten":
        for (const file of decodeForgotten(payload)) this.#names.delete(file);
        break;
      case "label":
        this.#label = decodeLabel(payload);
        break;
      case "range":
        break;
    }
  }
}

/** Keys of a dump, in which rows of one key follow each other. */
function distinctKeys({ count, words }: KeySet): number {
  let keys = 0;
  for (let n = 0; n < count; n++) {
    const isSame =
      n > 0 && words[2 * n] === words[2 * n - 2] && words[2 * n + 1] === words[2 * n - 1];
    if (!isSame) keys++;
  }
  return keys;
}

/** Numbers of the keys of some ranges. */
function keysIn(keys: KeySet, isRange: (range: number) => boolean): Uint32Array {
  const ranges = rangesOf(keys);
  const numbers = new Uint32Array(keys.count);
  let count = 0;
  for (let key = 0; key < keys.count; key++) {
    if (isRange(ranges[key] as number)) numbers[count++] = key;
  }
  return numbers.subarray(0, count);
}

function entriesIn({ keys, files, rows }: Entries, isRange: (range: number) => boolean): Entries {
  const wanted = keysIn(keys, isRange);
  const valuesOf = (all: Uint32Array): Uint32Array => wanted.map((key) => all[key] as number);
  return {
    keys: pickedKeys(keys, wanted, wanted.length),
    files: valuesOf(files),
    rows: valuesOf(rows),
  };
}

/** Reads the frame at a position of a file; null: there is none that is whole. */
async function readFrame(file: DiskFile, position: number): Promise<Frame | null> {
  const head = await file.read(position, FRAME_HEAD_BYTES);
  const bytes = payloadBytes(head);
  if (bytes === null || position + FRAME_HEAD_BYTES + bytes > (await file.size())) return null;
  return decodeFrame(head, await file.read(position + FRAME_HEAD_BYTES, bytes));
}

/**
 * A key table that outlives the process: a log of what each commit did, and rolling dumps of its ranges
 * (`journal.ts`), in a folder of the state directory.
 *
 * ```text
 * log-N            frames of commits N and on; begins with the names of all files
 * range-R-N        the entries of range R after commit N
 * ```
 * The table in memory is the one that counts; what is on disk is as old as its last label, never wrong:
 * 10c brings it on from there. So commits are not synced. A dump may not be ahead of the durable log, so
 * the log is synced before each. Whatever is not as it was written, and whatever lacks a part, counts as
 * nothing: then the table is read anew. A disk that is full ends the writing, not the index.
 */
import { type Disk, type DiskFile, onDisk, systemErrorCode } from "#base/disk.ts";
import { createFolders } from "#base/folders.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import {
  encodeDrops,
  encodeEntries,
  encodeForgotten,
  encodeHead,
  encodeKeys,
  encodeLabel,
  encodeNames,
  FRAME_HEAD_BYTES,
  type FrameKind,
  type IndexLabel,
} from "./journal.ts";
import {
  type FoundPlaces,
  type KeyTable,
  type Places,
  RANGES,
  type RangedKeyTable,
} from "./keyTable.ts";
import { encodeMoves, type Move } from "./moves.ts";
import type { KeySet } from "./port.ts";
import { type FoundStore, readStore } from "./readStore.ts";

/** What a store had when it was opened. */
export interface RestoredIndex {
  readonly label: IndexLabel;
  /** Paths of files by number. */
  readonly names: ReadonlyMap<number, string>;
  /** Rows in the table, by file. */
  readonly rows: ReadonlyMap<number, number>;
}

/** A key table whose changes are kept. */
export interface KeyStore extends KeyTable {
  /** Null: it begins empty. */
  readonly restored: RestoredIndex | null;
  /** Gives a number its file. */
  name(file: number, path: string): void;
  /** A number has no file any more. */
  forget(file: number): void;
  /** All that was done since the last commit makes the table exact for this snapshot. Throws nothing of the disk's. */
  commit(label: IndexLabel): Promise<void>;
  close(): Promise<void>;
}

/** What a store needs. */
export interface KeyStoreParts {
  readonly disk: Disk;
  /** Its own; made when it is missing. */
  readonly folder: string;
  /** Empty. */
  readonly table: RangedKeyTable;
  /** Told that nothing can be written; the index goes on without. */
  readonly warn: (error: unknown) => void;
  /** Told how much garbage is left behind outside the heap, so that somebody collects it: a commit may dump half the table. */
  readonly leave?: (bytes: number) => void;
  /** Default: 64, 32 and 16 MiB. */
  readonly sizes?: StoreSizes;
}

/** Bytes at which something is done. */
export interface StoreSizes {
  /** Changes of one commit that are kept for the log; with more, as while a table is read, all is dumped. */
  readonly pending: number;
  /** A file of the log ends when it is larger. */
  readonly log: number;
  /** All ranges are dumped once for so many bytes of log at least, and for half the bytes of all dumps. */
  readonly cycle: number;
}

const MIB = 1024 * 1024;
const SIZES: StoreSizes = { pending: 64 * MIB, log: 32 * MIB, cycle: 16 * MIB };
const ENTRY_BYTES = 24;
/** After a failure so many commits pass before all is written again. */
const COMMITS_TO_REST = 16;

/** Opens what is there, or begins. Throws what the disk throws. */
export async function openKeyStore(parts: KeyStoreParts): Promise<KeyStore> {
  await createFolders(parts.disk).make(parts.folder);
  const found = await onDisk("read", parts.folder, () => readStore(parts));
  return new Store(parts, found);
}

/** A table that nobody keeps. */
export function volatileKeyStore(table: KeyTable): KeyStore {
  return {
    restored: null,
    get size() {
      return table.size;
    },
    reserve: (rows) => table.reserve(rows),
    add: (keys, file, rows) => table.add(keys, file, rows),
    locate: (keys) => table.locate(keys),
    remove: (keys) => table.remove(keys),
    drop: (files) => table.drop(files),
    move: (moves) => table.move(moves),
    clear: () => table.clear(),
    name: () => undefined,
    forget: () => undefined,
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

class Store implements KeyStore {
  readonly restored: RestoredIndex | null;
  readonly #parts: KeyStoreParts;
  readonly #table: RangedKeyTable;
  readonly #sizes: StoreSizes;
  readonly #leave: (bytes: number) => void;
  readonly #names = new Map<number, string>();
  /** Commit of each range's dump; 0: it has none, and needs none while the log begins at 1. */
  readonly #dumped: number[];
  /** First commits of the log's files, ascending. */
  #logs: number[];
  #log: DiskFile | null = null;
  #logBytes = 0;
  #commit: number;
  #pending: (readonly [FrameKind, Uint8Array])[] = [];
  #pendingBytes = 0;
  /** The disk does not have what it needs: the next commit writes everything. */
  #isBehind = false;
  #rests = 0;
  /** Part of a range that is due to be dumped. */
  #due = 0;
  #next = 0;

  constructor(parts: KeyStoreParts, found: FoundStore) {
    this.#parts = parts;
    this.#table = parts.table;
    this.#sizes = parts.sizes ?? SIZES;
    this.#leave = parts.leave ?? ((): void => undefined);
    this.restored = found.restored;
    this.#dumped = found.dumped;
    this.#logs = found.logs;
    this.#commit = found.commit;
    for (const [file, path] of found.restored?.names ?? []) this.#names.set(file, path);
    this.#next = found.dumped.indexOf(Math.min(...found.dumped));
  }

  get size(): number {
    return this.#table.size;
  }

  reserve(rows: number): void {
    this.#table.reserve(rows);
  }

  add(keys: KeySet, file: number, rows: Uint32Array): void {
    this.#table.add(keys, file, rows);
    const files = new Uint32Array(keys.count).fill(file);
    this.#keep("add", ENTRY_BYTES * keys.count, () => encodeEntries({ keys, files, rows }));
  }

  locate(keys: KeySet): FoundPlaces {
    return this.#table.locate(keys);
  }

  remove(keys: KeySet): Places {
    const places = this.#table.remove(keys);
    this.#keep("remove", 16 * keys.count, () => encodeKeys(keys).slice());
    return places;
  }

  drop(files: ReadonlyMap<number, RowSet | null>): ReadonlyMap<number, number> {
    const counts = this.#table.drop(files);
    this.#keep("drop", 0, () => encodeDrops(files));
    return counts;
  }

  move(moves: readonly Move[]): Uint32Array {
    const moved = this.#table.move(moves);
    this.#keep("move", 0, () => encodeMoves(moves));
    return moved;
  }

  clear(): void {
    this.#table.clear();
    this.#names.clear();
    this.#fallBehind();
  }

  name(file: number, path: string): void {
    this.#names.set(file, path);
    this.#keep("names", 0, () => encodeNames([[file, path]]));
  }

  forget(file: number): void {
    this.#names.delete(file);
    this.#keep("forgotten", 0, () => encodeForgotten([file]));
  }

  async commit(label: IndexLabel): Promise<void> {
    if (this.#isBehind && this.#rests-- > 0) return;
    try {
      if (this.#isBehind) await this.#writeAll(label);
      else await this.#append(label);
    } catch (error) {
      // A mistake of ours is not hidden behind a word about the disk.
      if (systemErrorCode(error) === "") throw error;
      this.#fallBehind();
      this.#rests = COMMITS_TO_REST;
      this.#parts.warn(error);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#log?.sync();
    } finally {
      await this.#closeLog();
    }
  }

  async #closeLog(): Promise<void> {
    const log = this.#log;
    this.#log = null;
    await log?.close();
  }

  #keep(kind: FrameKind, bytes: number, payload: () => Uint8Array): void {
    if (this.#isBehind) return;
    if (this.#pendingBytes + bytes > this.#sizes.pending) {
      this.#fallBehind();
      return;
    }
    const made = payload();
    this.#pending.push([kind, made]);
    this.#pendingBytes += made.length;
  }

  #fallBehind(): void {
    this.#isBehind = true;
    this.#rests = 0;
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  async #append(label: IndexLabel): Promise<void> {
    const commit = this.#commit + 1;
    if (this.#log === null || this.#logBytes > this.#sizes.log) await this.#beginLog(commit);
    let written = 0;
    for (const [kind, payload] of this.#pending) {
      written += await this.#write(kind, commit, payload);
    }
    written += await this.#write("label", commit, encodeLabel(label));
    this.#commit = commit;
    this.#pending = [];
    this.#pendingBytes = 0;
    const cycle = Math.max(this.#sizes.cycle, (ENTRY_BYTES * this.#table.size) / 2);
    this.#due += (written * RANGES) / cycle;
    await this.#roll();
  }

  /** A new file of the log, which can be read without those before it. */
  async #beginLog(commit: number): Promise<void> {
    const { disk, folder } = this.#parts;
    await this.close();
    this.#log = await disk.create(`${folder}/log-${commit}`);
    this.#logs.push(commit);
    this.#logBytes = 0;
    await this.#write("names", commit, encodeNames(this.#names));
  }

  /** A frame at the log's end. */
  async #write(kind: FrameKind, commit: number, payload: Uint8Array): Promise<number> {
    const bytes = FRAME_HEAD_BYTES + payload.length;
    if (this.#log !== null) await writeFrame(this.#log, this.#logBytes, kind, commit, payload);
    this.#logBytes += bytes;
    this.#leave(bytes);
    return bytes;
  }

  /** Dumps the ranges that are due, and lets go of what the dumps make needless. */
  async #roll(): Promise<void> {
    const { disk, folder } = this.#parts;
    const count = Math.min(RANGES, Math.floor(this.#due));
    if (count === 0) return;
    this.#due = Math.max(0, this.#due - count);
    await this.#log?.sync();
    await disk.syncDir(folder);
    const older: string[] = [];
    for (let n = 0; n < count; n++) {
      const range = this.#next;
      this.#next = (range + 1) % RANGES;
      const before = this.#dumped[range] ?? 0;
      await this.#dump(range, this.#commit);
      if (before > 0 && before !== this.#commit) older.push(`range-${range}-${before}`);
    }
    await disk.syncDir(folder);
    const oldest = Math.min(...this.#dumped);
    const [first, second] = this.#logs;
    if (first !== undefined && second !== undefined && second <= oldest + 1) {
      older.push(`log-${first}`);
      this.#logs.shift();
    }
    for (const name of older) await disk.unlink(`${folder}/${name}`);
  }

  async #dump(range: number, commit: number): Promise<void> {
    const { disk, folder } = this.#parts;
    const payload = encodeEntries(this.#table.range(range));
    const file = await disk.create(`${folder}/range-${range}-${commit}`);
    try {
      await writeFrame(file, 0, "range", commit, payload);
      await file.sync();
    } finally {
      await file.close();
    }
    this.#dumped[range] = commit;
    // The entries, and their payload.
    this.#leave(2 * payload.length);
  }

  /** Everything anew. Until the last range is there, the store counts as empty. */
  async #writeAll(label: IndexLabel): Promise<void> {
    const { disk, folder } = this.#parts;
    await this.#closeLog();
    for await (const name of disk.list(folder)) await disk.unlink(`${folder}/${name}`);
    await disk.syncDir(folder);
    // Commit 1 is left to a log without dumps: one that lacks a dump must not look like it.
    this.#commit = Math.max(2, this.#commit + 1);
    this.#logs = [];
    await this.#beginLog(this.#commit);
    await this.#write("label", this.#commit, encodeLabel(label));
    await this.#log?.sync();
    for (let range = 0; range < RANGES; range++) await this.#dump(range, this.#commit);
    await disk.syncDir(folder);
    this.#isBehind = false;
    this.#due = 0;
  }
}

/** Head and payload, one after the other: together they would be a copy. */
async function writeFrame(
  file: DiskFile,
  position: number,
  kind: FrameKind,
  commit: number,
  payload: Uint8Array,
): Promise<void> {
  await file.write(encodeHead(kind, commit, payload), position);
  await file.write(payload, position + FRAME_HEAD_BYTES);
}

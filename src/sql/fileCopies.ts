/**
 * Files of a store where the engine can read them: sparse copies on this machine, with holes where the
 * columns are that nobody has asked for. So one column of a file of 512 MB costs that column.
 *
 * A file never has other content, so a copy is good for ever. The longest unused ones go when there is no
 * room; those of the statement under way stay.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type DiskFile, systemDisk } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { makeScratch, type Scratch } from "#base/scratch.ts";
import {
  type ByteRange,
  type ColumnPlace,
  metadataLength,
  readLayout,
  TRAILER_BYTES,
} from "#parquet/layout.ts";
import type { Storage } from "#storage/storage.ts";

/** A file that a statement needs. */
export interface WantedFile {
  readonly location: string;
  readonly bytes: number;
  /** Field ids of the columns that are read; null: all. */
  readonly columns: ReadonlySet<number> | null;
}

/** Where copies lie, and how much of them. */
export interface FileCopiesOptions {
  /** Folder for the folder of this process. */
  readonly root: string;
  /** Of that folder, letters only; default: `query`. */
  readonly name?: string;
  readonly bytesMax: number;
  /** Fewer bytes are not worth a request of their own. Default: 64 KiB. */
  readonly nearBytes?: number;
  /** Larger footers are not taken apart. Default: `LIMITS.layoutBytesMax`. */
  readonly layoutBytesMax?: number;
}

interface Copy {
  readonly path: string;
  /** Null until its footer is there. */
  columns: readonly ColumnPlace[] | null;
  /** What is there. */
  ranges: readonly ByteRange[];
  /** What is there, or was to be. */
  bytes: number;
  /** The statement that used it last. */
  statement: number;
}

/** Bytes of one request. */
const REQUEST_BYTES = 4 * 1024 * 1024;
/** Bytes of a file's end that are read at once (most footers are smaller), and of gaps that are read with what is around them. */
const NEAR_BYTES = 64 * 1024;
/** Files that are fetched side by side. */
const FILES_AT_ONCE = 8;

/**
 * Fetches files for one statement, what is not there yet.
 * Answers paths by location, good until the next statement begins.
 * @throws AppError `query` when the statement needs more than there is room for or was given up,
 * `storage_corrupt` for what is no Parquet file, others as the store says
 */
export type Fetch = (
  storage: Storage,
  wanted: readonly WantedFile[],
) => Promise<ReadonlyMap<string, string>>;

/** The copies of one process. */
export class FileCopies {
  readonly #options: FileCopiesOptions;
  /** By location; those that were used last are at the end. */
  readonly #copies = new Map<string, Copy>();
  #scratch: Scratch | null = null;
  #bytes = 0;
  #files = 0;
  #statements = 0;
  /** A statement that was given up may still fetch when the next one begins. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: FileCopiesOptions) {
    this.#options = options;
  }

  /**
   * Begins a statement: copies that those before it have used may go.
   * @param signal gives it up
   */
  begin(signal?: AbortSignal): Fetch {
    const statement = ++this.#statements;
    const { nearBytes = NEAR_BYTES } = this.#options;
    return (storage, wanted) => {
      const run = this.#tail.then(() =>
        this.#fetch({ storage, statement, signal, nearBytes }, wanted),
      );
      this.#tail = run.catch(() => undefined);
      return run;
    };
  }

  /** Removes all copies. */
  async close(): Promise<void> {
    await this.#tail;
    const scratch = this.#scratch;
    this.#forget();
    await scratch?.remove();
  }

  #forget(): void {
    this.#scratch = null;
    this.#copies.clear();
    this.#bytes = 0;
  }

  /** The folder of the copies; a new one when somebody has removed it. */
  async #folder(): Promise<string> {
    if (this.#scratch !== null && !existsSync(this.#scratch.folder)) this.#forget();
    const { root, name = "query" } = this.#options;
    this.#scratch ??= await makeScratch(root, name);
    return this.#scratch.folder;
  }

  async #fetch(asked: Asked, wanted: readonly WantedFile[]): Promise<Map<string, string>> {
    const paths = new Map<string, string>();
    if (wanted.length === 0) return paths;
    requireWaiting(asked);
    const folder = await this.#folder();
    const waiting = [...wanted];
    const lane = async (): Promise<void> => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
        paths.set(file.location, await this.#fetchOne(asked, file, folder));
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: FILES_AT_ONCE }, lane));
    for (const each of ended) if (each.status === "rejected") throw each.reason;
    return paths;
  }

  async #fetchOne(asked: Asked, file: WantedFile, folder: string): Promise<string> {
    requireWaiting(asked);
    const { location } = file;
    const copy = this.#copies.get(location) ?? this.#newCopy(folder);
    this.#copies.delete(location);
    this.#copies.set(location, copy);
    copy.statement = asked.statement;
    try {
      await this.#complete(asked, file, copy);
    } catch (error) {
      await this.#drop(location, copy);
      throw error;
    }
    return copy.path;
  }

  #newCopy(folder: string): Copy {
    const path = join(folder, `${++this.#files}.parquet`);
    return { path, columns: null, ranges: [], bytes: 0, statement: 0 };
  }

  /** Reads the footer of a new copy, then what of the file is missing. */
  async #complete(asked: Asked, file: WantedFile, copy: Copy): Promise<void> {
    copy.columns ??= await this.#begin(asked, file, copy);
    const missing = missingRanges(copy.ranges, neededRanges(copy.columns, file), asked.nearBytes);
    if (missing.length === 0) return;
    await this.#makeRoom(asked, copy, sizeOf(missing));
    const local = await systemDisk.open(copy.path, "write");
    try {
      for (const range of missing) await fill(asked, file.location, range, local);
    } finally {
      await local.close();
    }
    copy.ranges = [...copy.ranges, ...missing];
  }

  /** Makes a file that has its footer alone. */
  async #begin(asked: Asked, file: WantedFile, copy: Copy): Promise<readonly ColumnPlace[]> {
    const { location, bytes } = file;
    const tail = await readTail(asked, location, bytes);
    const range = { start: bytes - tail.length, end: bytes };
    await this.#makeRoom(asked, copy, tail.length);
    const local = await systemDisk.create(copy.path);
    try {
      await local.truncate(bytes);
      await local.write(tail, range.start);
    } finally {
      await local.close();
    }
    copy.ranges = [range];
    // To take a large footer apart would hold the event loop up: such a file is fetched whole.
    const { layoutBytesMax = LIMITS.layoutBytesMax } = this.#options;
    return tail.length > layoutBytesMax ? [] : readLayout(tail.subarray(0, -TRAILER_BYTES));
  }

  /** Takes room for a copy, for which others go that the statement has not asked for. */
  async #makeRoom({ statement }: Asked, of: Copy, bytes: number): Promise<void> {
    const { bytesMax } = this.#options;
    this.#bytes += bytes;
    of.bytes += bytes;
    for (const [location, copy] of this.#copies) {
      if (this.#bytes <= bytesMax) return;
      if (copy.statement !== statement) await this.#drop(location, copy);
    }
    if (this.#bytes <= bytesMax) return;
    const megabytes = Math.floor(bytesMax / 2 ** 20);
    const sentence = `The statement reads more than ${megabytes} MiB of files in a store (server.query_cache_mb)`;
    throw fail("query", `${sentence}: name fewer columns, or ask for less`);
  }

  async #drop(location: string, copy: Copy): Promise<void> {
    this.#copies.delete(location);
    this.#bytes -= copy.bytes;
    await rm(copy.path, { force: true });
  }
}

/** A statement that fetches. */
interface Asked {
  readonly storage: Storage;
  readonly statement: number;
  readonly signal: AbortSignal | undefined;
  readonly nearBytes: number;
}

/** All of a file but the chunks of columns that nobody reads: page indexes and bloom filters lie between them. */
function neededRanges(
  columns: readonly ColumnPlace[],
  { bytes, columns: wanted }: WantedFile,
): ByteRange[] {
  const isRead = ({ fieldId }: ColumnPlace): boolean =>
    wanted === null || (fieldId !== null && wanted.has(fieldId));
  const holes = columns.filter((column) => !isRead(column)).flatMap(({ chunks }) => chunks);
  return missingRanges(holes, [{ start: 0, end: bytes }], 0);
}

/** What of some ranges is not within others; those that are near each other are one. */
function missingRanges(
  there: readonly ByteRange[],
  needed: readonly ByteRange[],
  nearBytes: number,
): ByteRange[] {
  const sorted = there.toSorted((a, b) => a.start - b.start);
  const missing: { start: number; end: number }[] = [];
  const add = (start: number, end: number): void => {
    if (start >= end) return;
    const last = missing.at(-1);
    if (last !== undefined && start - last.end <= nearBytes) last.end = end;
    else missing.push({ start, end });
  };
  for (const range of needed) {
    let { start } = range;
    for (const each of sorted) {
      if (each.end <= start) continue;
      if (each.start >= range.end) break;
      add(start, each.start);
      start = Math.max(start, each.end);
    }
    add(start, range.end);
  }
  return missing;
}

/** `FileMetaData` and trailer of a file. */
async function readTail(
  { storage, nearBytes }: Asked,
  location: string,
  bytes: number,
): Promise<Uint8Array> {
  const length = Math.min(bytes, Math.max(nearBytes, TRAILER_BYTES));
  const end = await storage.getRange(location, bytes - length, length);
  const metadata = metadataLength(end.subarray(-TRAILER_BYTES));
  const footer = (metadata ?? bytes) + TRAILER_BYTES;
  if (footer > bytes)
    throw fail("storage_corrupt", `${location} is no Parquet file of ${bytes} bytes`);
  if (footer <= length) return end.subarray(length - footer);
  const begin = await storage.getRange(location, bytes - footer, footer - length);
  return Buffer.concat([begin, end]);
}

async function fill(
  asked: Asked,
  location: string,
  { start, end }: ByteRange,
  file: DiskFile,
): Promise<void> {
  for (let at = start; at < end; at += REQUEST_BYTES) {
    requireWaiting(asked);
    const part = await asked.storage.getRange(location, at, Math.min(REQUEST_BYTES, end - at));
    await file.write(part, at);
  }
}

/** A statement that nobody waits for touches nothing of those after it. */
function requireWaiting({ signal }: Asked): void {
  if (signal?.aborted === true) throw fail("query", "The query was given up");
}

function sizeOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

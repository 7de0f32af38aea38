/**
 * The key table in WebAssembly (`kernel/assembly/keys/table.ts`): 24 bytes a key at a load of at most three
 * quarters, so 32 to 37 bytes a key, all of it in one memory that grows in place.
 *
 * ```text
 * memory   marks of files | keys of a call | values of a call | table
 * value    file u32 | row u32; or CHAIN | number of a chain: keys of several rows (`chains.ts`)
 * ```
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import { growMemory, type Kernel, loadKernel } from "#kernel/load.ts";
import { Chains } from "./chains.ts";
import type { TableFunctions } from "./keyKernel.ts";
import {
  type Entries,
  type FoundPlaces,
  RANGES,
  type RangedKeyTable,
  rangesOf,
} from "./keyTable.ts";
import type { Move } from "./moves.ts";
import { EntryList, FoundList } from "./places.ts";
import type { KeySet } from "./port.ts";
import {
  CHAIN,
  type ChainedKey,
  countsByFile,
  crowded,
  dropping,
  FILES_MAX,
  GONE,
  type IsRange,
  moving,
  type Replacement,
  replaceEntries,
  STAYS,
  tooManyFiles,
} from "./tableEntries.ts";

/** Keys of one call of the kernel: a millisecond or two. */
const KEYS_PER_CALL = 16_384;
/** At this load the table begins to grow. */
const LOAD_MAX = 0.75;
/** Slots of an empty table, and at most; a table grows by this factor. */
const DEFAULTS = { slotsFirst: 4096, slotsMax: 2 ** 27, growth: 1.15 };
/** Entries that are moved for one that is added: growth is over long before the old slots are full. */
const MOVED_PER_KEY = 16;

/** How a table grows, for tests. */
export interface KeyTableOptions {
  readonly slotsFirst?: number;
  readonly slotsMax?: number;
  readonly growth?: number;
}

/** A table with what tests ask of it. */
export interface WasmKeyTable extends RangedKeyTable {
  /** Memory, in bytes. */
  readonly bytes: number;
  /** True when every entry stands where it must. */
  isSound(): boolean;
}

/** An empty table. */
export function createWasmKeyTable(options: KeyTableOptions = {}): WasmKeyTable {
  return new WasmTable({ ...DEFAULTS, ...options });
}

class WasmTable implements WasmKeyTable {
  readonly #options: Required<KeyTableOptions>;
  #kernel: Kernel<TableFunctions>;
  #chains = new Chains();
  /** Keys that have a chain. */
  #chained = 0;
  #marks = 0;
  #keys = 0;
  #values = 0;
  #table = 0;
  #slots = 0;
  /** Slots before a growth under way; 0: none is. */
  #growsFrom = 0;

  constructor(options: Required<KeyTableOptions>) {
    this.#options = options;
    this.#kernel = this.#begin();
  }

  get size(): number {
    return this.#kernel.functions.size() - this.#chained + this.#chains.size;
  }

  get bytes(): number {
    return this.#kernel.memory.buffer.byteLength + this.#chains.bytes;
  }

  reserve(rows: number): void {
    const all = this.#kernel.functions.size() + rows;
    const wanted = Math.min(Math.ceil(all / LOAD_MAX) + 1, this.#options.slotsMax);
    if (wanted <= this.#slots) return;
    this.#finishGrowth();
    this.#grow(wanted);
    this.#finishGrowth();
  }

  add(keys: KeySet, file: number, rows: Uint32Array): void {
    this.addEntries({ keys, files: new Uint32Array(keys.count).fill(file), rows });
  }

  addEntries({ keys, files, rows }: Entries): void {
    for (let from = 0; from < keys.count; from += KEYS_PER_CALL) {
      const count = Math.min(KEYS_PER_CALL, keys.count - from);
      this.#makeRoom(count);
      this.#setKeys(keys, from, count);
      const values = this.#valueHalves(count);
      for (let n = 0; n < count; n++) {
        const file = files[from + n] as number;
        assert(file > 0, "a file has a number");
        if (file >= FILES_MAX) throw tooManyFiles();
        values[2 * n] = rows[from + n] as number;
        values[2 * n + 1] = file;
      }
      this.#put(count);
      this.#chainRows(keys, files, rows, from, count);
    }
  }

  range(range: number): Entries {
    const entries = new EntryList(Math.ceil((1.05 * this.size) / RANGES)); // ranges are of about one size
    const slots = this.#kernel.functions.slots();
    let halves = new Uint32Array(0);
    let key = 0;
    const add = (file: number, row: number): void => entries.add(halves, key, file, row);
    let slot = this.#kernel.functions.slotOf(BigInt(range) << 56n);
    for (let isOver = false; slot < slots && !isOver; ) {
      const found = this.#collect(slot, 0);
      slot = found.next;
      const { buffer } = this.#kernel.memory;
      const words = new BigUint64Array(buffer, this.#keys, 2 * found.count);
      halves = new Uint32Array(buffer, this.#keys, 4 * found.count);
      const ranges = rangesOf({ count: found.count, words });
      isOver = (ranges.at(-1) ?? range) > range;
      const values = this.#valueHalves(found.count);
      for (key = 0; key < found.count; key++) {
        if (ranges[key] === range) this.#visit(values, key, add);
      }
    }
    return entries.finish();
  }

  countRows(): ReadonlyMap<number, number> {
    const counts = new Uint32Array(FILES_MAX);
    const count = (file: number): void => {
      counts[file] = (counts[file] as number) + 1;
    };
    const slots = this.#kernel.functions.slots();
    for (let slot = 0; slot < slots; ) {
      const collected = this.#collect(slot, 0);
      slot = collected.next;
      const values = this.#valueHalves(collected.count);
      for (let n = 0; n < collected.count; n++) this.#visit(values, n, count);
    }
    return countsByFile(counts);
  }

  locate(keys: KeySet): FoundPlaces {
    const { getMany } = this.#kernel.functions;
    return this.#placesOf(keys, (count) => getMany(this.#keys, this.#values, count));
  }

  remove(keys: KeySet): FoundPlaces {
    const take = (count: number): void => {
      this.#valueHalves(count).fill(0);
      this.#put(count);
    };
    return this.#placesOf(keys, take, true);
  }

  drop(files: ReadonlyMap<number, RowSet | null>): ReadonlyMap<number, number> {
    return this.dropIn(files, () => true);
  }

  dropIn(files: ReadonlyMap<number, RowSet | null>, isRange: IsRange): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    this.#replace([...files.keys()], isRange, dropping(files, counts));
    return counts;
  }

  move(moves: readonly Move[]): Uint32Array {
    return this.moveIn(moves, () => true);
  }

  moveIn(moves: readonly Move[], isRange: IsRange): Uint32Array {
    const counts = new Uint32Array(moves.length);
    const files = moves.flatMap(({ from }) => [...from.keys()]);
    this.#replace(files, isRange, moving(moves, counts));
    return counts;
  }

  clear(): void {
    this.#chains = new Chains();
    this.#chained = 0;
    this.#kernel = this.#begin();
  }

  isSound(): boolean {
    return this.#kernel.functions.isSound() !== 0;
  }

  #begin(): Kernel<TableFunctions> {
    const kernel = loadKernel<TableFunctions>("keys");
    this.#marks = Math.ceil(kernel.heapBase / 16) * 16;
    this.#keys = this.#marks + FILES_MAX / 8;
    this.#values = this.#keys + 16 * KEYS_PER_CALL;
    this.#table = this.#values + 8 * KEYS_PER_CALL;
    this.#slots = this.#options.slotsFirst;
    this.#growsFrom = 0;
    growMemory(kernel.memory, this.#table + kernel.functions.tableBytes(this.#slots));
    kernel.functions.begin(this.#table, this.#slots);
    return kernel;
  }

  #setKeys({ words }: KeySet, from: number, count: number): void {
    const keys = words.subarray(2 * from, 2 * (from + count));
    new BigUint64Array(this.#kernel.memory.buffer, this.#keys, 2 * count).set(keys);
  }

  /** The values of a call as pairs of row and file. */
  #valueHalves(count: number): Uint32Array {
    return new Uint32Array(this.#kernel.memory.buffer, this.#values, 2 * count);
  }

  #put(count: number): void {
    const taken = this.#kernel.functions.putMany(this.#keys, this.#values, count);
    if (taken < count) throw crowded();
  }

  /**
   * @param ask for the values of keys of a call
   * @param isLast their chains go
   */
  #placesOf(keys: KeySet, ask: (count: number) => void, isLast = false): FoundPlaces {
    const places = new FoundList(keys.count);
    let key = 0;
    const add = (file: number, row: number): void => places.add(key, file, row);
    for (let from = 0; from < keys.count; from += KEYS_PER_CALL) {
      const count = Math.min(KEYS_PER_CALL, keys.count - from);
      this.#setKeys(keys, from, count);
      ask(count);
      const values = this.#valueHalves(count);
      for (let n = 0; n < count; n++, key++) {
        if (values[2 * n + 1] !== 0) this.#visit(values, n, add);
        if (isLast && values[2 * n + 1] === CHAIN) this.#removeChain(values[2 * n] as number);
      }
    }
    return places.finish();
  }

  /** The places of a collected entry. */
  #visit(values: Uint32Array, n: number, visit: (file: number, row: number) => void): void {
    const row = values[2 * n] as number;
    const file = values[2 * n + 1] as number;
    if (file !== CHAIN) visit(file, row);
    else for (const place of this.#chains.rows(row)) visit(place.file, place.row);
  }

  /** Rows that took the place of others become a chain with them: none of them is gone. */
  #chainRows(
    keys: KeySet,
    files: Uint32Array,
    rows: Uint32Array,
    from: number,
    count: number,
  ): void {
    const before = this.#valueHalves(count).slice();
    for (let n = 0; n < count; n++) {
      const oldRow = before[2 * n] as number;
      const oldFile = before[2 * n + 1] as number;
      if (oldFile === 0) continue;
      const key = { count: 1, words: keys.words.subarray(2 * (from + n), 2 * (from + n + 1)) };
      const now = this.#get(key);
      let chain = oldFile === CHAIN ? oldRow : now.row;
      if (oldFile !== CHAIN && now.file !== CHAIN) {
        chain = this.#chains.create(oldFile, oldRow);
        this.#chained++;
      }
      this.#chains.add(chain, files[from + n] as number, rows[from + n] as number);
      this.#set(key, CHAIN, chain);
    }
  }

  #removeChain(chain: number): void {
    this.#chains.remove(chain);
    this.#chained--;
  }

  #get(key: KeySet): { readonly file: number; readonly row: number } {
    this.#setKeys(key, 0, 1);
    this.#kernel.functions.getMany(this.#keys, this.#values, 1);
    const [row = 0, file = 0] = this.#valueHalves(1);
    return { file, row };
  }

  #set(key: KeySet, file: number, row: number): void {
    this.#setKeys(key, 0, 1);
    this.#valueHalves(1).set([row, file]);
    this.#put(1);
  }

  /** Marks files; chains are always collected. */
  #mark(files: readonly number[]): void {
    const marks = new Uint8Array(this.#kernel.memory.buffer, this.#marks, FILES_MAX / 8).fill(0);
    for (const file of files) marks[file >> 3] = (marks[file >> 3] ?? 0) | (1 << (file & 7));
  }

  /** @param files numbers below it are collected only when marked */
  #collect(from: number, files: number): { readonly next: number; readonly count: number } {
    const { collect } = this.#kernel.functions;
    const found = collect(from, this.#marks, files, this.#keys, this.#values, KEYS_PER_CALL);
    return { next: Number(found & 0xffff_ffffn), count: Number(BigInt.asUintN(64, found) >> 32n) };
  }

  /** Gives rows of some files another place. */
  #replace(files: readonly number[], isRange: IsRange, replacement: Replacement): void {
    if (files.length === 0) return;
    this.#mark(files);
    // The end is asked for again: rows of a chain are added anew, which may let the table grow.
    for (let slot = 0; slot < this.#kernel.functions.slots(); ) {
      const { next, count } = this.#collect(slot, FILES_MAX);
      const keys = new BigUint64Array(this.#kernel.memory.buffer, this.#keys, 2 * count);
      const replaced = replaceEntries(keys, this.#valueHalves(count), isRange, replacement);
      this.#put(count);
      let { removed } = replaced;
      for (const chain of replaced.chained) removed += this.#replaceChain(chain, replacement);
      // What stood behind a removed entry has moved up, by one slot for each.
      slot = next - removed;
    }
  }

  /** @returns how many entries went */
  #replaceChain([key, chain]: ChainedKey, { placeOf, intoOf }: Replacement): number {
    const all = [...this.#chains.rows(chain)];
    const places = all.map(({ file, row }) => placeOf(file, row));
    if (places.every((place) => place === STAYS)) return 0;
    this.#removeChain(chain);
    this.#set(key, 0, 0);
    for (const [n, { file, row }] of all.entries()) {
      const place = places[n] ?? GONE;
      if (place === STAYS) this.add(key, file, Uint32Array.of(row));
      else if (place !== GONE) this.add(key, intoOf(file), Uint32Array.of(place));
    }
    return 1;
  }

  #makeRoom(keys: number): void {
    const needed = this.#kernel.functions.size() + keys;
    if (this.#growsFrom === 0) {
      if (needed <= LOAD_MAX * this.#slots) return;
      const ahead = Math.min(Math.ceil(this.#options.growth * this.#slots), this.#options.slotsMax);
      this.#grow(Math.max(ahead, Math.ceil(needed / LOAD_MAX)));
    }
    if (this.#step(MOVED_PER_KEY * keys)) return;
    const isTight =
      needed > ((1 + LOAD_MAX) / 2) * this.#growsFrom || needed > LOAD_MAX * this.#slots;
    if (isTight) this.#finishGrowth();
    if (needed > LOAD_MAX * this.#slots) this.#makeRoom(keys);
  }

  #grow(slots: number): void {
    const { memory, functions } = this.#kernel;
    if (slots > this.#options.slotsMax) {
      const keys = Math.floor(LOAD_MAX * this.#options.slotsMax);
      throw fail("state", `The key index holds at most ${keys} keys`);
    }
    try {
      growMemory(memory, this.#table + functions.tableBytes(slots));
    } catch (cause) {
      const sentence = `There is no memory for a key index of ${functions.size()} keys`;
      throw fail("state", sentence, { keys: functions.size() }, cause);
    }
    this.#growsFrom = this.#slots;
    this.#slots = slots;
    functions.growBegin(slots);
  }

  /** Goes on with a growth; true when it is over. */
  #step(entries: number): boolean {
    const left = this.#kernel.functions.growStep(entries);
    if (left === 2) throw crowded();
    if (left === 0) this.#growsFrom = 0;
    return left === 0;
  }

  #finishGrowth(): void {
    while (this.#growsFrom > 0) this.#step(KEYS_PER_CALL);
  }
}

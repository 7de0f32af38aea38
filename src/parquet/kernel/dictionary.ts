/**
 * The dictionary of a column chunk in the kernel's memory, and whether it is worth having.
 */
import type { LeafColumn } from "./leaves.ts";
import { DICTIONARY, DICTIONARY_SLOT_BYTES, DICTIONARY_SLOTS, type Workspace } from "./memory.ts";
import { checked, type Page } from "./page.ts";

/** Values looked up before the rest of the first page. */
const SAMPLE_VALUES = 2048;

/** A smaller sample decides nothing. */
const SAMPLE_VALUES_MIN = 512;

/** Fewer distinct values than this share of a full sample: about 9,600 in the whole column. */
const DISTINCT_SHARE_MAX = 0.9;

/** Slots of the hash table at first: most dictionaries are small, and it is cleared for each. */
const SLOTS_FIRST = 8192;

/** Fault of `layout.ts`. */
const FULL = -4;

/** The distinct values of one chunk so far. */
export class ChunkDictionary {
  readonly #workspace: Workspace;
  readonly #leaf: LeafColumn;

  /** Empties the workspace's dictionary. */
  constructor(workspace: Workspace, leaf: LeafColumn) {
    this.#workspace = workspace;
    this.#leaf = leaf;
    const { dictionary, dictionaryTable, dictionaryStarts, dictionaryPlain } = workspace;
    workspace.set(dictionary, DICTIONARY.table, dictionaryTable);
    workspace.set(dictionary, DICTIONARY.starts, dictionaryStarts);
    workspace.set(dictionary, DICTIONARY.bytes, dictionaryPlain);
    workspace.set(dictionary, DICTIONARY.bytesMax, workspace.limits.dictionaryBytes);
    workspace.set(dictionary, DICTIONARY.count, 0);
    workspace.set(dictionary, DICTIONARY.used, 0);
    this.#clearTable(SLOTS_FIRST);
  }

  /** Entries. */
  get count(): number {
    return this.#workspace.get(this.#workspace.dictionary, DICTIONARY.count);
  }

  /** Bytes of the entries, PLAIN. */
  get bytes(): number {
    return this.#workspace.get(this.#workspace.dictionary, DICTIONARY.used);
  }

  /** Bits of an index of the entries so far; 0 for a single entry. */
  get indexBits(): number {
    return this.count <= 1 ? 0 : 32 - Math.clz32(this.count - 1);
  }

  /** Writes the indexes of a page's values to the workspace; false: full, the page stays PLAIN. */
  lookUp(page: Page): boolean {
    const { dictionary, plain } = this.#workspace;
    this.#workspace.set(dictionary, DICTIONARY.position, plain);
    return this.#lookUp(page, 0, page.present);
  }

  /** The same for the first page; false also when its values are too many to be worth it. */
  lookUpFirst(page: Page): boolean {
    const { dictionary, plain } = this.#workspace;
    this.#workspace.set(dictionary, DICTIONARY.position, plain);
    const sampled = Math.min(page.present, SAMPLE_VALUES);
    if (!this.#lookUp(page, 0, sampled)) return false;
    if (sampled >= SAMPLE_VALUES_MIN && this.count > DISTINCT_SHARE_MAX * sampled) return false;
    if (!this.#lookUp(page, sampled, page.present - sampled)) return false;
    const indexed = this.bytes + Math.ceil((page.present * this.indexBits) / 8);
    return indexed < page.plainBytes;
  }

  /**
   * Looks up the entries of another dictionary.
   * @param end of `count` PLAIN values that begin at the workspace's `plain`
   * @returns false: full, and of no use for further values
   */
  merge(count: number, end: number): boolean {
    const { dictionary, plain, indexes } = this.#workspace;
    this.#workspace.set(dictionary, DICTIONARY.position, plain);
    return this.#add(end, count, indexes) || (this.#growTable() && this.#add(end, count, indexes));
  }

  #lookUp(page: Page, first: number, count: number): boolean {
    const to = this.#workspace.indexes + 4 * first;
    return (
      this.#add(page.plainEnd, count, to) ||
      (this.#growTable() && this.#add(page.plainEnd, count, to))
    );
  }

  /** Looks up the next values; false: full, nothing is looked up. */
  #add(end: number, count: number, to: number): boolean {
    const { kernel, dictionary } = this.#workspace;
    const { width } = this.#leaf;
    const answer =
      width === 0
        ? kernel.dictionaryBytes(dictionary, end, count, to)
        : kernel.dictionaryFixed(dictionary, end, count, to, width);
    return answer !== FULL && checked(answer) === count;
  }

  /** Takes the large table, once: every entry is looked up anew, and lands where it is. */
  #growTable(): boolean {
    const workspace = this.#workspace;
    const { dictionary, dictionaryPlain, staging } = workspace;
    if (workspace.get(dictionary, DICTIONARY.mask) + 1 === DICTIONARY_SLOTS) return false;
    const { count, bytes } = this;
    const position = workspace.get(dictionary, DICTIONARY.position);
    this.#clearTable(DICTIONARY_SLOTS);
    workspace.set(dictionary, DICTIONARY.count, 0);
    workspace.set(dictionary, DICTIONARY.used, 0);
    workspace.set(dictionary, DICTIONARY.position, dictionaryPlain);
    workspace.reach(staging, 4 * count);
    const isWhole = this.#add(dictionaryPlain + bytes, count, staging);
    workspace.set(dictionary, DICTIONARY.count, count);
    workspace.set(dictionary, DICTIONARY.used, bytes);
    workspace.set(dictionary, DICTIONARY.position, position);
    return isWhole;
  }

  #clearTable(slots: number): void {
    const { dictionary, dictionaryTable, limits } = this.#workspace;
    this.#workspace.bytes.fill(0, dictionaryTable, dictionaryTable + DICTIONARY_SLOT_BYTES * slots);
    this.#workspace.set(dictionary, DICTIONARY.mask, slots - 1);
    const countMax = Math.min(slots >> 1, limits.dictionaryEntries);
    this.#workspace.set(dictionary, DICTIONARY.countMax, countMax);
  }
}

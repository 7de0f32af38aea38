/**
 * Rows that are deleted by their keys (Iceberg spec, "Equality Delete Files"): of each key the greatest sequence
 * number of a file that names it, which says of a row of any older file that it is deleted. So each file is
 * read once, however many data files it applies to.
 */
import { placeKey } from "#iceberg/deletes/deleteIndex.ts";
import { readAhead } from "#iceberg/io/readAhead.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import { KeyHasher, type KeySecret, keyFieldsOf } from "./keyHasher.ts";
import { allFields } from "./missingFields.ts";
import type { KeySet } from "./port.ts";
import { readKeyColumns, type StoredTable } from "./storedKeys.ts";

/** Keys that files delete which are by the same columns, and of the same partition. */
export interface DeletedKeys {
  readonly hasher: KeyHasher;
  readonly numbers: KeyNumbers;
}

/** Reads equality deletes; keeps the keys that it has read. One for each look at a head. */
export class EqualityDeletes {
  readonly #table: StoredTable;
  readonly #secret: KeySecret;
  readonly #read = new Set<string>();
  /** By columns and partition. */
  readonly #keys = new Map<string, DeletedKeys>();

  /** @param secret of the hashes as which keys are kept */
  constructor(table: StoredTable, secret: KeySecret) {
    this.#table = table;
    this.#secret = secret;
  }

  /**
   * The keys that a data file's deletes delete. Those of deletes that are too old for it may be among them: their
   * numbers tell. Asked for one data file after the other.
   * @param deletes all that apply to it in the head
   * @throws AppError as `readLiveKeys`
   */
  async of(deletes: readonly LiveFile[]): Promise<readonly DeletedKeys[]> {
    const found = new Set(deletes.map((live) => this.#keysOf(live)));
    const unread = deletes.filter(({ file }) => !this.#read.has(fileKey(file)));
    for await (const { file } of readAhead(unread, (live) => this.#add(live))) {
      this.#read.add(fileKey(file));
    }
    return [...found];
  }

  async #add(live: LiveFile): Promise<LiveFile> {
    const { file, sequenceNumber } = live;
    const { hasher, numbers } = this.#keysOf(live);
    const data = {
      path: file.filePath,
      format: file.fileFormat.toUpperCase(),
      bytes: Number(file.fileSizeBytes),
      specId: file.specId,
    };
    for await (const { rows, columns } of readKeyColumns(this.#table, data, hasher.fields)) {
      numbers.raise(hasher.hashAll([...columns.values()], rows), sequenceNumber);
    }
    return live;
  }

  /** The columns of an equality delete may be any; the hash of the key index serves for them as well. */
  #keysOf({ file }: LiveFile): DeletedKeys {
    const ids = file.equalityIds ?? [];
    const name = `${[...ids].sort((a, b) => a - b).join(",")} ${placeKey(file)}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const fields = keyFieldsOf(allFields(this.#table.metadata), ids);
    const keys = { hasher: new KeyHasher(fields, this.#secret), numbers: new KeyNumbers() };
    this.#keys.set(name, keys);
    return keys;
  }
}

const SLOTS_FIRST = 1024;

/** The greatest number of each key: a hash table with linear probing, half full at most, of 24 bytes a slot. */
class KeyNumbers {
  /** Four a key: 64-bit numbers would be an object each. */
  #halves = new Uint32Array(4 * SLOTS_FIRST);
  /** 0: free. Sequence numbers count commits: a double has them exactly. */
  #numbers = new Float64Array(SLOTS_FIRST);
  #count = 0;

  /** Each of the keys has this number at least. */
  raise({ words, count }: KeySet, number: bigint): void {
    const halves = halvesOf(words);
    for (let key = 0; key < count; key++) this.#raise(halves, key, Number(number));
  }

  /** Places of the keys that have a greater number, ascending. */
  above({ words, count }: KeySet, number: bigint): Uint32Array {
    const halves = halvesOf(words);
    const most = Number(number);
    const found = new Uint32Array(count);
    let at = 0;
    for (let key = 0; key < count; key++) {
      if ((this.#numbers[this.#slotOf(halves, key)] as number) > most) found[at++] = key;
    }
    return found.subarray(0, at);
  }

  #raise(halves: Uint32Array, key: number, number: number): void {
    const slot = this.#slotOf(halves, key);
    const before = this.#numbers[slot] as number;
    if (before >= number) return;
    this.#numbers[slot] = number;
    if (before > 0) return;
    for (let half = 0; half < 4; half++) {
      this.#halves[4 * slot + half] = halves[4 * key + half] as number;
    }
    if (2 * ++this.#count > this.#numbers.length) this.#grow();
  }

  #grow(): void {
    const [halves, numbers] = [this.#halves, this.#numbers];
    this.#halves = new Uint32Array(2 * halves.length);
    this.#numbers = new Float64Array(2 * numbers.length);
    this.#count = 0;
    numbers.forEach((number, slot) => {
      if (number > 0) this.#raise(halves, slot, number);
    });
  }

  /** The slot of a key, or the free one where it belongs. */
  #slotOf(halves: Uint32Array, key: number): number {
    const mask = this.#numbers.length - 1;
    // The upper half of the first word: it is as good as random for every kind of key.
    let slot = (halves[4 * key + 1] as number) & mask;
    for (;;) {
      if (this.#numbers[slot] === 0 || this.#isKey(slot, halves, key)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #isKey(slot: number, halves: Uint32Array, key: number): boolean {
    for (let half = 0; half < 4; half++) {
      if (this.#halves[4 * slot + half] !== halves[4 * key + half]) return false;
    }
    return true;
  }
}

function halvesOf({ buffer, byteOffset, length }: BigUint64Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, 2 * length);
}

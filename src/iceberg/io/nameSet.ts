/**
 * A set of names of which only the hashes are kept, 64 bits each: 16 to 32 bytes a name, however long
 * it is. Two names of one hash are taken for one, so an answer "absent" is certain and "there" is not:
 * of a hundred million names one in a few thousand sets has such a pair at all.
 */

const COUNT_FIRST = 1024;

/** Names by their hashes. */
export class NameSet {
  #slots = new BigUint64Array(2 * COUNT_FIRST);
  #count = 0;

  /** Names in the set. */
  get size(): number {
    return this.#count;
  }

  add(name: string): void {
    if (2 * this.#count >= this.#slots.length) this.#grow();
    if (this.#put(hashOf(name))) this.#count++;
  }

  /** False for certain; true also when another name has the same hash. */
  has(name: string): boolean {
    const hash = hashOf(name);
    return this.#slots[this.#slotOf(hash)] === hash;
  }

  #put(hash: bigint): boolean {
    const at = this.#slotOf(hash);
    const isNew = this.#slots[at] !== hash;
    this.#slots[at] = hash;
    return isNew;
  }

  /** The slot that has the hash, or the free one that it would go into. */
  #slotOf(hash: bigint): number {
    const mask = this.#slots.length - 1;
    let at = Number(hash & 0xffff_ffffn) & mask;
    for (let slot = this.#slots[at]; slot !== 0n && slot !== hash; slot = this.#slots[at]) {
      at = (at + 1) & mask;
    }
    return at;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new BigUint64Array(2 * old.length);
    old.forEach((hash) => {
      if (hash !== 0n) this.#put(hash);
    });
  }
}

/** Never 0, which is a free slot. */
function hashOf(name: string): bigint {
  const hash = Bun.hash.wyhash(name);
  return hash === 0n ? 1n : hash;
}

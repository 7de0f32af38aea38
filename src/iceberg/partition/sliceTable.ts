/**
 * A hash table of byte slices: finds which slices of one buffer are equal without making an object
 * per slice.
 */
import { murmur3 } from "./bucketHash.ts";

/** A set of byte slices of one buffer, each with a small number: open addressing. */
export class SliceTable {
  private readonly data: Uint8Array;
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private readonly hashes: number[] = [];
  /** Slots hold number + 1; 0 is free. The length is a power of two, at most half full. */
  private slots = new Int32Array(64);
  private last = -1;

  constructor(data: Uint8Array) {
    this.data = data;
  }

  /** The number of `[start, end)`, new ones counting up from 0. */
  idOf(start: number, end: number): number {
    if (this.last >= 0 && this.equals(this.last, start, end)) return this.last;
    const hash = murmur3(this.data, start, end);
    this.last = this.find(hash, start, end);
    return this.last;
  }

  /** A copy of the bytes of a number. */
  slice(id: number): Uint8Array {
    return this.data.slice(this.starts[id], this.ends[id]);
  }

  private find(hash: number, start: number, end: number): number {
    const mask = this.slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = (this.slots[slot] ?? 0) - 1;
      if (id < 0) return this.add(slot, hash, start, end);
      if (this.hashes[id] === hash && this.equals(id, start, end)) return id;
    }
  }

  private add(slot: number, hash: number, start: number, end: number): number {
    const id = this.starts.push(start) - 1;
    this.ends.push(end);
    this.hashes.push(hash);
    this.slots[slot] = id + 1;
    if (this.starts.length * 2 > this.slots.length) this.grow();
    return id;
  }

  private grow(): void {
    this.slots = new Int32Array(this.slots.length * 2);
    const mask = this.slots.length - 1;
    for (const [id, hash] of this.hashes.entries()) {
      let slot = hash & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = id + 1;
    }
  }

  private equals(id: number, start: number, end: number): boolean {
    const known = this.starts[id] ?? 0;
    const length = end - start;
    if ((this.ends[id] ?? 0) - known !== length) return false;
    for (let index = 0; index < length; index++) {
      if (this.data[known + index] !== this.data[start + index]) return false;
    }
    return true;
  }
}

/**
 * A set of Kafka offsets: a bit each, in chunks of 65,536; a chunk that is full takes no memory.
 */
import { fail } from "#base/errors.ts";

const CHUNK_OFFSETS = 65_536;

/** Chunks with holes at most, 8 KiB each: 64 MiB. */
const CHUNKS_MAX = 8192;

interface Chunk {
  bits: Uint8Array | null;
  count: number;
}

/** Distinct offsets of one feed. */
export class OffsetSet {
  readonly #chunks = new Map<number, Chunk>();
  #held = 0;

  /** @throws AppError `progress` when the offsets are too scattered to be compared */
  add(offset: bigint): void {
    const number = Number(offset);
    const index = Math.floor(number / CHUNK_OFFSETS);
    const chunk = this.#chunks.get(index) ?? this.#newChunk(index);
    if (chunk.bits === null) return;
    const at = number - index * CHUNK_OFFSETS;
    const mask = 1 << (at & 7);
    const byte = chunk.bits[at >> 3] ?? 0;
    if ((byte & mask) !== 0) return;
    chunk.bits[at >> 3] = byte | mask;
    if (++chunk.count < CHUNK_OFFSETS) return;
    chunk.bits = null;
    this.#held--;
  }

  #newChunk(index: number): Chunk {
    if (++this.#held > CHUNKS_MAX) {
      throw fail("progress", "The rows of one partition are too scattered to be compared");
    }
    const chunk = { bits: new Uint8Array(CHUNK_OFFSETS / 8), count: 0 };
    this.#chunks.set(index, chunk);
    return chunk;
  }

  has(offset: bigint): boolean {
    const index = Math.floor(Number(offset) / CHUNK_OFFSETS);
    const chunk = this.#chunks.get(index);
    if (chunk === undefined) return false;
    const at = Number(offset) - index * CHUNK_OFFSETS;
    return chunk.bits === null || ((chunk.bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }

  /** How many offsets below `end` are there. */
  countBelow(end: bigint): bigint {
    let count = 0;
    const last = Number(end);
    for (const [index, chunk] of this.#chunks) {
      const from = index * CHUNK_OFFSETS;
      if (from + CHUNK_OFFSETS <= last) count += chunk.count;
      else for (let at = from; at < last; at++) count += this.has(BigInt(at)) ? 1 : 0;
    }
    return BigInt(count);
  }

  /** How many offsets of `[start, end)` are there. */
  countIn(start: bigint, end: bigint): bigint {
    return end > start ? this.countBelow(end) - this.countBelow(start) : 0n;
  }

  /**
   * Ranges `[first, last]` of offsets in `[start, end)` that are there (or, with `there` false, that
   * are not), in order, at most `max`. Chunks without any offset are one range with their neighbours.
   */
  ranges(start: bigint, end: bigint, there: boolean, max: number): [bigint, bigint][] {
    const found: [bigint, bigint][] = [];
    const indexes = [...this.#chunks.keys()].sort((a, b) => a - b);
    let from: bigint | null = null;
    for (
      let at = start;
      at < end && found.length < max;
      at = this.#nextOfAnotherKind(at, indexes)
    ) {
      const is = this.has(at) === there;
      if (is) from ??= at;
      else if (from !== null) {
        found.push([from, at - 1n]);
        from = null;
      }
    }
    if (from !== null && found.length < max) found.push([from, end - 1n]);
    return found;
  }

  /** The next offset, or the first behind a stretch of chunks that are all full, or all missing. */
  #nextOfAnotherKind(at: bigint, indexes: readonly number[]): bigint {
    const index = Math.floor(Number(at) / CHUNK_OFFSETS);
    const chunk = this.#chunks.get(index);
    if (chunk?.bits != null) return at + 1n;
    if (chunk !== undefined) return BigInt((index + 1) * CHUNK_OFFSETS);
    const next = indexes.find((each) => each > index);
    return next === undefined ? BigInt(Number.MAX_SAFE_INTEGER) : BigInt(next * CHUNK_OFFSETS);
  }

  /** All of them, ascending. */
  *offsets(): Generator<bigint> {
    for (const index of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const bits = this.#chunks.get(index)?.bits ?? null;
      const first = index * CHUNK_OFFSETS;
      for (let at = 0; at < CHUNK_OFFSETS; at++) {
        const byte = bits === null ? 255 : (bits[at >> 3] ?? 0);
        if (byte === 0) at |= 7;
        else if ((byte & (1 << (at & 7))) !== 0) yield BigInt(first + at);
      }
    }
  }

  /** Adds the offsets of another set. */
  addAll(other: OffsetSet): void {
    for (const [index, { bits }] of other.#chunks) {
      const chunk = this.#chunks.get(index) ?? this.#newChunk(index);
      if (chunk.bits === null) continue;
      let count = 0;
      for (let at = 0; at < chunk.bits.length; at++) {
        const byte = (chunk.bits[at] ?? 0) | (bits === null ? 255 : (bits[at] ?? 0));
        chunk.bits[at] = byte;
        count += bitsOf(byte);
      }
      chunk.count = count;
      if (count < CHUNK_OFFSETS) continue;
      chunk.bits = null;
      this.#held--;
    }
  }

  /** One past the largest offset; 0 for an empty set. */
  get end(): bigint {
    const index = Math.max(-1, ...this.#chunks.keys());
    if (index < 0) return 0n;
    for (let at = (index + 1) * CHUNK_OFFSETS - 1; at >= 0; at--) {
      if (this.has(BigInt(at))) return BigInt(at + 1);
    }
    return 0n;
  }
}

function bitsOf(byte: number): number {
  let bits = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) bits++;
  return bits;
}

/**
 * From the socket to whole answers: every byte is copied once, into memory that is used again.
 *
 * Answers on the wire: size i32 | correlation id i32 | body. Fresh memory for each fetch answer cost
 * more than copying it did (page faults), so that {@link AnswerBuffers} takes back what nobody reads
 * any more. Whoever forgets to give a buffer back loses nothing but its re-use.
 */

/**
 * Chunks below are left to the collector. The runtime gives each large one memory of its own, fresh
 * pages each time, unless that of the chunk before is free again.
 */
const CHUNK_BYTES_MIN = 4096;

const SIZE_BYTES = 4;
const ID_BYTES = 4;

/** One is read to its end while its last bytes are still waiting, one arrives while the others are full. */
const BESIDE_FULL = 2;

/** Buffers of fetch answers, counted by their readers. Sizes in bytes. */
export class AnswerBuffers {
  readonly #bytesEach: number;
  readonly #freeMax: number;
  #free: ArrayBufferLike[] = [];
  /** Readers of every buffer that is in use. */
  readonly #readers = new WeakMap<ArrayBufferLike, number>();

  /**
   * @param bytesEach size of one buffer: larger answers get memory of their own
   * @param bytesMax of answers that wait: buffers for so much, and two, are kept; more are left to the collector
   */
  constructor(bytesEach: number, bytesMax: number) {
    this.#bytesEach = bytesEach;
    this.#freeMax = Math.ceil(bytesMax / bytesEach) + BESIDE_FULL;
  }

  /** Memory for an answer, with one reader; the first part of it when the answer is larger. */
  take(bytes: number): Uint8Array {
    if (bytes > this.#bytesEach) return Buffer.allocUnsafeSlow(this.#bytesEach);
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytesEach).buffer;
    this.#readers.set(buffer, 1);
    return new Uint8Array(buffer, 0, bytes);
  }

  /** One more reader of these bytes, which may lie in any memory. */
  hold({ buffer }: Uint8Array): void {
    const readers = this.#readers.get(buffer);
    if (readers !== undefined) this.#readers.set(buffer, readers + 1);
  }

  /** One reader less; the last one frees the buffer. */
  release({ buffer }: Uint8Array): void {
    const readers = this.#readers.get(buffer);
    if (readers === undefined) return;
    if (readers > 1) {
      this.#readers.set(buffer, readers - 1);
      return;
    }
    this.#readers.delete(buffer);
    if (this.#free.length < this.#freeMax) this.#free.push(buffer);
  }
}

/** What a connection does with its answers. */
export interface AnswerSink {
  answer(correlationId: number, body: Uint8Array): void;
  /** The bytes cannot be Kafka's: nothing after them can be understood. */
  broken(size: number): void;
}

/** Cuts one connection's bytes into answers. */
export class AnswerReader {
  readonly #buffers: AnswerBuffers;
  readonly #sink: AnswerSink;
  /** The size's bytes so far, while it is not whole. */
  #head: Buffer = Buffer.alloc(0);
  /** The answer that is arriving: its memory, its size and how much is there. */
  #memory: Uint8Array = this.#head;
  #size = 0;
  #filled = 0;
  #broken = false;
  /** Part of the chunk at hand was delivered as it is. */
  #isHandedOn = false;

  constructor(buffers: AnswerBuffers, sink: AnswerSink) {
    this.#buffers = buffers;
    this.#sink = sink;
  }

  /** Takes what arrived, and with it the chunk's memory: the chunk may be empty afterwards. */
  push(chunk: Buffer): void {
    this.#isHandedOn = false;
    this.#read(chunk);
    if (!this.#isHandedOn) freeMemory(chunk);
  }

  #read(chunk: Buffer): void {
    let at = 0;
    if (this.#size > 0) at = this.#fill(chunk, 0);
    while (at < chunk.length && !this.#broken) {
      if (this.#head.length > 0 || chunk.length - at < SIZE_BYTES) at = this.#readHead(chunk, at);
      else at = this.#begin(chunk, at + SIZE_BYTES, chunk.readInt32BE(at));
    }
  }

  /** A size that came in pieces. */
  #readHead(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + SIZE_BYTES - this.#head.length);
    this.#head = Buffer.concat([this.#head, chunk.subarray(at, end)]);
    if (this.#head.length < SIZE_BYTES) return end;
    const size = this.#head.readInt32BE(0);
    this.#head = Buffer.alloc(0);
    return this.#begin(chunk, end, size);
  }

  #begin(chunk: Buffer, at: number, size: number): number {
    if (size < ID_BYTES) {
      this.#broken = true;
      this.#sink.broken(size);
      return chunk.length;
    }
    if (size <= chunk.length - at) {
      this.#isHandedOn = true;
      this.#deliver(chunk.subarray(at, at + size));
      return at + size;
    }
    this.#memory = this.#buffers.take(size);
    this.#size = size;
    this.#filled = 0;
    return this.#fill(chunk, at);
  }

  #fill(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#size - this.#filled);
    this.#makeRoom(this.#filled + end - at);
    this.#memory.set(chunk.subarray(at, end), this.#filled);
    this.#filled += end - at;
    if (this.#filled < this.#size) return end;
    const whole = this.#memory.subarray(0, this.#size);
    this.#memory = this.#head;
    this.#size = 0;
    this.#deliver(whole);
    return end;
  }

  /** Large answers get their memory as they come: their size alone is not believed. */
  #makeRoom(bytes: number): void {
    if (bytes <= this.#memory.length) return;
    const grown = Buffer.allocUnsafeSlow(
      Math.min(this.#size, Math.max(bytes, 2 * this.#memory.length)),
    );
    grown.set(this.#memory.subarray(0, this.#filled));
    this.#memory = grown;
  }

  #deliver(answer: Uint8Array): void {
    const view = new DataView(answer.buffer, answer.byteOffset);
    this.#sink.answer(view.getInt32(0), answer.subarray(ID_BYTES));
  }
}

/** Frees a chunk's memory at once, instead of at the next collection, where it is the chunk's alone. */
function freeMemory({ buffer, length }: Buffer): void {
  if (length < CHUNK_BYTES_MIN || buffer.byteLength !== length) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/**
 * What checks record batches and decodes LZ4 and Snappy blocks: the kernel, or the same in TypeScript,
 * with the same answers for every input. What stands around blocks (frames, xerial chunks, lengths) is
 * the caller's.
 */
import { crc32c } from "#base/crc32c.ts";
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import { lz4Block } from "#base/lz4Block.ts";
import { growMemory, type Kernel, loadKernel } from "#kernel/load.ts";
import { snappyBlock } from "./snappyBlock.ts";

/** One input and the room for its output. Positions count from the beginning of each. */
export interface Blocks {
  /** Where the output goes: exactly as long as was asked for. */
  readonly output: Uint8Array;
  /**
   * Decodes the LZ4 block `[start, end)` of the input to `at`; the bytes made, or a `FAULT`.
   * Matches may reach back to `window`.
   */
  lz4(start: number, end: number, at: number, window: number): number;
  /** Decodes the elements of a Snappy block; copies reach back to `at`, `room` is the end. */
  snappy(start: number, end: number, at: number, room: number): number;
}

interface Functions {
  crcMargin(): number;
  crc32c(from: number, end: number, work: number): number;
  lz4Block(from: number, end: number, to: number, window: number, room: number): number;
  snappyBlock(from: number, end: number, to: number, room: number): number;
}

/** A kernel's memory cannot shrink: more than this is decoded in TypeScript, in memory of its own. */
const KERNEL_BYTES_MAX = 16 * 1024 * 1024;
/** Larger outputs of the slow path are not kept for the next batch. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;
const ALIGNMENT = 64;

/** Memory that one decompressed batch after the other is put into. */
export class Scratch {
  readonly #kernel: Kernel<Functions> | null;
  #kept: Uint8Array = new Uint8Array(0);
  /** What lies in the kernel's memory; forgotten as soon as it has been decoded. */
  #loaded: Uint8Array | null = null;

  /** @param kernel default: as the process is set */
  constructor(kernel: boolean = KERNELS_ON) {
    this.#kernel = kernel ? loadKernel<Functions>("decompress") : null;
  }

  /**
   * The CRC-32C of `bytes[start, end)`. A `begin` right behind it with a part of these very bytes does
   * not bring them into the kernel's memory again.
   */
  crc32c(bytes: Uint8Array, start: number): number {
    const kernel = this.#kernel;
    if (kernel === null || bytes.length > KERNEL_BYTES_MAX / 2) return crc32c(bytes, start);
    const { functions } = kernel;
    const from = this.#load(kernel, bytes, bytes.length + functions.crcMargin());
    const end = from + bytes.length;
    this.#loaded = bytes;
    return functions.crc32c(from + start, end, align(end)) >>> 0;
  }

  /** Room for `length` bytes made of `input`. The output is valid until the next call. */
  begin(input: Uint8Array, length: number): Blocks {
    const kernel = this.#kernel;
    const loaded = this.#loaded;
    this.#loaded = null;
    if (kernel === null || input.length + length > KERNEL_BYTES_MAX) {
      return scriptBlocks(input, this.#take(length));
    }
    let from = align(kernel.heapBase);
    if (loaded !== null && isPart(input, loaded)) {
      from += input.byteOffset - loaded.byteOffset;
      growMemory(kernel.memory, align(from + input.length) + length);
    } else {
      this.#load(kernel, input, length);
    }
    return kernelBlocks(kernel, from, align(from + input.length), length);
  }

  /** Brings bytes into the kernel's memory, with `room` behind them; their address. */
  #load({ memory, heapBase }: Kernel<Functions>, bytes: Uint8Array, room: number): number {
    const from = align(heapBase);
    growMemory(memory, align(from + bytes.length) + room);
    new Uint8Array(memory.buffer, from, bytes.length).set(bytes);
    return from;
  }

  /** Exactly `length` bytes of any content. */
  #take(length: number): Uint8Array {
    if (length > KEPT_BYTES_MAX) return Buffer.allocUnsafeSlow(length);
    if (this.#kept.length < length) {
      this.#kept = Buffer.allocUnsafeSlow(Math.min(KEPT_BYTES_MAX, 2 * length));
    }
    return this.#kept.subarray(0, length);
  }
}

function kernelBlocks(
  { functions, memory }: Kernel<Functions>,
  from: number,
  to: number,
  length: number,
): Blocks {
  return {
    output: new Uint8Array(memory.buffer, to, length),
    lz4: (start, end, at, window) =>
      functions.lz4Block(from + start, from + end, to + at, to + window, to + length),
    snappy: (start, end, at, room) =>
      functions.snappyBlock(from + start, from + end, to + at, to + room),
  };
}

function scriptBlocks(input: Uint8Array, output: Uint8Array): Blocks {
  return {
    output,
    lz4: (start, end, at, window) => lz4Block(input.subarray(start, end), output, at, window),
    snappy: (start, end, at, room) =>
      snappyBlock(input.subarray(start, end), output.subarray(at, room)),
  };
}

function isPart(part: Uint8Array, whole: Uint8Array): boolean {
  const start = part.byteOffset - whole.byteOffset;
  return part.buffer === whole.buffer && start >= 0 && start + part.length <= whole.length;
}

function align(address: number): number {
  return Math.ceil(address / ALIGNMENT) * ALIGNMENT;
}

/**
 * What decodes LZ4 and Snappy blocks: the kernel, or the same in TypeScript, with the same answers for
 * every input. What stands around blocks (frames, xerial chunks, lengths) is the caller's.
 */
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import { growMemory, type Kernel, loadKernel } from "#kernel/load.ts";
import { lz4Block } from "./lz4Block.ts";
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

  /** @param kernel default: as the process is set */
  constructor(kernel: boolean = KERNELS_ON) {
    this.#kernel = kernel ? loadKernel<Functions>("decompress") : null;
  }

  /** Room for `length` bytes made of `input`. The output is valid until the next call. */
  begin(input: Uint8Array, length: number): Blocks {
    const kernel = this.#kernel;
    if (kernel === null || input.length + length > KERNEL_BYTES_MAX) {
      return scriptBlocks(input, this.#take(length));
    }
    const from = align(kernel.heapBase);
    const to = align(from + input.length);
    growMemory(kernel.memory, to + length);
    new Uint8Array(kernel.memory.buffer, from, input.length).set(input);
    return kernelBlocks(kernel, from, to, length);
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

function align(address: number): number {
  return Math.ceil(address / ALIGNMENT) * ALIGNMENT;
}

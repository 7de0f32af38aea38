/**
 * The decompression kernel itself, whatever its input: it answers as the TypeScript decoders do, and
 * touches no byte outside the room it was given.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { FAULT } from "#base/blockOutput.ts";
import { lz4Block } from "#base/lz4Block.ts";
import { snappyBlock } from "#consumer/codec/snappyBlock.ts";
import { growMemory, loadKernel } from "#kernel/load.ts";

interface Functions {
  lz4Block(from: number, end: number, to: number, window: number, room: number): number;
  snappyBlock(from: number, end: number, to: number, room: number): number;
}

const { functions, memory, heapBase } = loadKernel<Functions>("decompress");
const FROM = heapBase + 64;
const ROOM_MAX = 40_000;
growMemory(memory, FROM + 2 * ROOM_MAX);
const CANARY = 0xa5;

/** Memory with `source` at FROM, what came before in the output, and canaries everywhere else. */
function prepare(source: Uint8Array, before: Uint8Array): { all: Uint8Array; to: number } {
  const all = new Uint8Array(memory.buffer, heapBase, FROM + 2 * ROOM_MAX - heapBase).fill(CANARY);
  all.set(source, FROM - heapBase);
  const to = FROM + source.length + 64;
  all.set(before, to - heapBase);
  return { all, to: to + before.length };
}

/** Tokens that are likely to mean something: short and long runs, near and far matches. */
const sequence = fc
  .tuple(
    fc.oneof(fc.nat(255), fc.constantFrom(0x10, 0x1f, 0xf0, 0xff, 0x0f)),
    fc.uint8Array({ maxLength: 40 }),
    fc.oneof(fc.nat(40), fc.nat(65_535)),
    fc.array(fc.constantFrom(0, 1, 7, 200, 255), { maxLength: 3 }),
  )
  .map(([token, literals, offset, extra]) => {
    const count = Math.min(14, literals.length);
    const head = token >> 4 === 15 ? token : (count << 4) | (token & 15);
    return [head, ...literals.slice(0, count), offset & 255, offset >> 8, ...extra];
  });
const lz4Input = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(sequence, { maxLength: 60 }).map((list) => Uint8Array.from(list.flat())),
);
const element = fc.oneof(
  fc
    .uint8Array({ minLength: 1, maxLength: 60 })
    .map((bytes) => [(bytes.length - 1) << 2, ...bytes]),
  fc
    .uint8Array({ minLength: 1, maxLength: 400 })
    .map((b) => [61 << 2, (b.length - 1) & 255, (b.length - 1) >> 8, ...b]),
  fc
    .tuple(fc.nat(63), fc.oneof(fc.nat(40), fc.nat(3000)))
    .map(([length, offset]) => [(length << 2) | 2, offset & 255, offset >> 8]),
  fc.tuple(fc.nat(255), fc.nat(255)).map(([tag, offset]) => [(tag & 0xfc) | 1, offset]),
  fc.nat(40).map((offset) => [(20 << 2) | 3, offset, 0, 0, 0]),
);
const snappyInput = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(element, { maxLength: 60 }).map((list) => Uint8Array.from(list.flat())),
);
/** Blocks without a fault: offsets within what was made, literals at the end, one byte of length at most. */
const validLz4 = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 14 }), fc.nat(), fc.nat(250)), {
    minLength: 1,
    maxLength: 200,
  })
  .map((list) => {
    let made = 0;
    const bytes = list.flatMap(([literals, back, match], i) => {
      if (i === list.length - 1) return [literals.length << 4, ...literals];
      made += literals.length;
      const offset = 1 + (back % made);
      made += match + 4;
      const token = (literals.length << 4) | Math.min(15, match);
      const rest = match < 15 ? [] : [match - 15];
      return [token, ...literals, offset & 255, offset >> 8, ...rest];
    });
    return Uint8Array.from(bytes);
  });
const room = fc.oneof(fc.nat(200), fc.nat(ROOM_MAX / 2));
const before = fc.uint8Array({ maxLength: 100 });

test("LZ4 blocks: the kernel answers as the reference, and keeps to its room", () => {
  fc.assert(
    fc.property(lz4Input, before, room, (source, past, size) => {
      const { all, to } = prepare(source, past);
      const reference = new Uint8Array(past.length + size);
      reference.set(past);
      const expected = lz4Block(source, reference, past.length, 0);
      const untouched = all.slice();
      const made = functions.lz4Block(FROM, FROM + source.length, to, to - past.length, to + size);
      compare(all, untouched, to - heapBase, size, made, expected, reference.subarray(past.length));
    }),
    { numRuns: 3000 },
  );
});

test("LZ4 blocks without a fault are made whole in any room that holds them, and in no smaller one", () => {
  fc.assert(
    fc.property(validLz4, fc.nat(400), (source, spare) => {
      const whole = new Uint8Array(2 * ROOM_MAX);
      const size = lz4Block(source, whole, 0, 0);
      fc.pre(size > 0 && size + spare <= ROOM_MAX);
      const { all, to } = prepare(source, new Uint8Array(0));
      const untouched = all.slice();
      const decode = (room: number): number =>
        functions.lz4Block(FROM, FROM + source.length, to, to, to + room);
      expect(decode(size - 1)).toBe(FAULT.noRoom);
      const made = decode(size + spare);
      compare(all, untouched, to - heapBase, size + spare, made, size, whole);
    }),
    { numRuns: 1000 },
  );
});

test("Snappy blocks: the kernel answers as the reference, and keeps to its room", () => {
  fc.assert(
    fc.property(snappyInput, room, (source, size) => {
      const { all, to } = prepare(source, new Uint8Array(0));
      const reference = new Uint8Array(size);
      const expected = snappyBlock(source, reference);
      const untouched = all.slice();
      const made = functions.snappyBlock(FROM, FROM + source.length, to, to + size);
      compare(all, untouched, to - heapBase, size, made, expected, reference);
    }),
    { numRuns: 3000 },
  );
});

function compare(
  all: Uint8Array,
  untouched: Uint8Array,
  at: number,
  size: number,
  made: number,
  expected: number,
  reference: Uint8Array,
): void {
  expect(made).toBe(expected);
  if (made > 0) {
    expect(Buffer.compare(all.subarray(at, at + made), reference.subarray(0, made))).toBe(0);
  }
  expect(Buffer.compare(all.subarray(0, at), untouched.subarray(0, at))).toBe(0);
  expect(Buffer.compare(all.subarray(at + size), untouched.subarray(at + size))).toBe(0);
}

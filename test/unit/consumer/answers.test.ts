import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AnswerBuffers, AnswerReader } from "#consumer/wire/answers.ts";

interface Rig {
  readonly reader: AnswerReader;
  readonly answers: { id: number; body: number[] }[];
  readonly broken: number[];
}

function rig(buffers = new AnswerBuffers(64, 256)): Rig {
  const answers: { id: number; body: number[] }[] = [];
  const broken: number[] = [];
  const reader = new AnswerReader(buffers, {
    answer: (id, body) => answers.push({ id, body: [...body] }),
    broken: (size) => broken.push(size),
  });
  return { reader, answers, broken };
}

function frame(id: number, body: readonly number[]): Buffer {
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeInt32BE(4 + body.length, 0);
  bytes.writeInt32BE(id, 4);
  bytes.set(body, 8);
  return bytes;
}

describe("AnswerReader", () => {
  test("answers come out whole and in order, however their bytes were cut into chunks", () => {
    const answers = fc.array(
      fc.record({
        id: fc.nat(),
        body: fc.array(fc.nat(255), { maxLength: 300 }),
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(answers, fc.array(fc.integer({ min: 1, max: 90 })), (list, cuts) => {
        const { reader, answers: got, broken } = rig();
        const bytes = Buffer.concat(list.map(({ id, body }) => frame(id, body)));
        let at = 0;
        for (const cut of cuts) {
          reader.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        reader.push(bytes.subarray(at));
        expect(got).toEqual(list);
        expect(broken).toEqual([]);
      }),
    );
  });

  test("a size that no answer has ends the reading, and is told once", () => {
    for (const size of [-1, 0, 3]) {
      const { reader, answers, broken } = rig();
      const head = Buffer.alloc(4);
      head.writeInt32BE(size);
      reader.push(Buffer.concat([frame(1, [9]), head, frame(2, [])]));
      reader.push(frame(3, []));
      expect(answers).toEqual([{ id: 1, body: [9] }]);
      expect(broken).toEqual([size]);
    }
  });

  test("a chunk's memory is freed once all of it is copied, not when another may read it", () => {
    const { reader, answers } = rig(new AnswerBuffers(65_536, 65_536));
    const body = Array<number>(12_000).fill(7);
    const large = frame(1, body);
    const alone = (bytes: Buffer): Buffer => Buffer.from(new Uint8Array(bytes).buffer);
    const [first, second] = [alone(large.subarray(0, 5000)), alone(large.subarray(5000))];
    const whole = alone(frame(2, body));
    const shared = alone(large).subarray(0, 5000);
    const pieces = [first, second, whole, shared];
    for (const piece of pieces) reader.push(piece);
    expect(pieces.map(({ length }) => length)).toEqual([0, 0, whole.length, 5000]);
    expect(answers).toEqual([
      { id: 1, body },
      { id: 2, body },
    ]);
  });

  test("a size is not believed before its bytes come: memory grows with them", () => {
    const taken: number[] = [];
    class Watched extends AnswerBuffers {
      override take(bytes: number): Uint8Array {
        const memory = super.take(bytes);
        taken.push(memory.length);
        return memory;
      }
    }
    const { reader } = rig(new Watched(64, 256));
    const head = Buffer.alloc(8);
    head.writeInt32BE(2 ** 31 - 1);
    reader.push(head);
    expect(taken).toEqual([64]);
  });
});

describe("AnswerBuffers", () => {
  test("memory is used again when its last reader has released it, and not before", () => {
    const buffers = new AnswerBuffers(64, 64);
    const first = buffers.take(10);
    buffers.hold(first.subarray(2, 5));
    buffers.release(first);
    expect(buffers.take(10).buffer).not.toBe(first.buffer);
    buffers.release(first.subarray(2, 5));
    expect(buffers.take(64).buffer).toBe(first.buffer);
  });

  test("memory of what waits is kept, of one that is read and of one that arrives, and no more", () => {
    const buffers = new AnswerBuffers(64, 128);
    const taken = Array.from({ length: 5 }, () => buffers.take(1));
    for (const answer of taken) buffers.release(answer);
    const before = new Set(taken.map(({ buffer }) => buffer));
    const again = Array.from({ length: 5 }, () => before.has(buffers.take(1).buffer));
    expect(again).toEqual([true, true, true, true, false]);
  });

  test("what is released twice, or is foreign memory, is not kept", () => {
    const buffers = new AnswerBuffers(64, 64);
    const [first, second] = [buffers.take(1), buffers.take(1)];
    buffers.release(first);
    buffers.release(second);
    buffers.release(second);
    buffers.release(new Uint8Array(5));
    const next = [buffers.take(1), buffers.take(1), buffers.take(1)].map(({ buffer }) => buffer);
    expect(next.slice(0, 2)).toEqual([second.buffer, first.buffer]);
    expect(next[2]).not.toBe(second.buffer);
  });
});

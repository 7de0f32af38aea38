/**
 * The hot buffer keeps each feed's rows without a gap, from the table's offset to the position.
 */
import { expect, test } from "bun:test";
import { feedKey } from "#base/offsets.ts";
import { HotBuffer, type OpenSegment } from "#buffer/hotBuffer.ts";
import type { SealedRows } from "#buffer/segment.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { SegmentMemory } from "#columns/segmentMemory.ts";
import { columns } from "../../sim/rows.ts";

const feed = (partition: number) => ({ clusterId: "c", topic: "t", topicId: "id", partition });

/** What the objects of a segment of two columns are counted as, once the first one was sealed. */
const OBJECTS = 2 * 1024;

/** Rows that say how large they are. */
class Rows {
  readonly partition: number;
  readonly numbers: number[] = [];
  byteCount = 0;

  constructor(partition: number) {
    this.partition = partition;
  }

  get rowCount(): number {
    return this.numbers.length;
  }

  get usedBytes(): number {
    return this.byteCount;
  }

  readonly memory = new SegmentMemory();

  live(): ColumnBatch["columns"] {
    return this.seal().columns;
  }

  seal(): ColumnBatch {
    return { ...columns(this.partition, this.numbers), byteCount: this.byteCount };
  }
}

class Filler {
  readonly buffer = new HotBuffer<Rows>();
  readonly positions = new Map<number, bigint>();

  /** `count` records of `bytes` each at the partition's position. */
  add(partition: number, count: number, bytes = 10): void {
    const position = this.positions.get(partition) ?? 0n;
    const segment = this.buffer.segment(feed(partition), position, () => new Rows(partition));
    for (let row = 0; row < count; row++) segment.rows.numbers.push(Number(position) + row);
    segment.rows.byteCount += count * bytes;
    this.#advance(partition, segment, position + BigInt(count));
  }

  /** Moves the position over records that are no rows. */
  skip(partition: number, count: bigint): void {
    const position = this.positions.get(partition) ?? 0n;
    const segment = this.buffer.segment(feed(partition), position, () => new Rows(partition));
    this.#advance(partition, segment, position + count);
  }

  #advance(partition: number, segment: OpenSegment<Rows>, end: bigint): void {
    this.buffer.advance(segment, end, 0);
    this.positions.set(partition, end);
  }
}

const rangesOf = (sealed: readonly SealedRows[]) =>
  sealed.map(({ range, batch }) => [
    range.feed.partition,
    range.start,
    range.end,
    batch?.rowCount ?? 0,
  ]);

test("sealed segments follow each other by feed; what only moved has no rows", () => {
  const filler = new Filler();
  filler.add(0, 3);
  filler.skip(1, 5n);
  expect(filler.buffer.moved).toBe(true);
  expect(rangesOf(filler.buffer.seal())).toEqual([
    [0, 0n, 3n, 3],
    [1, 0n, 5n, 0],
  ]);
  expect(filler.buffer.moved).toBe(false);
  filler.add(0, 2);
  expect(rangesOf(filler.buffer.seal())).toEqual([[0, 3n, 5n, 2]]);
});

test("a full segment is followed by a new one, and both are sealed in order", () => {
  const filler = new Filler();
  filler.add(0, 2, 5 * 1024 * 1024);
  filler.add(0, 1);
  filler.add(0, 1);
  expect(filler.buffer.waitingRows).toBe(4);
  expect(rangesOf(filler.buffer.seal())).toEqual([
    [0, 0n, 2n, 2],
    [0, 2n, 4n, 2],
  ]);
});

test("rows count until the table has them: open, sealed, released", () => {
  const filler = new Filler();
  const { buffer } = filler;
  filler.add(0, 3);
  expect([buffer.rows, buffer.bytes, buffer.waitingBytes]).toEqual([3, 30, 30]);
  const sealed = buffer.seal();
  expect([buffer.rows, buffer.bytes, buffer.waitingBytes]).toEqual([3, 30 + OBJECTS, 0]);
  filler.add(0, 1);
  buffer.release(sealed);
  expect([buffer.rows, buffer.bytes]).toEqual([1, 10 + OBJECTS]);
});

test("a feed that is sought anew loses all of its rows, the others keep theirs", () => {
  const filler = new Filler();
  const { buffer } = filler;
  filler.add(0, 1, 9 * 1024 * 1024);
  filler.add(0, 1);
  filler.add(1, 4);
  buffer.seal();
  filler.add(0, 1, 9 * 1024 * 1024);
  filler.add(0, 1);
  buffer.drop(feedKey(feed(0)));
  expect(buffer.rows).toBe(4);
  filler.positions.set(0, 1n);
  filler.add(0, 1);
  expect(rangesOf(buffer.seal())).toEqual([[0, 1n, 2n, 1]]);
});

test("a segment never continues elsewhere than where it ended", () => {
  const filler = new Filler();
  filler.add(0, 3);
  filler.positions.set(0, 7n);
  expect(() => filler.add(0, 1)).toThrow("Assertion failed");
});

test("bytes and rows are those of every segment, whatever was added, sealed, released and dropped", () => {
  const filler = new Filler();
  const { buffer } = filler;
  const open = new Map<number, { rows: number; bytes: number }>();
  const taken: SealedRows[] = [];
  let isSealed = false;
  for (let step = 0; step < 2000; step++) {
    const partition = (step * 7) % 13;
    if (step % 97 === 96) {
      taken.push(...buffer.seal());
      open.clear();
      isSealed = true;
    } else if (step % 193 === 192) {
      buffer.release(taken.splice(0, 3));
    } else if (step % 61 === 60) {
      buffer.drop(feedKey(feed(partition)));
      open.delete(partition);
      const isGone = ({ range }: SealedRows): boolean => range.feed.partition === partition;
      buffer.release(taken.filter(isGone));
      taken.splice(0, taken.length, ...taken.filter((each) => !isGone(each)));
    } else {
      const bytes = 1 + (step % 5);
      filler.add(partition, 3, bytes);
      const before = open.get(partition) ?? { rows: 0, bytes: 0 };
      open.set(partition, { rows: before.rows + 3, bytes: before.bytes + 3 * bytes });
    }
    if (step % 3 !== 0) continue;
    const waiting = [...open.values()];
    const rows = waiting.reduce((sum, each) => sum + each.rows, 0);
    const bytes = waiting.reduce((sum, each) => sum + each.bytes, 0);
    const flushed = taken.reduce((sum, { batch }) => sum + (batch?.rowCount ?? 0), 0);
    const held = taken.reduce((sum, { batch }) => sum + (batch?.byteCount ?? 0), 0);
    expect([buffer.waitingRows, buffer.waitingBytes]).toEqual([rows, bytes]);
    const objects = isSealed ? OBJECTS * (open.size + taken.length) : 0;
    expect([buffer.rows, buffer.bytes]).toEqual([rows + flushed, bytes + held + objects]);
  }
});

test("of a thousand feeds with large last segments few get their room ahead of their rows", () => {
  const buffer = new HotBuffer<Rows>();
  const mib = 1024 * 1024;
  const begin = (partition: number, position: bigint): number => {
    let expectedSizes = 0;
    const segment = buffer.segment(feed(partition), position, (expected) => {
      expectedSizes = expected.length;
      return new Rows(partition);
    });
    segment.rows.numbers.push(1);
    segment.rows.byteCount = mib;
    buffer.advance(segment, position + 1n, 0);
    return expectedSizes;
  };
  for (let partition = 0; partition < 1000; partition++) expect(begin(partition, 0n)).toBe(0);
  buffer.release(buffer.seal());
  const given = Array.from({ length: 1000 }, (_, partition) => begin(partition, 1n));
  expect(given.filter((sizes) => sizes > 0)).toHaveLength(32);
  // Room is free again once those segments are sealed.
  buffer.release(buffer.seal());
  expect(begin(999, 2n)).toBeGreaterThan(0);
});

test("closed segments are handed out once before they are sealed, and are the very ones that a flush gets", () => {
  const filler = new Filler();
  const { buffer } = filler;
  const large = 3 * 1024 * 1024;
  filler.add(0, 1, large);
  filler.add(0, 1, large);
  filler.add(1, 1, large);
  filler.add(1, 1, 10);
  const first = buffer.takeFull();
  expect(rangesOf(first.map(({ segment }) => segment))).toEqual([
    [0, 0n, 1n, 1],
    [1, 0n, 1n, 1],
  ]);
  expect([buffer.hasFull, buffer.takeFull()]).toEqual([false, []]);
  filler.add(0, 1, 10);
  const second = buffer.takeFull();
  expect(rangesOf(second.map(({ segment }) => segment))).toEqual([[0, 1n, 2n, 1]]);
  expect([buffer.waitingRows, buffer.rows]).toEqual([5, 5]);
  const sealed = buffer.seal();
  for (const { segment } of [...first, ...second]) expect(sealed).toContain(segment);
  for (const { release } of [...first, ...second]) release();
  buffer.recycle(sealed, 0);
  expect(buffer.bytes).toBe(0);
});

test("a closed segment that was handed out keeps its memory when its feed is dropped, until it is released", () => {
  const filler = new Filler();
  const { buffer } = filler;
  filler.add(0, 1, 3 * 1024 * 1024);
  filler.add(0, 1, 10);
  filler.add(1, 1, 3 * 1024 * 1024);
  filler.add(1, 1, 10);
  const [gone, other] = buffer.takeFull();
  buffer.drop(feedKey(feed(0)));
  expect(buffer.lentBytes).toBeGreaterThan(0);
  // What comes anew is not taken for what was handed out.
  filler.positions.set(0, 0n);
  filler.add(0, 1, 3 * 1024 * 1024);
  filler.add(0, 1, 10);
  expect(rangesOf(buffer.takeFull().map(({ segment }) => segment))).toEqual([[0, 0n, 1n, 1]]);
  gone?.release();
  gone?.release();
  expect(buffer.lentBytes).toBe(0);
  other?.release();
});

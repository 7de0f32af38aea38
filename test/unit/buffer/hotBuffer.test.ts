/**
 * The hot buffer keeps each feed's rows without a gap, from the table's offset to the position.
 */
import { expect, test } from "bun:test";
import { feedKey } from "#base/offsets.ts";
import { HotBuffer, type SealedRows } from "#buffer/hotBuffer.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { columns } from "../../sim/rows.ts";

const feed = (partition: number) => ({ clusterId: "c", topic: "t", topicId: "id", partition });

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
    segment.end = position + BigInt(count);
    this.positions.set(partition, segment.end);
  }

  /** Moves the position over records that are no rows. */
  skip(partition: number, count: bigint): void {
    const position = this.positions.get(partition) ?? 0n;
    const segment = this.buffer.segment(feed(partition), position, () => new Rows(partition));
    segment.end = position + count;
    this.positions.set(partition, segment.end);
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
  expect([buffer.rows, buffer.bytes, buffer.waitingBytes]).toEqual([3, 30, 0]);
  filler.add(0, 1);
  buffer.release(sealed);
  expect([buffer.rows, buffer.bytes]).toEqual([1, 10]);
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

/**
 * Another thread reads the hot buffer while it grows, is sealed, flushed, recycled, dropped and
 * evicted: it sees exactly what it was lent, for a million rows. Memory that was given back is filled
 * with a pattern at once, so that whoever still reads it is found.
 */
import { expect, test } from "bun:test";
import { type Feed, feedKey } from "#base/offsets.ts";
import { HotBuffer } from "#buffer/hotBuffer.ts";
import type { Lease } from "#buffer/lease.ts";
import type { SealedRows } from "#buffer/segment.ts";
import { freeBufferBytes, giveBack, sharedBytes, trimBuffers } from "#columns/buffers.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import type { GivenBack, Lent } from "../../support/hotReader.ts";
import { documentOf, expectedRow, PERIOD } from "../../support/hotRows.ts";
import { recordBatch } from "../../support/records.ts";

const ROWS = 1_000_000;
const FEEDS = 4;
const LEASES_MAX = 6;
const PATTERN = 0xa5;

const feedOf = (partition: number): Feed => {
  return { clusterId: "c", topic: "t", topicId: "id", partition };
};

/** Overwrites all memory that is free for the next columns. */
function spoilFreeMemory(): void {
  const taken: Uint8Array[] = [];
  for (let size = 4 << 20; size >= 4096 && freeBufferBytes() > 0; size = Math.ceil(size / 1.2)) {
    for (;;) {
      const before = freeBufferBytes();
      const bytes = sharedBytes(size);
      if (freeBufferBytes() === before) break;
      taken.push(bytes.fill(PATTERN));
    }
  }
  for (const bytes of taken) giveBack(bytes);
}

/** The thread that reads, with the leases that it has not given back. */
class Reader {
  readonly #worker = new Worker(new URL("../../support/hotReader.ts", import.meta.url));
  readonly #leases = new Map<number, Lease>();
  readonly #seen = new Map<string, Uint8Array>();
  wrong: string | null = null;
  #count = 0;

  constructor() {
    this.#worker.onmessage = (event: MessageEvent<GivenBack>): void => this.#end(event.data);
    this.#worker.onerror = (event): void => {
      this.wrong ??= event.message;
      this.#leases.clear();
    };
  }

  get reading(): number {
    return this.#leases.size;
  }

  read(lease: Lease): void {
    const id = this.#count++;
    this.#leases.set(id, lease);
    this.#worker.postMessage({ id, segments: lease.segments } satisfies Lent);
  }

  /** Rows of a feed that were seen, each counted once. */
  seen(feed: Feed): number {
    return this.#seen.get(feedKey(feed))?.reduce((sum, each) => sum + each, 0) ?? 0;
  }

  #end({ id, seen, wrong }: GivenBack): void {
    this.wrong ??= wrong;
    for (const { key, first, end } of seen) {
      const rows = this.#seen.get(key) ?? new Uint8Array(ROWS);
      this.#seen.set(key, rows.fill(1, Number(first), Number(end)));
    }
    this.#leases.get(id)?.release();
    this.#leases.delete(id);
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo() && this.wrong === null) await new Promise((done) => setImmediate(done));
  }

  stop(): void {
    this.#worker.terminate();
  }
}

/** The thread that owns the buffer: one step is one record batch, and what becomes of those before. */
class Owner {
  readonly buffer = new HotBuffer<SegmentBuilder>(20);
  readonly reader = new Reader();
  readonly positions = new Map<number, bigint>();
  readonly #flushes: SealedRows[][] = [];
  readonly #payload = recordBatch(
    Array.from({ length: PERIOD }, (_, offset) => documentOf(expectedRow(offset))),
  );
  readonly #decoder = createDecoder({ ...DECODER_DEFAULTS, metadataColumns: ["offset"] });
  #nowMs = 0;

  constructor() {
    this.#decoder.sample([this.#payload]);
  }

  async step(step: number): Promise<void> {
    const partition = (step * 7) % FEEDS;
    this.#ingest(partition, step % 2 === 0);
    this.#nowMs++;
    if (step % 3 === 0 && this.reader.reading < LEASES_MAX) this.reader.read(this.buffer.lease());
    if (step % 29 === 28) this.#flushes.push(this.buffer.seal());
    if (step % 41 === 40) this.#drop(partition);
    if (this.#flushes.length > 2) this.#endFlush(step % 4 === 3);
    if (step % 131 === 130) this.buffer.makeRoom(1 << 20);
    if (step % 2 === 1) spoilFreeMemory();
    await this.reader.until(() => this.reader.reading < 2 * LEASES_MAX);
    if (step % 5 === 4) await new Promise((done) => setImmediate(done));
  }

  /** @param small the columns begin small, and move again and again */
  #ingest(partition: number, small: boolean): void {
    const position = this.positions.get(partition) ?? 0n;
    const open = this.buffer.segment(feedOf(partition), position, (expected) =>
      this.#decoder.builder(small ? [] : expected),
    );
    const at = { partition, baseOffset: position, wantedOffset: position };
    open.rows.decode({ ...this.#payload, ...at });
    this.buffer.advance(open, position + BigInt(PERIOD), 0);
    this.positions.set(partition, open.end);
  }

  /** All of a feed's rows are lent once more before they go. */
  #drop(partition: number): void {
    const key = feedKey(feedOf(partition));
    this.reader.read(this.buffer.lease((each) => each === key));
    this.buffer.drop(key);
  }

  #endFlush(isLost: boolean): void {
    this.reader.read(this.buffer.lease());
    const flush = this.#flushes.shift() ?? [];
    if (isLost) this.buffer.release(flush);
    else this.buffer.recycle(flush, this.#nowMs);
  }

  /** Ends every flush and lets all rows go. */
  async end(): Promise<void> {
    this.reader.read(this.buffer.lease());
    await this.reader.until(() => this.reader.reading === 0);
    this.#flushes.push(this.buffer.seal());
    for (const flush of this.#flushes) this.buffer.recycle(flush, this.#nowMs);
    this.buffer.expire(this.#nowMs + 1000);
    this.reader.stop();
  }
}

test("a reader in another thread sees what it was lent while a million rows pass through the buffer", async () => {
  for (let trims = 0; trims < 30; trims++) trimBuffers();
  const owner = new Owner();
  const { reader, buffer, positions } = owner;
  for (let step = 0; step < ROWS / PERIOD && reader.wrong === null; step++) await owner.step(step);
  await owner.end();
  expect(reader.wrong).toBeNull();
  for (const [partition, position] of positions) {
    expect(reader.seen(feedOf(partition))).toBe(Number(position));
  }
  expect([buffer.rows, buffer.bytes]).toEqual([0, 0]);
}, 120_000);

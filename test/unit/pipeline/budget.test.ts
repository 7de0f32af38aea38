/**
 * One budget for all tables and partitions: what real segments hold in real memory stays below the
 * limit, whatever the order of records, flushes and commits.
 */
import { expect, test } from "bun:test";
import { NO_LEADER_EPOCH } from "#base/offsets.ts";
import { HotBuffer } from "#buffer/hotBuffer.ts";
import type { SealedRows } from "#buffer/segment.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { Backpressure } from "#pipeline/backpressure.ts";
import type { Sink } from "#pipeline/sink.ts";
import { recordBatch } from "../../support/records.ts";

const MIB = 1024 * 1024;
const LIMIT_BYTES = 24 * MIB;
/** What comes between two looks at the budget: 16 batches of 40 rows of about 300 bytes, grown. */
const SLACK_BYTES = MIB;
const TABLES = 50;
const PARTITIONS = 20;
const BATCHES_A_LOOK = 16;

/** What backpressure sees of a table, over a real hot buffer; a flush takes some looks. */
class Table {
  readonly buffer: HotBuffer<SegmentBuilder>;
  #flush: { readonly segments: readonly SealedRows[]; looks: number } | null = null;
  readonly #decoder: Decoder;
  readonly #offsets = new Map<number, bigint>();
  flushes = 0;

  constructor(decoder: Decoder, keepMs: number) {
    this.buffer = new HotBuffer(keepMs);
    this.#decoder = decoder;
  }

  get heldBytes(): number {
    return this.buffer.bytes;
  }

  get ready(): boolean {
    return this.#flush === null && this.buffer.moved;
  }

  add(partition: number, batch: Parameters<SegmentBuilder["decode"]>[0]): void {
    const feed = { clusterId: "c", topic: "t", topicId: "i", partition };
    const position = this.#offsets.get(partition) ?? 0n;
    const segment = this.buffer.segment(feed, position, (expected) =>
      this.#decoder.builder(expected),
    );
    const before = segment.rows.rowCount;
    segment.rows.decode({ ...batch, partition });
    const end = position + BigInt(segment.rows.rowCount - before);
    this.buffer.advance(segment, end, NO_LEADER_EPOCH);
    this.#offsets.set(partition, segment.end);
  }

  begin(looks: number): void {
    this.#flush = { segments: this.buffer.seal(), looks };
    this.flushes++;
  }

  /** True when its flush has ended. */
  look(): boolean {
    if (this.#flush === null || this.#flush.looks-- > 0) return false;
    this.buffer.recycle(this.#flush.segments, 0);
    this.#flush = null;
    return true;
  }
}

function* takeFullest(pressure: Backpressure): Generator<Table> {
  for (let full = pressure.takeFullest(); full !== null; full = pressure.takeFullest()) {
    yield full as unknown as Table;
  }
}

test.each([
  ["that go with their commit", 0],
  ["that stay for readers", 60_000],
])(
  "50 tables of 20 partitions, of rows %s, hold at most the limit and what comes between two looks",
  (_, keepMs) => {
    const documents = Array.from({ length: 40 }, (_, n) =>
      JSON.stringify({
        id: n,
        name: `name ${n}`,
        url: "u".repeat(n * 5),
        ok: n % 2 === 0,
        tags: ["a"],
      }),
    );
    const batch = recordBatch(documents);
    const tables = Array.from({ length: TABLES }, () => {
      const decoder = createDecoder(DECODER_DEFAULTS);
      decoder.sample([batch]);
      return new Table(decoder, keepMs);
    });
    let pauses = 0;
    const parts = { clock: { monotonicMs: () => 0 }, observe: () => undefined };
    const sinks = { size: TABLES, retrying: 0, flushBytes: TABLES * 128 * MIB };
    const pressure = new Backpressure(parts as never, sinks, () => LIMIT_BYTES);
    const touched = new Set<Table>();
    let most = 0;
    let rows = 0;
    for (let look = 0, next = 1; look < 1500; look++) {
      for (let n = 0; n < BATCHES_A_LOOK && !pressure.active; n++) {
        // A linear congruential generator: some tables get far more than others.
        next = (next * 48_271) % 2_147_483_647;
        const table = tables[Math.floor(TABLES * (next / 2_147_483_647) ** 2)] as Table;
        table.add(next % PARTITIONS, batch);
        touched.add(table);
        rows += documents.length;
      }
      most = Math.max(
        most,
        tables.reduce((sum, each) => sum + each.heldBytes, 0),
      );
      const wasActive = pressure.active;
      for (const table of touched) pressure.measure(table as unknown as Sink);
      touched.clear();
      pressure.judge();
      if (pressure.active && !wasActive) pauses++;
      for (const table of tables.filter((each) => each.look())) touched.add(table);
      for (const table of takeFullest(pressure)) {
        table.begin(60 + (tables.indexOf(table) % 80));
        touched.add(table);
      }
    }
    expect(pauses).toBeGreaterThan(3);
    expect(most).toBeGreaterThan(LIMIT_BYTES);
    expect(most).toBeLessThan(LIMIT_BYTES + SLACK_BYTES);
    // It went on: many times the limit passed through, table by table.
    expect(rows).toBeGreaterThan(300_000);
    expect(tables.filter(({ flushes }) => flushes > 0).length).toBeGreaterThan(TABLES / 2);
  },
  60_000,
);

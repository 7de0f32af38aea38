/**
 * One budget for all tables and partitions: what real segments hold in real memory stays below the
 * limit, whatever the order of records, flushes and commits.
 */
import { expect, test } from "bun:test";
import { NO_LEADER_EPOCH } from "#base/offsets.ts";
import { HotBuffer, type SealedRows } from "#buffer/hotBuffer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { Backpressure } from "#pipeline/backpressure.ts";
import { Feeds } from "#pipeline/feeds.ts";
import type { TableRun } from "#pipeline/tableRun.ts";
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
  readonly buffer = new HotBuffer<SegmentBuilder>();
  readonly state = { kind: "running" } as const;
  readonly policy = { bytesMax: 128 * MIB };
  #flush: { readonly segments: readonly SealedRows[]; looks: number } | null = null;
  readonly #decoder: Decoder;
  readonly #offsets = new Map<number, bigint>();
  flushes = 0;

  constructor(decoder: Decoder) {
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

  look(): void {
    if (this.#flush === null || this.#flush.looks-- > 0) return;
    this.buffer.recycle(this.#flush.segments, 0);
    this.#flush = null;
  }
}

test("50 tables of 20 partitions hold at most the limit and what comes between two looks", () => {
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
    return new Table(decoder);
  });
  let paused = false;
  let pauses = 0;
  const consumer = {
    pause: () => {
      paused = true;
      pauses++;
    },
    resume: () => {
      paused = false;
    },
  };
  const parts = { consumer, clock: { monotonicMs: () => 0 }, observe: () => undefined };
  const pressure = new Backpressure(parts as never, LIMIT_BYTES);
  const all = new Set(tables as unknown as TableRun[]);
  const feeds = new Feeds();
  let most = 0;
  let rows = 0;
  for (let look = 0, next = 1; look < 1500; look++) {
    for (let n = 0; n < BATCHES_A_LOOK && !paused; n++) {
      // A linear congruential generator: some tables get far more than others.
      next = (next * 48_271) % 2_147_483_647;
      const table = Math.floor(TABLES * (next / 2_147_483_647) ** 2);
      tables[table]?.add(next % PARTITIONS, batch);
      rows += documents.length;
    }
    most = Math.max(
      most,
      tables.reduce((sum, each) => sum + each.heldBytes, 0),
    );
    pressure.check(all, feeds);
    for (const [index, table] of tables.entries()) {
      table.look();
      if (pressure.relievedBy(table as unknown as TableRun)) table.begin(60 + (index % 80));
    }
  }
  expect(pauses).toBeGreaterThan(3);
  expect(most).toBeGreaterThan(LIMIT_BYTES);
  expect(most).toBeLessThan(LIMIT_BYTES + SLACK_BYTES);
  // It went on: many times the limit passed through, table by table.
  expect(rows).toBeGreaterThan(300_000);
  expect(tables.filter(({ flushes }) => flushes > 0).length).toBeGreaterThan(TABLES / 2);
}, 60_000);

/**
 * How long a flush takes, from sealed to committed: rows come as closed segments of six partitions for an
 * interval, then all of them are flushed; once with rows written ahead (decision 0420), once without, in
 * turn. Files are on the disk and synced, the catalog is the file catalog.
 *
 * `bun scripts/bench/flush.ts [rows a second] [interval, s] [rounds] [folder]`, default 250,000, 5 and 6.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom, systemRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { createLocalStorage } from "#storage/local.ts";
import type { SealedSegment, WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { recordBatch } from "../../test/support/records.ts";
import { WRITER_OPTIONS } from "../../test/support/writerOptions.ts";
import { event } from "./events.ts";

const [rate = 250_000, interval = 5, rounds = 6] = process.argv.slice(2, 5).map(Number);
const PARTITIONS = 6;
/** About 2 MiB of columns. */
const SEGMENT_ROWS = 16_000;

/** Rows of one segment; all segments are these. */
function segmentRows(): ColumnBatch {
  const random = seededRandom(1);
  const decoder = createDecoder(DECODER_DEFAULTS);
  const batches = Array.from({ length: SEGMENT_ROWS / 1000 }, (_, n) =>
    recordBatch(
      Array.from({ length: 1000 }, (_each, i) => event(random, 1000 * n + i)),
      { baseOffset: BigInt(1000 * n) },
    ),
  );
  decoder.sample(batches.slice(0, 2));
  const builder = decoder.builder();
  for (const batch of batches) builder.decode(batch);
  return builder.seal();
}

const folder = mkdtempSync(join(process.argv[5] ?? tmpdir(), "flush-"));
const storage = createLocalStorage({ disk: systemDisk, random: systemRandom });
const parts: WriterParts = {
  random: systemRandom,
  txlog: { recovered: [], append: async () => undefined, close: async () => undefined },
  clock: systemClock,
  catalog: createFileCatalog(
    { warehouse: folder, readOnly: false },
    { storage, clock: systemClock, log: silentLogger },
  ),
  encoder: createWorkerEncoder({ clock: systemClock }),
  logger: silentLogger,
  observe: () => undefined,
};

/** A table that gets rows at the rate, and how long its flushes took. */
class Table {
  readonly name: string;
  readonly flushMs: number[] = [];
  readonly #writer: TableWriter;
  readonly #ends: bigint[] = Array.from({ length: PARTITIONS }, () => 0n);
  files = 0;

  constructor(name: string, writer: TableWriter) {
    this.name = name;
    this.#writer = writer;
  }

  static async open(name: string, aheadBytes?: number): Promise<Table> {
    const options: WriterOptions = {
      ...WRITER_OPTIONS,
      name: { namespace: ["db"], table: name },
      codec: "snappy",
      rowGroupRows: 1_048_576,
      ...(aheadBytes === undefined ? {} : { aheadBytes }),
    };
    const writer = await TableWriter.open(parts, options, []);
    const feeds = Array.from({ length: PARTITIONS }, (_, partition) => feedOf(partition));
    await writer.claim(feeds.map((feed) => ({ feed, offset: 0n })));
    return new Table(name, writer);
  }

  async interval(batch: ColumnBatch): Promise<void> {
    const segments: SealedSegment[] = [];
    const began = systemClock.monotonicMs();
    const count = Math.round((rate * interval) / batch.rowCount);
    for (let n = 0; n < count; n++) {
      const partition = n % PARTITIONS;
      const start = this.#ends[partition] ?? 0n;
      const end = start + BigInt(batch.rowCount);
      this.#ends[partition] = end;
      const segment = { range: { feed: feedOf(partition), start, end }, batch };
      segments.push(segment);
      void this.#writer.ahead.add([{ segment, release: () => undefined }]);
      const due = began + ((n + 1) * batch.rowCount * 1000) / rate;
      await systemClock.sleep(Math.max(0, due - systemClock.monotonicMs()));
    }
    const sealed = systemClock.monotonicMs();
    const result = await this.#writer.flush(this.#writer.newFlush(segments));
    if (result.kind !== "committed") throw new Error(`the flush was ${result.kind}`);
    this.flushMs.push(systemClock.monotonicMs() - sealed);
    this.files = result.fileCount;
  }
}

function feedOf(partition: number) {
  return { clusterId: "c", topic: "t", topicId: "1", partition };
}

try {
  const batch = segmentRows();
  const tables = [await Table.open("at_once", Number.POSITIVE_INFINITY), await Table.open("ahead")];
  for (let round = 0; round <= rounds; round++) {
    for (const table of tables) {
      await table.interval(batch);
      // The first one learns columns.
      if (round === 0) table.flushMs.length = 0;
    }
  }
  for (const { name, flushMs, files } of tables) {
    const sorted = flushMs.toSorted((a, b) => a - b).map((ms) => Math.round(ms));
    const median = sorted[sorted.length >> 1];
    console.log(
      `${name}: sealed to committed, ms: median ${median}, all ${sorted.join(" ")}; ${files} files`,
    );
  }
} finally {
  await parts.encoder.close();
  rmSync(folder, { recursive: true, force: true });
}

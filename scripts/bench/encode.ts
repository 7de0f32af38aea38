/**
 * Parquet encoding alone: decoded 270-byte events with 10 fields -> a file, in the Worker. Prints
 * microseconds per row by codec, the encode kernel beside parquet-wasm, wall clock and CPU of the
 * whole process; how long the event loop
 * was blocked by a job; and the memory after 20 files of 30,000 rows and after one big file.
 *
 * `bun scripts/bench/encode.ts [rows]`, default 100,000; best and median of 7 rounds.
 */
import { systemClock } from "#base/clock.ts";
import { seededRandom } from "#base/random.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import type { EncodeOptions, ParquetCodec, ParquetEncoder } from "#parquet/encoder.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { recordBatch } from "../../test/support/records.ts";
import { event } from "./events.ts";

const RECORDS_PER_BATCH = 1000;
const ROUNDS = 7;
const MB = 1e6;

function segment(rows: number): ColumnBatch {
  const random = seededRandom(1);
  const batches = Array.from({ length: rows / RECORDS_PER_BATCH }, (_, index) => {
    const base = index * RECORDS_PER_BATCH;
    const values = Array.from({ length: RECORDS_PER_BATCH }, (_each, i) => event(random, base + i));
    return recordBatch(values, { baseOffset: BigInt(base) });
  });
  const decoder = createDecoder(DECODER_DEFAULTS);
  decoder.sample(batches.slice(0, 2));
  const builder = decoder.builder();
  for (const batch of batches) builder.decode(batch);
  return builder.seal();
}

/** The fields with ids, as `writer/` resolves them before anything is encoded. */
function numbered(fields: readonly Field[], next: { id: number }): Field[] {
  return fields.map((field): Field => {
    const id = next.id++;
    const { type } = field;
    if (type.kind === "struct") {
      return { ...field, id, type: { ...type, fields: numbered(type.fields, next) } };
    }
    if (type.kind !== "list") return { ...field, id };
    const [element = type.element] = numbered([type.element], next);
    return { ...field, id, type: { ...type, element } };
  });
}

/** Runs `work` and answers the longest time in which the event loop had no turn, in ms. */
async function longestGap(work: Promise<unknown>): Promise<number> {
  let longest = 0;
  let running = true;
  void work.finally(() => {
    running = false;
  });
  for (let last = systemClock.monotonicMs(); running; ) {
    await systemClock.turn();
    const now = systemClock.monotonicMs();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest;
}

/** The bytes are not looked at. */
const drop = (): Promise<void> => Promise.resolve();

function options(codec: ParquetCodec, kernel = true): EncodeOptions {
  return { codec, level: null, rowGroupRows: 122_880, metadata: {}, kernel };
}

/** One round of every codec and writer after the other, so that all see the same machine. */
async function speed(encoder: ParquetEncoder, fields: readonly Field[], batch: ColumnBatch) {
  const cases = (["snappy", "zstd", "lz4", "none"] as const).flatMap((codec) =>
    [true, false].map((kernel) => ({ codec, kernel, wall: [0], cpu: [0], bytes: 0 })),
  );
  for (let round = 0; round <= ROUNDS; round++) {
    for (const each of cases) {
      const before = process.cpuUsage();
      const start = systemClock.monotonicMs();
      const wanted = options(each.codec, each.kernel);
      const slices = [{ batch, rows: null }];
      each.bytes = (await encoder.encode(fields, slices, wanted, drop)).bytes;
      const used = process.cpuUsage(before);
      // The first round compiles and grows.
      if (round === 0) continue;
      each.wall[round - 1] = ((systemClock.monotonicMs() - start) * 1000) / batch.rowCount;
      each.cpu[round - 1] = (used.user + used.system) / batch.rowCount;
    }
  }
  const show = (values: number[]): string => {
    const sorted = values.toSorted((a, b) => a - b);
    return `best ${sorted[0]?.toFixed(2)} median ${sorted[ROUNDS >> 1]?.toFixed(2)}`;
  };
  for (const { codec, kernel, wall, cpu, bytes } of cases) {
    const size = (bytes / batch.rowCount).toFixed(1);
    const writer = kernel ? "kernel" : "parquet-wasm";
    console.log(
      `${codec}, ${writer}: us/row wall ${show(wall)}, CPU ${show(cpu)}; ${size} bytes/row`,
    );
  }
}

const resident = (): string => `${(process.memoryUsage.rss() / MB).toFixed(0)} MB resident`;

const rows = Number(process.argv[2] ?? 100_000);
const batch = segment(rows);
const fields = numbered(batch.fields, { id: 1 });
console.log(`${rows} rows, ${(batch.byteCount / MB).toFixed(0)} MB of columns, ${resident()}`);
const started = systemClock.monotonicMs();
const encoder = createWorkerEncoder({ clock: systemClock });
const first = await encoder.encode(fields, [], options("snappy"), drop);
const startMs = (systemClock.monotonicMs() - started).toFixed(0);
console.log(
  `Worker ready and first (empty, ${first.bytes} bytes) file: ${startMs} ms, ${resident()}`,
);
await speed(encoder, fields, batch);
const idle = (await longestGap(systemClock.sleep(200))).toFixed(1);
const gaps: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  gaps.push(
    await longestGap(encoder.encode(fields, [{ batch, rows: null }], options("snappy"), drop)),
  );
}
const perJob = gaps.map((ms) => ms.toFixed(1)).join(" ");
console.log(`longest block of the event loop, ms: ${perJob} by job, ${idle} while idle`);
Bun.gc(true);
console.log(`before the memory test: ${resident()}`);
const part = segment(30_000);
for (let file = 0; file < 20; file++)
  await encoder.encode(fields, [{ batch: part, rows: null }], options("snappy"), drop);
console.log(`after 20 files of 30,000 rows: ${resident()}`);
await encoder.encode(
  fields,
  Array(20).fill({ batch: part, rows: null }),
  { ...options("snappy"), rowGroupRows: 30_000 },
  drop,
);
console.log(`after one file of 20 row groups of 30,000: ${resident()}`);
await encoder.encode(
  fields,
  Array(20).fill({ batch: part, rows: null }),
  { ...options("snappy"), rowGroupRows: 600_000 },
  drop,
);
console.log(`after one file of one row group of 600,000: ${resident()}`);
await encoder.encode(fields, [], options("snappy"), drop);
Bun.gc(true);
await systemClock.sleep(500);
console.log(`half a second later: ${resident()}`);
await encoder.close();

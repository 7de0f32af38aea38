/**
 * Decoding alone, one core: 270-byte JSON events with 10 fields (strings, longs, doubles, a struct,
 * a list, an optional field) from record bytes to columns. Prints rows per second of
 * wall clock and of CPU time (all threads of the process, garbage collection included).
 *
 * `bun scripts/bench/decode.ts [rows]`, default 300,000; best and median of 15 rounds.
 */
import { seededRandom } from "#base/random.ts";
import { releaseBatch } from "#columns/release.ts";
import { sizesOf } from "#columns/size.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { recordBatch } from "../../test/support/records.ts";

const TYPES = ["view", "click", "purchase", "add_to_cart", "search", "login", "logout", "signup"];
const COUNTRIES = ["US", "DE", "FR", "JP", "BR", "IN", "CN", "GB"];
const SYSTEMS = ["ios", "android", "windows", "macos", "linux"];
const BATCH_ROWS = 1000;
const SEGMENT_BYTES = 2 * 1024 * 1024;
const ROUNDS = 15;

function events(count: number): RecordBytes[] {
  const random = seededRandom(1);
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  let ts = 1_760_000_000_000;
  const batches: RecordBytes[] = [];
  for (let start = 0; start < count; start += BATCH_ROWS) {
    const values: string[] = [];
    for (let i = start; i < start + BATCH_ROWS; i++) {
      ts += below(3);
      values.push(
        JSON.stringify({
          event_id: random.uuid(),
          user_id: below(1e6),
          event_type: TYPES[i % TYPES.length],
          ts,
          url: `https://shop.example.com/p/${below(1e5)}?ref=${i % 97}`,
          amount: below(1e5) / 100,
          country: COUNTRIES[i % COUNTRIES.length],
          device: { os: SYSTEMS[i % 5], version: `${i % 17}.${i % 9}` },
          tags: [`a${i % 5}`, `b${i % 7}`],
          ...(i % 3 === 0 ? { note: `hello world ${i}` } : {}),
        }),
      );
    }
    batches.push(recordBatch(values, { baseOffset: BigInt(start) }));
  }
  return batches;
}

const rows = Number(process.argv[2] ?? 300_000);
const batches = events(rows);
const bytes = batches.reduce((total, batch) => total + batch.payload.length, 0);
const rates: number[] = [];
const cpuRates: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const decoder = createDecoder(DECODER_DEFAULTS);
  decoder.sample(batches.slice(0, 2));
  const started = Bun.nanoseconds();
  const cpu = process.cpuUsage();
  // As the hot buffer does it: segments of 2 MiB, whose memory serves the next ones.
  let decoded = 0;
  let segment = decoder.builder();
  for (const batch of batches) {
    decoded += segment.decode(batch).rows;
    if (segment.usedBytes < SEGMENT_BYTES) continue;
    const sealed = segment.seal();
    segment = decoder.builder(sizesOf(sealed));
    releaseBatch(sealed, segment.memory);
  }
  const used = process.cpuUsage(cpu);
  if (decoded !== rows) console.log(`only ${decoded} of ${rows} rows`);
  rates.push(rows / ((Bun.nanoseconds() - started) / 1e9));
  cpuRates.push(rows / ((used.user + used.system) / 1e6));
}
const size = bytes / rows;
const line = (name: string, values: number[]): string => {
  const sorted = values.toSorted((a, b) => b - a);
  const [best = 0, median = 0] = [sorted[0], sorted[ROUNDS >> 1]];
  const megabytes = Math.round((best * size) / 1e6);
  return `${name}: best ${Math.round(best)}, median ${Math.round(median)} rows/s, ${megabytes} MB/s`;
};
console.log(`decode, ${Math.round(size)} bytes a record`);
console.log(line("wall clock", rates));
console.log(line("CPU time", cpuRates));

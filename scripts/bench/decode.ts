/**
 * Decoding alone, one core: events with 10 fields (strings, longs, doubles, a struct, a list, an optional
 * field), 270 bytes in JSON, from record bytes to columns. Prints rows per second of
 * wall clock and of CPU time (all threads of the process, garbage collection included).
 *
 * `bun scripts/bench/decode.ts [rows] [json|ktable|debezium|avro|protobuf]`, default 300,000 in JSON; best and
 * median of 15 rounds. `ktable`: the same JSON, every tenth record without a value. `debezium`: in envelopes
 * without schemas, of which a tenth are deletes and a tenth tombstones.
 */
import avro from "avsc";
import protobuf from "protobufjs";
import { systemClock } from "#base/clock.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { releaseBatch } from "#columns/release.ts";
import { sizesOf } from "#columns/size.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import type { Format } from "#decode/format.ts";
import { formatOf as formatOfOptions } from "#decode/formatOf.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { columnsOf } from "#decode/protobuf/columns.ts";
import { loadProtobuf } from "#decode/protobuf/parse.ts";
import { SchemaRegistry } from "#decode/registry/registry.ts";
import { createRegistryFake } from "../../test/fakes/schemaRegistry.ts";
import { type RecordInput, recordBatch } from "../../test/support/records.ts";

const TYPES = ["view", "click", "purchase", "add_to_cart", "search", "login", "logout", "signup"];
const COUNTRIES = ["US", "DE", "FR", "JP", "BR", "IN", "CN", "GB"];
const SYSTEMS = ["ios", "android", "windows", "macos", "linux"];
const BATCH_ROWS = 1000;
const SEGMENT_BYTES = 2 * 1024 * 1024;
const ROUNDS = 15;

const FILE = `syntax = "proto3"; message Event {
  string event_id = 1; int64 user_id = 2; string event_type = 3; int64 ts = 4; string url = 5;
  double amount = 6; string country = 7; message Device { string os = 1; string version = 2; }
  Device device = 8; repeated string tags = 9; optional string note = 10; }`;

type Encode = (event: Record<string, unknown>) => string | Uint8Array;

/** The same event in Avro. */
const SCHEMA = {
  type: "record",
  name: "Event",
  fields: [
    { name: "event_id", type: "string" },
    { name: "user_id", type: "long" },
    { name: "event_type", type: "string" },
    { name: "ts", type: { type: "long", logicalType: "timestamp-millis" } },
    { name: "url", type: "string" },
    { name: "amount", type: "double" },
    { name: "country", type: "string" },
    {
      name: "device",
      type: {
        type: "record",
        name: "Device",
        fields: [
          { name: "os", type: "string" },
          { name: "version", type: "string" },
        ],
      },
    },
    { name: "tags", type: { type: "array", items: "string" } },
    { name: "note", type: ["null", "string"], default: null },
  ],
} as const;

/** What an event is in a record, and how it is decoded: Avro as Confluent frames it, its schema looked for in each batch. */
async function formatOf(name: string): Promise<readonly [Encode, DecoderOptions, Format?]> {
  if (name === "avro") {
    const server = createRegistryFake();
    const id = server.register("events-value", JSON.stringify(SCHEMA));
    const options = { ...DECODER_DEFAULTS, format: name } as const;
    const log = silentLogger;
    const parts = { clock: systemClock, random: seededRandom(1), log, observe: ignoreObservations };
    const registry = new SchemaRegistry(
      {
        urls: ["http://registry"],
        auth: { type: "none" },
        ca: null,
        cacheTtlMs: 300_000,
        strategy: "topic-name",
        onMissing: "dead_letter",
      },
      { ...parts, http: server.http },
    );
    const type = avro.Type.forSchema(SCHEMA as never);
    const encode = (event: Record<string, unknown>): Uint8Array =>
      new Uint8Array([0, 0, 0, 0, id, ...type.toBuffer({ note: null, ...event })]);
    return [encode, options, formatOfOptions(options, registry)];
  }
  if (name === "ktable" || name === "debezium") {
    const mode = name === "ktable" ? name : "cdc";
    const changes = {
      mode,
      keyFields: ["user_id"],
      keyFormat: "json",
      onDelete: "delete",
      opField: null,
    } as const;
    const options = { ...DECODER_DEFAULTS, changes };
    return [name === "ktable" ? JSON.stringify : enveloped, options];
  }
  if (name !== "protobuf") return [JSON.stringify, DECODER_DEFAULTS];
  const message = (await loadProtobuf()).file("event.proto", FILE, () => null).message(null);
  const type = protobuf.parse(FILE, { keepCase: true }).root.lookupType("Event");
  const fields = columnsOf(message);
  const options = { ...DECODER_DEFAULTS, format: name, message, fields, infer: false } as const;
  return [(event) => type.encode(event).finish(), options];
}

/** A change of an event as Debezium writes it, every tenth a delete. */
function enveloped(event: Record<string, unknown>): string {
  const isDelete = Number(event["user_id"]) % 10 === 1;
  const names = { version: "3.7.0.Final", connector: "postgresql", name: "shop", db: "shop" };
  const position = { schema: "public", table: "events", txId: 4711, lsn: 99_887_766, xmin: null };
  return JSON.stringify({
    before: isDelete ? event : null,
    after: isDelete ? null : event,
    source: { ...names, ts_ms: event["ts"], snapshot: "false", sequence: "[]", ...position },
    transaction: null,
    op: isDelete ? "d" : "u",
    ts_ms: event["ts"],
  });
}

function events(count: number, encode: Encode, tombstones: boolean): RecordBytes[] {
  const random = seededRandom(1);
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  let ts = 1_760_000_000_000;
  const batches: RecordBytes[] = [];
  for (let start = 0; start < count; start += BATCH_ROWS) {
    const values: RecordInput[] = [];
    for (let i = start; i < start + BATCH_ROWS; i++) {
      ts += below(3);
      const userId = below(1e6);
      const hasValue = !tombstones || i % 10 !== 3;
      const value = () =>
        encode({
          event_id: random.uuid(),
          user_id: userId,
          event_type: TYPES[i % TYPES.length],
          ts,
          url: `https://shop.example.com/p/${below(1e5)}?ref=${i % 97}`,
          amount: below(1e5) / 100,
          country: COUNTRIES[i % COUNTRIES.length],
          device: { os: SYSTEMS[i % 5], version: `${i % 17}.${i % 9}` },
          tags: [`a${i % 5}`, `b${i % 7}`],
          ...(i % 3 === 0 ? { note: `hello world ${i}` } : {}),
        });
      values.push({
        key: tombstones ? JSON.stringify({ user_id: userId }) : null,
        value: hasValue ? value() : null,
      });
    }
    batches.push(recordBatch(values, { baseOffset: BigInt(start) }));
  }
  return batches;
}

const rows = Number(process.argv[2] ?? 300_000);
const format = process.argv[3] ?? "json";
const [encode, options, made] = await formatOf(format);
const batches = events(rows, encode, options.changes !== null);
const bytes = batches.reduce((total, batch) => total + batch.payload.length, 0);
const rates: number[] = [];
const cpuRates: number[] = [];
// One table: its straight reader is made once, in a turn of the event loop.
const decoder = createDecoder(options, made);
const [first] = batches;
if (first !== undefined) await decoder.prepare?.(first);
if (first !== undefined) await decoder.prepare?.(first);
if (decoder.needsSample) decoder.sample(batches.slice(0, 2));
for (let round = 0; round < ROUNDS; round++) {
  await Bun.sleep(1);
  const started = Bun.nanoseconds();
  const cpu = process.cpuUsage();
  // As the hot buffer does it: segments of 2 MiB, whose memory serves the next ones.
  let decoded = 0;
  let segment = decoder.builder();
  for (const batch of batches) {
    await decoder.prepare?.(batch);
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
console.log(`decode ${format}, ${Math.round(size)} bytes a record`);
console.log(line("wall clock", rates));
console.log(line("CPU time", cpuRates));

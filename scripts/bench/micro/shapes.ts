/**
 * Decoding and encoding by shape of event: 5, 10, 30 and 200 columns; 100 bytes to 10 KB. Record
 * bytes to columns on the event loop, columns to a Snappy Parquet file in the Worker.
 */
import { systemClock } from "#base/clock.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { recordBatch } from "../../../test/support/records.ts";

/** One line of the table; the best of the rounds. */
export interface ShapeFigures {
  readonly columns: number;
  readonly "bytes/event": number;
  readonly "decode rows/s": number;
  readonly "decode MB/s": number;
  readonly "encode rows/s": number;
  readonly "encode CPU us/row": number;
  readonly "Parquet bytes/row": number;
}

interface Shape {
  readonly columns: number;
  readonly bytes: number;
}

const SHAPES: readonly Shape[] = [
  { columns: 5, bytes: 270 },
  { columns: 10, bytes: 270 },
  { columns: 30, bytes: 750 },
  { columns: 200, bytes: 5000 },
  { columns: 5, bytes: 100 },
  { columns: 10, bytes: 1024 },
  { columns: 10, bytes: 10_240 },
];
const RECORDS_PER_BATCH = 500;
const BYTES_PER_SHAPE = 48_000_000;
const ROUNDS = 5;

/** Measures each shape. */
export async function measureShapes(): Promise<ShapeFigures[]> {
  const figures: ShapeFigures[] = [];
  for (const shape of SHAPES) figures.push(await measure(shape));
  return figures;
}

async function measure(shape: Shape): Promise<ShapeFigures> {
  const batches = batchesOf(shape);
  const rows = batches.length * RECORDS_PER_BATCH;
  const bytes = batches.reduce((sum, batch) => sum + batch.payload.length, 0);
  let decodeMs = Number.POSITIVE_INFINITY;
  let decoded: ColumnBatch | undefined;
  const decoder = createDecoder(DECODER_DEFAULTS);
  decoder.sample(batches.slice(0, 2));
  for (let round = 0; round < ROUNDS; round++) {
    // A straight reader is there after a turn of the event loop.
    await Bun.sleep(1);
    const began = systemClock.monotonicMs();
    const builder = decoder.builder();
    for (const batch of batches) builder.decode(batch);
    decoded = builder.seal();
    decodeMs = Math.min(decodeMs, systemClock.monotonicMs() - began);
  }
  if (decoded?.rowCount !== rows) throw new Error(`${decoded?.rowCount} of ${rows} rows`);
  const encoded = await encode(decoded);
  return {
    columns: shape.columns,
    "bytes/event": Math.round(bytes / rows),
    "decode rows/s": Math.round((rows / decodeMs) * 1000),
    "decode MB/s": Math.round(bytes / decodeMs / 1000),
    "encode rows/s": Math.round((rows / encoded.wallMs) * 1000),
    "encode CPU us/row": Number((encoded.cpuUs / rows).toFixed(2)),
    "Parquet bytes/row": Math.round(encoded.bytes / rows),
  };
}

async function encode(batch: ColumnBatch) {
  const { schemas } = newTableMetadata({
    uuid: crypto.randomUUID(),
    location: "/table",
    fields: batch.fields,
    spec: () => ({ specId: 0, fields: [] }),
    formatVersion: 2,
    properties: {},
    timestampMs: 0,
  });
  const fields = schemas[0]?.fields ?? [];
  const options = { codec: "snappy", level: null, rowGroupRows: 122_880, metadata: {} } as const;
  const encoder = createWorkerEncoder({ clock: systemClock });
  const best = { wallMs: Number.POSITIVE_INFINITY, cpuUs: Number.POSITIVE_INFINITY, bytes: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const began = systemClock.monotonicMs();
    const cpu = process.cpuUsage();
    const file = await encoder.encode(fields, [{ batch, rows: null }], options, async () => {});
    const used = process.cpuUsage(cpu);
    best.wallMs = Math.min(best.wallMs, systemClock.monotonicMs() - began);
    best.cpuUs = Math.min(best.cpuUs, used.user + used.system);
    best.bytes = file.bytes;
  }
  await encoder.close();
  return best;
}

/** Strings, longs and doubles in turn; one string takes up the rest of the size. */
function batchesOf({ columns, bytes }: Shape): RecordBytes[] {
  const count = Math.max(4, Math.floor(BYTES_PER_SHAPE / bytes / RECORDS_PER_BATCH));
  return Array.from({ length: count }, (_, batch) => {
    const base = batch * RECORDS_PER_BATCH;
    const values = Array.from({ length: RECORDS_PER_BATCH }, (_each, i) => {
      const n = base + i;
      const fields = Array.from({ length: columns - 1 }, (_field, column) => [
        `c${column}`,
        [n * (column + 1), ((n * 7919) % 100_000) / 8, `v${(n * 31 + column) % 5000}`][column % 3],
      ]);
      const start = JSON.stringify(Object.fromEntries(fields)).slice(0, -1);
      const room = Math.max(1, bytes - start.length - ',"pad":""}'.length);
      return `${start},"pad":"${String(n)
        .repeat(Math.ceil(room / String(n).length))
        .slice(0, room)}"}`;
    });
    return recordBatch(values, { baseOffset: BigInt(base) });
  });
}

/**
 * Proof about fan-out: one flush whose rows belong to 10,000 Iceberg partitions is written, file by
 * file, by the shipped writer, encoder and local storage; memory is that of this process.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";
import { temporaryFolder } from "../services/process.ts";
import { FEED, openWriters } from "./writers.ts";

/** What {@link proveFanOut} found. */
export interface FanOutReport {
  readonly partitions: number;
  readonly rows: number;
  /** Bytes of the flush's columns, MiB. */
  readonly columnsMb: number;
  readonly seconds: number;
  readonly files: number;
  readonly rowsListed: number;
  /** Resident memory before the flush and at most while it ran, MiB. */
  readonly beforeMb: number;
  readonly peakMb: number;
}

const MB = 1024 * 1024;
const SEGMENTS = 16;
const COLUMNS = 15;

const FIELDS: readonly Field[] = [
  { id: 1, name: "n", required: true, type: { kind: "long" } },
  ...Array.from(
    { length: COLUMNS - 1 },
    (_, index): Field => ({
      id: index + 2,
      name: `c${index}`,
      required: false,
      type: { kind: index % 2 === 0 ? "string" : "double" },
    }),
  ),
];

/** Writes `rows` rows of 15 columns, spread over `partitions` by `truncate`, in one flush. */
export async function proveFanOut(partitions: number, rows: number): Promise<FanOutReport> {
  const folder = await temporaryFolder("fan-out");
  const warehouse = join(folder, "warehouse");
  mkdirSync(warehouse);
  const catalog = { type: "file", warehouse, readOnly: false } as const;
  const spec = ["n"];
  const open = await openWriters({ folder, catalog, count: 1, fields: FIELDS, spec });
  const [writer] = open.writers;
  if (writer === undefined) throw new Error("no writer");
  await writer.claim([{ feed: FEED, offset: 0n }]);
  const perSegment = Math.ceil(rows / SEGMENTS);
  const segments = Array.from({ length: SEGMENTS }, (_, index) => {
    const start = BigInt(index * perSegment);
    const range = { feed: FEED, start, end: start + BigInt(perSegment) };
    return { range, batch: batchOf(index * perSegment, perSegment, partitions) };
  });
  Bun.gc(true);
  const beforeMb = resident();
  let peakMb = beforeMb;
  const timer = setInterval(() => {
    peakMb = Math.max(peakMb, resident());
  }, 20);
  const began = performance.now();
  const flush = writer.newFlush(segments);
  const result = await writer.flush(flush);
  clearInterval(timer);
  if (result.kind !== "committed") throw new Error(`flush: ${result.kind}`);
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  const summary = writer.lastSeen.metadata.snapshots.at(-1)?.summary ?? {};
  await open.close();
  return {
    partitions,
    rows: SEGMENTS * perSegment,
    columnsMb: Math.round(segments.reduce((sum, { batch }) => sum + batch.byteCount, 0) / MB),
    seconds,
    files: Number(summary["added-data-files"]),
    rowsListed: Number(summary["added-records"]),
    beforeMb,
    peakMb,
  };
}

function resident(): number {
  return Math.round(process.memoryUsage.rss() / MB);
}

function batchOf(first: number, rows: number, partitions: number): ColumnBatch {
  const builders = FIELDS.map((field) => new ColumnBuilder(field));
  for (let row = 0; row < rows; row++) {
    const n = first + row;
    builders.forEach((builder, index) => {
      if (index === 0) builder.appendSafeLong((n * 7919) % partitions);
      else if (index % 2 === 1) {
        const text = Buffer.from(`value ${n} of column ${index}`);
        builder.appendBytes(text, 0, text.length);
      } else builder.appendFloat(n / index);
    });
  }
  return sealColumns(builders, rows);
}

/** Files of every codec that we write, read back by our own reader. */
import { expect, test } from "bun:test";
import { createInlineEncoder } from "#parquet/encode.ts";
import { type ParquetBytes, readColumns } from "#parquet/readColumns.ts";
import { rejection } from "../../support/rejection.ts";
import { allRows, batchOf, bytesOf, field, whole } from "./rows.ts";

/** As `iceberg.compression` has them. */
const CODECS = ["none", "snappy", "gzip", "lz4", "zstd", "brotli"] as const;
const FIELDS = [field("n", { kind: "long" }), field("s", { kind: "string" })];
const ROWS = Array.from({ length: 5000 }, (_, n) => [BigInt(n % 17), `text ${n % 100} ${n}`]);

/** A file with many rows. */
async function written(codec: (typeof CODECS)[number]): Promise<Uint8Array> {
  const options = { codec, level: null, rowGroupRows: 2048, metadata: {} };
  const batches = [allRows(batchOf(FIELDS, ROWS))];
  return bytesOf(
    await whole((sink) => createInlineEncoder().encode(FIELDS, batches, options, sink)),
  );
}

function inMemory(bytes: Uint8Array): ParquetBytes {
  return {
    byteLength: bytes.length,
    slice: async (start, end = bytes.length) => new Uint8Array(bytes.slice(start, end)).buffer,
  };
}

async function rowsIn(bytes: Uint8Array): Promise<unknown[]> {
  const rows: unknown[] = [];
  const wanted = FIELDS.map(({ id }) => ({ id, names: [] }));
  for await (const [n, s] of readColumns(inMemory(bytes), wanted)) {
    for (let row = 0; row < (n?.length ?? 0); row++) rows.push([n?.[row], s?.[row]]);
  }
  return rows;
}

for (const codec of CODECS) {
  test(`files of codec ${codec} are read`, async () => {
    const bytes = await written(codec);
    expect(await rowsIn(bytes)).toEqual(ROWS);
  });
}

for (const codec of ["lz4", "brotli"] as const) {
  test(`damaged pages of codec ${codec} are refused`, async () => {
    const bytes = await written(codec);
    bytes.fill(0, 40, 400);
    expect(await rejection(rowsIn(bytes))).toMatchObject({ kind: "storage_corrupt" });
  });
}

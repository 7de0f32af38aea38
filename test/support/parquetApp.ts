/** A program that encodes ten rows in the Worker and prints the row count: compiled by a test. */
import { systemClock } from "#base/clock.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { allRows, batchOf, field } from "../unit/parquet/rows.ts";

const encoder = createWorkerEncoder({ clock: systemClock });
const fields = [field("n", { kind: "int" }), field("u", { kind: "uuid" })];
const rows = Array.from({ length: 10 }, (_, index) => [index, new Uint8Array(16)]);
const options = { codec: "zstd", level: null, rowGroupRows: 5, metadata: {} } as const;
let bytes = 0;
const file = await encoder.encode(
  fields,
  [allRows(batchOf(fields, rows))],
  options,
  async (chunk) => {
    bytes += chunk.length;
  },
);
await encoder.close();
if (bytes !== file.bytes) throw new Error("the sink did not get the whole file");
console.log(JSON.stringify({ rows: file.rowCount, groups: file.splitOffsets.length }));

/** The footer of parquet-wasm: found whatever the chunks, amended by insertion only. */
import { expect, test } from "bun:test";
import { parquetMetadata } from "hyparquet";
import { annotateUuids, readFooter, splitFooter } from "#parquet/footer.ts";
import { batchOf, bytesOf, encodeWhole, everyTypeRows, field } from "./rows.ts";

const OPTIONS = {
  codec: "snappy",
  level: null,
  rowGroupRows: 3,
  metadata: { k: "v" },
  kernel: false,
} as const;

test("the footer is found in one chunk, in many, and when it straddles them", async () => {
  const { fields, rows } = everyTypeRows();
  const whole = bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], OPTIONS));
  const expected = splitFooter([whole]).footer;
  for (const size of [1, 7, 8, 1000, whole.length - 5]) {
    const count = Math.ceil(whole.length / size);
    const chunks = Array.from({ length: count }, (_, i) =>
      whole.subarray(i * size, (i + 1) * size),
    );
    const { body, footer } = splitFooter(chunks);
    expect(Buffer.compare(footer, expected)).toBe(0);
    expect(Buffer.compare(Buffer.concat([...body, footer]), whole)).toBe(0);
  }
});

test("bytes that do not end like a Parquet file are refused", () => {
  expect(() => splitFooter([new Uint8Array(100)])).toThrow("Parquet file");
  expect(() => splitFooter([new Uint8Array(3)])).toThrow("longer than its footer");
});

test("the annotation changes the uuid columns' logical type and nothing else", async () => {
  const bare = [field("id", { kind: "fixed", length: 16 }), field("n", { kind: "long" })];
  const rows = Array.from({ length: 7 }, (_, i) => [new Uint8Array(16).fill(i), BigInt(i)]);
  const { footer } = splitFooter([
    bytesOf(await encodeWhole(bare, [batchOf(bare, rows)], OPTIONS)),
  ]);
  const [id] = bare;
  const amended = annotateUuids(footer, new Set([id?.id ?? 0]));
  const before = parquetMetadata(footer);
  const after = parquetMetadata(amended);
  expect(amended.length).toBe(footer.length + 4);
  expect(after.schema[1]).toEqual({ ...before.schema[1], logical_type: { type: "UUID" } } as never);
  const rest = { ...after, schema: after.schema.toSpliced(1, 1), metadata_length: 0 };
  const chunks = (metadata: typeof before): unknown =>
    metadata.row_groups.map((group) =>
      group.columns.map((column) => ({
        ...column,
        meta_data: { ...column.meta_data, statistics: 0 },
      })),
    );
  expect(chunks(after)).toEqual(chunks(before));
  expect({ ...rest, row_groups: 0 }).toEqual({
    ...before,
    schema: before.schema.toSpliced(1, 1),
    metadata_length: 0,
    row_groups: 0,
  } as never);
  expect(readFooter(amended)).toEqual(readFooter(footer));
});

test("page indexes stay where the footer says they are", async () => {
  const fields = [field("u", { kind: "uuid" }), field("s", { kind: "string" })];
  const rows = Array.from({ length: 9 }, (_, i) => [new Uint8Array(16).fill(i), `text ${i}`]);
  const bytes = bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], OPTIONS));
  const columns = parquetMetadata(bytes).row_groups.flatMap((group) => group.columns);
  expect(columns.length).toBe(6);
  for (const column of columns) {
    const start = Number(column.column_index_offset);
    const end = Number(column.offset_index_offset) + Number(column.offset_index_length);
    expect(start).toBeGreaterThan(4);
    expect(end).toBeLessThanOrEqual(bytes.length - parquetMetadata(bytes).metadata_length - 8);
    // A column index begins with field 1, a list of booleans: null_pages.
    expect(bytes[start]).toBe(0x19);
  }
});

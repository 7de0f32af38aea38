/**
 * A row as JSON is what SQL answers of the same row.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writePortableJson } from "#base/json.ts";
import type { FeedKey } from "#base/offsets.ts";
import { rowJson } from "#columns/valueJson.ts";
import type { Database } from "#sql/database.ts";
import { HotScan } from "#sql/duckdb/hotScan.ts";
import { rowsByColumns } from "#sql/hotRows.ts";
import { jsonText } from "#sql/output.ts";
import { batchOf, everyTypeRows } from "../parquet/rows.ts";
import { openDatabase } from "../sql/engine.ts";

let database: Database;
beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

test("of every type, in the words of /query", () => {
  const every = everyTypeRows();
  // DuckDB takes fewer years of nanoseconds than the format has.
  const isKept = every.fields.map(({ type }) => type.kind !== "timestamp_ns");
  const fields = every.fields.filter((_, at) => isKept[at]);
  const rows = every.rows.map((row) => row.filter((_, at) => isKept[at]));
  const batch = batchOf(fields, rows);
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rows.length);
  const lent = { id: 0, key: "k" as FeedKey, start: 0n, columns: batch.columns, watermark };
  const answer = database.run({
    admitted: database.admit("SELECT * FROM t"),
    views: [{ schema: "", name: "t", select: `SELECT * FROM ${HotScan.select(0)}` }],
    hot: rowsByColumns([lent]),
    ...{ parameters: [], form: "json", rowsMax: 100, bytesMax: 1e9 },
  });
  const parsed = JSON.parse(jsonText(answer)) as { readonly rows: readonly unknown[][] };
  for (const [row, expected] of parsed.rows.entries()) {
    const found = JSON.parse(writePortableJson(rowJson(batch.columns, row))) as object;
    const named = expected.map((value, at) => [fields[at]?.name ?? "", value]);
    // JSON.stringify knows no -0.
    expect(found).toEqual(JSON.parse(JSON.stringify(Object.fromEntries(named))));
  }
});

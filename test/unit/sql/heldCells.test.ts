/** Placeholders of values that changes leave as they were, as SQL finds them: the same that columns find. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { FeedKey } from "#base/offsets.ts";
import type { Type } from "#columns/schema.ts";
import { isUnavailable, PLACEHOLDER, PLACEHOLDER_UUID } from "#columns/unavailable.ts";
import type { Database } from "#sql/database.ts";
import { isHeld } from "#sql/heldCells.ts";
import { rowsBySegment, selectHot } from "#sql/hotRows.ts";
import { batchOf, field, listOf, mapOf, structOf } from "../parquet/rows.ts";
import { openDatabase, ownStatement } from "./engine.ts";

let database: Database;
beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

const TEXT = PLACEHOLDER.toString();
const UUID = Buffer.from(PLACEHOLDER_UUID.replaceAll("-", ""), "hex");
const NUMBERS = [...PLACEHOLDER];
const STRING: Type = { kind: "string" };
const INT: Type = { kind: "int" };

const TEXTS = [
  TEXT,
  PLACEHOLDER_UUID,
  PLACEHOLDER.toString("base64"),
  JSON.stringify({ a: TEXT }),
  JSON.stringify({ a: JSON.stringify([TEXT]) }),
  ...["", "x", `see ${TEXT}`, TEXT.slice(1), `${TEXT}s`, JSON.stringify({ a: `${TEXT}s` })],
];

const CASES: readonly (readonly [type: Type, values: readonly unknown[]])[] = [
  [STRING, TEXTS],
  [{ kind: "binary" }, [PLACEHOLDER, PLACEHOLDER.subarray(1), Buffer.from("x")]],
  [{ kind: "uuid" }, [UUID, Buffer.alloc(16)]],
  [INT, [95]],
  [listOf(STRING), [[], [TEXT], ["a", TEXT], [null, "a"], ...TEXTS.map((text) => [text])]],
  [listOf({ kind: "uuid" }), [[UUID], [Buffer.alloc(16)]]],
  [listOf({ kind: "binary" }), [[PLACEHOLDER], [Buffer.alloc(3)]]],
  [listOf(INT), [NUMBERS, NUMBERS.slice(1), [...NUMBERS, 1], [], [null]]],
  [listOf({ kind: "long" }), [NUMBERS.map(BigInt), [1n]]],
  [listOf({ kind: "date" }), [NUMBERS, NUMBERS.toReversed()]],
  [listOf({ kind: "double" }), [NUMBERS]],
  [mapOf(STRING, STRING), [[[TEXT, TEXT]], [["a", TEXT]], [[TEXT, null]], [["a", "b"]], []]],
  [mapOf(STRING, INT), [[[TEXT, 1]], [["a", 1]]]],
  [structOf({ a: INT, "b'c": STRING }), [{ a: 1, "b'c": TEXT }, { a: 1, "b'c": "x" }, { a: 1 }]],
  [listOf(structOf({ s: STRING })), [[{ s: "a" }, { s: TEXT }], [{ s: "a" }], []]],
  [listOf(listOf(listOf(STRING))), [[[["a"], [TEXT]]], [[["a"]], []]]],
  [listOf(listOf(INT)), [[NUMBERS], [[1], NUMBERS], [[1]]]],
];

test("a value is a placeholder in SQL where it is one in its column, whatever its type", () => {
  for (const [type, values] of CASES) {
    const column = field("x", type);
    const { columns, rowCount } = batchOf(
      [column],
      [...values, null].map((value) => [value]),
    );
    const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rowCount);
    const segment = { id: 0, key: "f" as FeedKey, start: 0n, columns, watermark };
    const select = `SELECT ${isHeld("x", type) ?? "false"} AS held FROM (${selectHot([column], [column], 0)})`;
    const { rows } = database.run({
      admitted: ownStatement("SELECT held::text FROM t"),
      views: [{ schema: "", name: "t", select }],
      hot: rowsBySegment([segment]),
      parameters: [],
      ...({ form: "text", rowsMax: 1e6, bytesMax: 1e9 } as const),
    });
    const [cells] = columns;
    if (cells === undefined) throw new Error("there is one column");
    // A NULL is none, whatever lies beside it.
    const wanted = values.map((_, row) => [String(isUnavailable(cells, row))]);
    expect([type, rows as unknown[]]).toEqual([type, [...wanted, ["false"]]]);
  }
});

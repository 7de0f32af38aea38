/** Changes in memory that leave values as they were: what a model of the source's rows says, whatever came before. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { FeedKey } from "#base/offsets.ts";
import type { LentSegment } from "#buffer/lease.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import { PLACEHOLDER } from "#columns/unavailable.ts";
import type { Database } from "#sql/database.ts";
import { lacksValues, selectChanged } from "#sql/hotChanges.ts";
import { rowsBySegment } from "#sql/hotRows.ts";
import { selectRows } from "#sql/selectRows.ts";
import { NO_FILES } from "#sql/snapshotFiles.ts";
import { batchOf, bytesOf, encodeWhole, field, listOf } from "../parquet/rows.ts";
import { newFolder, openDatabase } from "./engine.ts";

const folder = newFolder();
let database: Database;
beforeAll(async () => {
  database = await openDatabase();
  database.allow([folder]);
});
afterAll(() => database.close());

const COLUMNS = [
  { ...field("k", { kind: "string" }, true), id: 1 },
  { ...field("v", { kind: "long" }), id: 2 },
  { ...field("t", { kind: "string" }), id: 3 },
  { ...field("l", listOf({ kind: "int" })), id: 4 },
];

/** undefined: a change leaves it as it was; of a row, that nobody knows it. */
interface Values {
  readonly v: bigint;
  readonly t: string | null | undefined;
  readonly l: readonly number[] | null | undefined;
}

type Does = "put" | "delete" | "truncate";
type Step = readonly [k: string, does: Does, values: Values];

/** The rows that changes leave. */
class Model {
  readonly rows = new Map<string, Values>();

  step([k, does, { v, t, l }]: Step): void {
    if (does === "truncate") this.rows.clear();
    else if (does === "delete") this.rows.delete(k);
    else {
      const before = this.rows.get(k);
      const whole = { t: t === undefined ? before?.t : t, l: l === undefined ? before?.l : l };
      this.rows.set(k, { v, ...whole });
    }
  }

  /** Those that are known. */
  get shown(): (string | null)[][] {
    return [...this.rows]
      .filter(([, { t, l }]) => t !== undefined && l !== undefined)
      .map(([k, { v, t, l }]) => [k, `${v}`, t ?? null, l ? JSON.stringify(l) : null])
      .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  }
}

function cellsOf([k, does, { v, t, l }]: Step): unknown[] {
  if (does === "truncate") return ["", null, null, null, CHANGE.truncate];
  if (does === "delete") return [k, null, null, null, CHANGE.delete];
  const held = { t: PLACEHOLDER.toString(), l: [...PLACEHOLDER] };
  const isPartial = t === undefined || l === undefined;
  const change = isPartial ? CHANGE.partial : CHANGE.put;
  return [k, v, t === undefined ? held.t : t, l === undefined ? held.l : l, change];
}

function segmentOf(steps: readonly Step[]): LentSegment {
  const { columns, rowCount } = batchOf([...COLUMNS, CHANGE_TYPE], steps.map(cellsOf));
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rowCount);
  return { id: 0, key: "f" as FeedKey, start: 0n, columns, watermark };
}

let files = 0;

async function shownOf(stored: readonly Step[], segments: readonly LentSegment[]) {
  const path = join(folder, `${files++}.parquet`);
  const options = { codec: "none", level: null, rowGroupRows: 100, metadata: {} } as const;
  const batch = batchOf(
    COLUMNS,
    stored.map(([k, , { v, t, l }]) => [k, v, t, l]),
  );
  writeFileSync(path, bytesOf(await encodeWhole(COLUMNS, [batch], options)));
  const data = [{ path, location: path, sequence: 1n, partition: "" }];
  const rows = rowsBySegment(segments);
  const ofTable = selectRows(COLUMNS, { ...NO_FILES, data }, database.columnsOfFiles([path]), 0);
  const select = selectChanged(ofTable, {
    ...{ columns: COLUMNS, key: ["k"], order: null, rows, first: 0 },
    hasPartial: lacksValues({ segments, key: ["k"], order: null }),
  });
  const admitted = database.admit("SELECT k, v, t, to_json(l) FROM t ORDER BY k");
  const views = [{ schema: "", name: "t", select }];
  const limits = { form: "text", rowsMax: 1e6, bytesMax: 1e9 } as const;
  return database.run({ admitted, views, hot: rows, parameters: [], ...limits }).rows;
}

const key = fc.constantFrom("a", "b", "c");
const text = fc.constantFrom(
  "x",
  "",
  `see ${PLACEHOLDER.toString()}`,
  PLACEHOLDER.toString(),
  null,
);
const list = fc.option(fc.array(fc.nat(3), { maxLength: 2 }));
const v = fc.bigInt({ min: 0n, max: 99n });
const whole: fc.Arbitrary<Values> = fc.record({ v, t: text, l: list });
const values: fc.Arbitrary<Values> = fc.record({
  v,
  // What is left as it was beside a text like the placeholder: nobody could tell them apart.
  t: fc.oneof(
    text.filter((each) => each !== PLACEHOLDER.toString()),
    fc.constant(undefined),
  ),
  l: fc.option(list, { nil: undefined }),
});
const does: fc.Arbitrary<Does> = fc.oneof(
  { weight: 12, arbitrary: fc.constant("put" as const) },
  { weight: 3, arbitrary: fc.constant("delete" as const) },
  { weight: 1, arbitrary: fc.constant("truncate" as const) },
);
const step = fc.tuple(key, does, fc.oneof(values, whole));

test("a change that lacks values has those of the row before it, in memory or in the table; without one it is not shown", async () => {
  const table = fc.uniqueArray(fc.tuple(key, fc.constant("put" as const), whole), {
    selector: ([k]) => k,
  });
  const flow = fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 3 });
  const property = fc.asyncProperty(table, flow, async (stored, batches) => {
    const model = new Model();
    for (const each of [...stored, ...batches.flat()]) model.step(each);
    const found = await shownOf(stored, batches.map(segmentOf));
    expect(found as unknown[]).toEqual(model.shown);
  });
  await fc.assert(property, { numRuns: 80 });
});

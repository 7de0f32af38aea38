/** Rows that keep the ids of those that they replace, as files have them and as the key index is told. */
import { expect, test } from "bun:test";
import type { Field } from "#columns/schema.ts";
import type { Attempt } from "#commit/change.ts";
import { Ledger } from "#commit/ledger.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import { NO_ROW_ID } from "#keyindex/keptRowIds.ts";
import type { KeySet, PlacedFile } from "#keyindex/port.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { parquetBytes, readRows } from "#parquet/readColumns.ts";
import { idColumn, idsIn } from "#writer/rowIdColumn.ts";
import { writingWithIds } from "#writer/rowIds.ts";
import { FEED, MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";
import { SCHEMA } from "../../support/tableOf.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";
import { batchOf } from "../parquet/rows.ts";

/** Keys whose numbers are these. */
function keySet(keys: readonly bigint[]): KeySet {
  return { count: keys.length, words: BigUint64Array.from(keys.flatMap((key) => [key, 0n])) };
}

/** Rows on two days of which those with odd ids are written, by each attempt; `idOf` says what an attempt's head has. */
async function rig(
  idOf: (key: bigint) => number,
  isNew: readonly bigint[] = [],
  more: readonly Field[] = [],
) {
  const maintained = new MaintainedTable();
  await maintained.create({}, 3);
  const head = await maintained.head();
  const schemas = head.metadata.schemas.map((each) => ({
    ...each,
    fields: [...each.fields, ...more],
  }));
  const table = { ...head, metadata: { ...head.metadata, schemas } };
  const parts = { ...maintained.parts, encoder: createInlineEncoder() };
  const fields = SCHEMA.fields.map((field) => ({ ...field, required: false }));
  const rows = Array.from({ length: 9 }, (_, n) => [BigInt(n), 20_000 + (n % 4 > 1 ? 1 : 0), "x"]);
  const selected = Uint32Array.of(1, 3, 5, 7);
  const keys = keySet([...selected].map(BigInt));
  const flush = {
    ...{ feed: FEED, start: 0n, end: 9n, leaderEpoch: undefined },
    batches: [batchOf(fields, rows)],
    selected: [
      {
        rows: selected,
        keys,
        isNew: Uint8Array.from(selected, (n) => (isNew.includes(BigInt(n)) ? 1 : 0)),
      },
    ],
  };
  const rowIds = async (_: unknown, { count, words }: KeySet): Promise<Float64Array> =>
    Float64Array.from({ length: count }, (_each, n) => idOf(words[2 * n] ?? 0n));
  const values = () => Promise.reject(new Error("no row lacks values"));
  const options = { ...WRITER_OPTIONS, ...maintained.options, key: ["id"] };
  const context = { parts, options, table, index: { rowIds, values }, keepsIds: true };
  const write = writingWithIds({ ...context, flushes: [flush] }, new Set([0]));
  const ledger = new Ledger("00000000-0000-4000-8000-000000000000");
  const attempt = { parts, head: table, ledger } as unknown as Attempt;
  return { write: () => write(attempt), storage: maintained.storage };
}

/** What files hold: the id of each row by its key, and what the index is told of them. */
async function contentOf(
  storage: MaintainedTable["storage"],
  placed: readonly PlacedFile[],
): Promise<{ stored: [unknown, unknown][]; told: [unknown, unknown][] }> {
  const stored: [unknown, unknown][] = [];
  const told: [unknown, unknown][] = [];
  for (const { file, keys, rowIds } of placed) {
    const bytes = parquetBytes(storage, file.filePath, Number(file.fileSizeBytes));
    const rows = (await Array.fromAsync(readRows(bytes, ["id", "_row_id"]))).flat();
    for (const [n, row] of rows.entries()) {
      stored.push([row["id"], row["_row_id"] ?? null]);
      const id = rowIds?.[n] ?? NO_ROW_ID;
      told.push([keys.words[2 * n], id === NO_ROW_ID ? null : BigInt(id)]);
    }
  }
  return { stored, told };
}

test("a row has the id that its head says, in its file and for the index; a new key and one that was deleted before have none", async () => {
  const ids: Readonly<Record<string, number>> = { 1: 2 ** 40 + 5, 3: NO_ROW_ID, 5: 0, 7: 9 };
  const { write, storage } = await rig((key) => ids[`${key}`] ?? NO_ROW_ID, [7n]);
  const placed = await write();
  expect(placed.length).toBe(2);
  const { stored, told } = await contentOf(storage, placed);
  expect(told).toEqual(stored);
  const byKey = new Map(stored.map(([key, id]) => [key, id]));
  expect(byKey).toEqual(
    new Map<unknown, unknown>([
      [1n, 2n ** 40n + 5n],
      [3n, null],
      [5n, 0n],
      [7n, null],
    ]),
  );
  for (const { file } of placed) expect(file.valueCounts.has(ROW_ID_FIELD.id)).toBe(false);
});

test("rows that replace none are written without a column of ids", async () => {
  const { write, storage } = await rig(() => NO_ROW_ID);
  const placed = await write();
  expect(placed.map(({ rowIds }) => rowIds)).toEqual([null, null]);
  const { stored } = await contentOf(storage, placed);
  expect(stored.map(([, id]) => id)).toEqual([null, null, null, null]);
});

test("ids are written into no table that has got a column by their name meanwhile", async () => {
  const { write } = await rig(Number, [], [{ ...ROW_ID_FIELD, id: 9 }]);
  expect(await rejection(write())).toMatchObject({ kind: "table_unsupported" });
});

test("what an attempt has written is used again while each row keeps its id, and never where one has another", async () => {
  let id = 7;
  const { write } = await rig((key) => (key === 3n ? id : Number(key)));
  const first = await write();
  expect(await write()).toBe(first);
  id = 8;
  const second = await write();
  const paths = (placed: readonly PlacedFile[]): string[] =>
    placed.map(({ file }) => file.filePath);
  expect(paths(second).some((path) => paths(first).includes(path))).toBe(false);
  expect(await write()).toBe(second);
  id = NO_ROW_ID;
  expect(paths(await write())).not.toEqual(paths(second));
});

test("a column of ids has each in its row, and none in the others", () => {
  const ids = Float64Array.of(2 ** 52 + 1, NO_ROW_ID, 0, 2 ** 32);
  const column = idColumn(9, Uint32Array.of(0, 2, 5, 8), ids);
  const read = idsIn({ fields: [], columns: [column], rowCount: 9, byteCount: 0 });
  const none = NO_ROW_ID;
  expect(Array.from({ length: 9 }, (_, row) => read?.(row))).toEqual([
    ...[2 ** 52 + 1, none, none, none, none, 0, none, none, 2 ** 32],
  ]);
  expect(column.nullCount).toBe(6);
  expect(idsIn({ fields: [], columns: [], rowCount: 9, byteCount: 0 })).toBeNull();
});

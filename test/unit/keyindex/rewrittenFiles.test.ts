/** Files of a compaction that the index was told of: nothing of them is read, and nothing of them is believed of a head. */
import { expect, test } from "bun:test";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { Move } from "#keyindex/moves.ts";
import type { KeySet, RewrittenFile, RowIndex } from "#keyindex/port.ts";
import { RewrittenFiles, ToldFiles } from "#keyindex/rewrittenFiles.ts";
import { type KeyStore, volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { KeyedTable, type Listed } from "../../support/keyedTable.ts";
import { rejection } from "../../support/rejection.ts";
import { SCHEMA } from "../../support/tableOf.ts";

type RewrittenInput = RewrittenFile["inputs"][number];

const SECRET = { k0: 1n, k1: 2n };
const HASHER = new KeyHasher([{ id: 1, name: "id", type: { kind: "long" } }], SECRET);
const FIELDS = SCHEMA.fields.map((field) => ({ ...field, required: false }));

function keySet(...keys: bigint[]): KeySet {
  const words = BigInt64Array.from(keys);
  return HASHER.hashAll([{ values: { kind: "word", words }, nulls: null }], keys.length);
}

async function placesOf(index: RowIndex, ...keys: bigint[]): Promise<string[]> {
  const located = await index.locate(keySet(...keys));
  return located.flatMap(({ file, rows }) => Array.from(rows, (row) => `${file.path}:${row}`));
}

/** Two files: keys 1 to 4 with ids of their own, of which 2 is deleted, and 5 and 6 without; and what was made of them. */
async function compacted(
  store: KeyStore = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 })),
  toldFiles: ToldFiles = new ToldFiles(),
): Promise<{
  readonly table: KeyedTable;
  readonly index: RowIndex;
  readonly inputs: readonly Listed[];
  readonly output: DataFile;
  readonly told: RewrittenFile;
}> {
  const table = new KeyedTable();
  const withIds = async (ids: Record<string, bigint>): Promise<DataFile> =>
    await table.parquetFile(
      [...FIELDS, ROW_ID_FIELD],
      Object.entries(ids).map(([key, id]) => [BigInt(key), 20_000, "name", id]),
      20_000,
      5,
    );
  const one = { ...(await withIds({ 1: 71n, 2: 72n, 3: 73n, 4: 74n })), firstRowId: 0n };
  const two = { ...(await table.dataFile([5n, 6n], 20_000)), firstRowId: 50n };
  const output = {
    ...(await withIds({ 1: 71n, 3: 73n, 4: 74n, 5: 50n, 6: 51n })),
    firstRowId: 90n,
  };
  const files = [one, two, await table.vector(one, [1])];
  const inputs = files.map((file) => ({ file, sequenceNumber: 1n }));
  const index = createTableIndex({ store, secret: SECRET, toldFiles, keyColumns: ["id"] });
  await index.bringTo(await table.head(inputs), "main");
  const hidden = new RowSet(4);
  hidden.add(1);
  const before = [
    { path: one.filePath, firstRowId: 0n, rows: 4, places: 0, hidden: hidden.words },
    {
      ...{ path: two.filePath, firstRowId: 50n, rows: 2, places: 3 },
      hidden: new RowSet(2).words,
    },
  ];
  const told = { path: output.filePath, rows: 5, inputs: before };
  return { table, index, inputs, output, told };
}

test("keys and row ids of a file that a compaction told of are not read", async () => {
  const { table, index, output, told } = await compacted();
  await index.rowIds(table.storage, keySet(1n, 5n));
  await index.rewritten([told]);
  const head = await table.head([{ file: output, sequenceNumber: 1n }]);
  const before = table.storage.calls["getRange"];
  await index.bringTo(head, "main");
  expect(await placesOf(index, 1n, 2n, 3n, 4n, 5n, 6n)).toEqual(
    [0, 1, 2, 3, 4].map((row) => `${output.filePath}:${row}`),
  );
  const ids = await index.rowIds(table.storage, keySet(6n, 5n, 4n, 3n, 1n));
  expect([...ids]).toEqual([51, 50, 74, 73, 71]);
  expect(table.storage.calls["getRange"]).toBe(before);
});

test("rows that were deleted meanwhile, carried over to the new file, are not there", async () => {
  const { table, index, output, told } = await compacted();
  await index.rewritten([told]);
  const carried = await table.vector(output, [3]);
  const listed = [output, carried].map((file) => ({ file, sequenceNumber: 2n }));
  await index.bringTo(await table.head(listed), "main");
  expect(await placesOf(index, 5n, 6n)).toEqual([`${output.filePath}:4`]);
  expect([...(await index.rowIds(table.storage, keySet(6n)))]).toEqual([51]);
});

test("where rows live in the new file that the index had lost, as after a rollback, its keys are read", async () => {
  const { table, index, inputs, output, told } = await compacted();
  // A commit deletes key 5 and is rolled back behind the compaction, which had read the snapshot before it.
  const two = inputs[1]?.file as DataFile;
  const later = [...inputs, { file: await table.vector(two, [0]), sequenceNumber: 2n }];
  await index.bringTo(await table.head(later), "main");
  await index.rewritten([told]);
  // The same number of rows lives as the index has: another one is deleted.
  const carried = await table.vector(output, [0]);
  const listed = [output, carried].map((file) => ({ file, sequenceNumber: 2n }));
  await index.bringTo(await table.head(listed), "main");
  expect(await placesOf(index, 1n, 5n)).toEqual([`${output.filePath}:3`]);
});

test("what was told is not used while one of the files before is still there, and is not held for long", async () => {
  const { table, index, inputs, output, told } = await compacted();
  await index.rewritten([told]);
  const [, two] = inputs as [Listed, Listed];
  const both = [two, { file: output, sequenceNumber: 1n }];
  await index.bringTo(await table.head(both), "main");
  expect((await placesOf(index, 6n)).sort()).toEqual(
    [`${output.filePath}:4`, `${two.file.filePath}:1`].sort(),
  );
  const other = await compacted();
  for (let n = 0; n < 3; n++) await other.index.rewritten(n === 0 ? [other.told] : []);
  const before = other.table.storage.calls["getRange"] ?? 0;
  await other.index.bringTo(
    await other.table.head([{ file: other.output, sequenceNumber: 1n }]),
    "main",
  );
  expect(other.table.storage.calls["getRange"]).toBeGreaterThan(before);
});

test("what several files were made of moves in one walk through the table, each row once", async () => {
  const calls: (readonly Move[])[] = [];
  const store = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 }));
  const { table, index, output, told } = await compacted({
    ...store,
    move: (moves) => {
      calls.push(moves);
      return store.move(moves);
    },
  });
  // The other one is told of the same file as the first: nobody made that, so it is read.
  const [first, second] = told.inputs as [RewrittenInput, RewrittenInput];
  const outputs = [
    await table.dataFile([1n, 3n, 4n], 20_000),
    await table.dataFile([5n, 6n], 20_000),
    output,
  ] as [DataFile, DataFile, DataFile];
  await index.rewritten([
    { path: outputs[0].filePath, rows: 3, inputs: [first] },
    { path: outputs[1].filePath, rows: 2, inputs: [{ ...second, places: 0 }] },
    told,
  ]);
  const listed = outputs.map((file) => ({ file, sequenceNumber: 2n }));
  await index.bringTo(await table.head(listed), "main");
  expect(calls.map((moves) => moves.length)).toEqual([2]);
  expect((await placesOf(index, 1n, 6n)).sort()).toEqual(
    [
      ...[`${outputs[0].filePath}:0`, `${outputs[1].filePath}:1`],
      ...[`${output.filePath}:0`, `${output.filePath}:4`],
    ].sort(),
  );
});

test("rows of a move that failed half-way are in the index once, behind the next head", async () => {
  const store = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 }));
  const { table, index, output, told } = await compacted({
    ...store,
    move: (moves) => {
      store.move(moves);
      throw new Error("no memory");
    },
  });
  await index.rewritten([told]);
  const head = await table.head([{ file: output, sequenceNumber: 1n }]);
  expect(await rejection(index.bringTo(head, "main"))).toMatchObject({ message: "no memory" });
  await index.bringTo(head, "main");
  expect(store.locate(keySet(1n, 3n, 4n, 5n, 6n)).rows).toEqual(Uint32Array.of(0, 1, 2, 3, 4));
});

test("what was told is let go of once a head says that it has no use", async () => {
  const toldFiles = new ToldFiles();
  const commits = [
    ["the new file, and one of those before", ["two", "output"]],
    ["nothing of it any more: another commit was faster", []],
    ["the new file alone", ["output"]],
  ] as const;
  for (const [, names] of commits) {
    const { table, index, inputs, output, told } = await compacted(undefined, toldFiles);
    await index.rewritten([told]);
    const files = { two: inputs[1]?.file as DataFile, output };
    await index.bringTo(await table.head(inputs), "main");
    expect(toldFiles.bytes).toBeGreaterThan(0);
    const listed = names.map((name) => ({ file: files[name], sequenceNumber: 1n }));
    await index.bringTo(await table.head(listed), "main");
    expect(toldFiles.bytes).toBe(0);
  }
  const { index, told } = await compacted(undefined, toldFiles);
  await index.rewritten([told]);
  await index.close();
  expect(toldFiles.bytes).toBe(0);
});

test("what is told of all tables has one bound: beyond it the oldest go, and one that is too large goes alone", () => {
  const fileOf = (path: string, rows: number): RewrittenFile => {
    const [places, hidden] = [new Uint32Array(rows), new Uint32Array(rows / 32)];
    return {
      path,
      rows,
      inputs: [{ path: `${path} before`, firstRowId: 0n, rows, places, hidden }],
    };
  };
  const files = new ToldFiles(100_000);
  const [one, other] = [new RewrittenFiles(files), new RewrittenFiles(files)];
  one.tell([fileOf("a", 9600), fileOf("b", 9600)]);
  expect(files.bytes).toBeWithin(2 * 9600 * 4, 100_000);
  other.tell([fileOf("c", 9600), fileOf("d", 32_000)]);
  expect(["a", "b", "c", "d"].filter((path) => files.of(path) !== undefined)).toEqual(["b", "c"]);
  expect(files.bytes).toBeWithin(2 * 9600 * 4, 100_000);
  one.clear();
  other.tell([]);
  other.tell([]);
  expect(files.bytes).toBe(0);
});

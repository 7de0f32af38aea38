/** Row ids of the rows that keys have in a head: of files with a column of ids, without one, and of both. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import { NO_ROW_ID, RowIdColumns, wholeColumn } from "#keyindex/keptRowIds.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet, RowIndex } from "#keyindex/port.ts";
import { rowIdsOf } from "#keyindex/rowIds.ts";
import { volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { KeyedTable, type Listed } from "../../support/keyedTable.ts";
import { SCHEMA } from "../../support/tableOf.ts";

const SECRET = { k0: 1n, k1: 2n };
const HASHER = new KeyHasher([{ id: 1, name: "id", type: { kind: "long" } }], SECRET);
const FIELDS = SCHEMA.fields.map((field) => ({ ...field, required: false }));

function keySet(keys: readonly bigint[]): KeySet {
  const words = BigInt64Array.from(keys);
  return HASHER.hashAll([{ values: { kind: "word", words }, nulls: null }], keys.length);
}

function newIndex(): RowIndex {
  const store = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 }));
  return createTableIndex({ store, secret: SECRET, keyColumns: ["id"] });
}

/** A file of rows with these keys. @param ids of its column of row ids; null: it has none */
async function fileOf(
  table: KeyedTable,
  keys: readonly bigint[],
  ids: readonly (bigint | null)[] | null,
  firstRowId: bigint,
  rowGroupRows = 5,
): Promise<DataFile> {
  const rows = keys.map((key, at) => [
    key,
    20_000,
    "name",
    ...(ids === null ? [] : [ids[at] ?? null]),
  ]);
  const fields = ids === null ? FIELDS : [...FIELDS, ROW_ID_FIELD];
  return { ...(await table.parquetFile(fields, rows, 20_000, rowGroupRows)), firstRowId };
}

/** A table of four files, and the ids of its live rows. */
async function randomTable(below: (bound: number) => number): Promise<{
  readonly table: KeyedTable;
  readonly listed: readonly Listed[];
  readonly expected: ReadonlyMap<bigint, number>;
  readonly keys: readonly bigint[];
}> {
  const table = new KeyedTable();
  const listed: Listed[] = [];
  const expected = new Map<bigint, number>();
  let next = 0n;
  for (let file = 0; file < 4; file++) {
    const keys = Array.from({ length: 1 + below(14) }, () => next++);
    const far = below(2) === 0 ? 0n : 2n ** 40n;
    const ids = keys.map((key) => (below(3) === 0 ? null : far * (key % 2n) + 7n * key));
    const own = below(3) === 0 ? null : ids;
    const firstRowId = BigInt(1000 * (file + 1));
    const added = await fileOf(table, keys, own, firstRowId);
    listed.push({ file: added, sequenceNumber: BigInt(file + 1) });
    for (const [at, key] of keys.entries()) {
      expected.set(key, Number(own?.[at] ?? firstRowId + BigInt(at)));
    }
    const gone = below(keys.length);
    listed.push({ file: await table.vector(added, [gone]), sequenceNumber: BigInt(file + 1) });
    expected.delete(keys[gone] ?? -1n);
  }
  const keys = Array.from({ length: Number(next) + 3 }, (_, n) => BigInt(n));
  return { table, listed, expected, keys };
}

test("a row has the id that its file has for it, else that of the file's first row and its position; who has no row has none", async () => {
  const random = seededRandom(7);
  for (let round = 0; round < 30; round++) {
    const { table, listed, expected, keys } = await randomTable((bound) =>
      Math.floor(random.unit() * bound),
    );
    const index = newIndex();
    await index.bringTo(await table.head(listed), "main");
    const asked = keys.toReversed();
    for (let turn = 0; turn < 2; turn++) {
      const ids = await index.rowIds(table.storage, keySet(asked));
      expect([...ids]).toEqual(asked.map((key) => expected.get(key) ?? NO_ROW_ID));
    }
  }
});

test("of a key with two rows the id is that of the newest file's", async () => {
  const table = new KeyedTable();
  const listed = [
    { file: await fileOf(table, [5n, 6n], [50n, 60n], 0n), sequenceNumber: 4n },
    { file: await fileOf(table, [5n], null, 900n), sequenceNumber: 3n },
    { file: await fileOf(table, [6n], null, 910n), sequenceNumber: 5n },
  ];
  const index = newIndex();
  await index.bringTo(await table.head(listed), "main");
  expect([...(await index.rowIds(table.storage, keySet([5n, 6n])))]).toEqual([50, 910]);
});

test("a file is read once, and not at all where its ids were told with the commit that added it", async () => {
  const table = new KeyedTable();
  const first = { file: await fileOf(table, [1n, 2n], [11n, 12n], 0n), sequenceNumber: 1n };
  const index = newIndex();
  await index.bringTo(await table.head([first]), "main");
  const reads = (): number => table.storage.calls["getRange"] ?? 0;
  const ask = async (...keys: bigint[]): Promise<number[]> => [
    ...(await index.rowIds(table.storage, keySet(keys))),
  ];
  const begun = reads();
  expect(await ask(1n)).toEqual([11]);
  const afterFirst = reads();
  expect(afterFirst).toBeGreaterThan(begun);
  expect(await ask(2n, 1n)).toEqual([12, 11]);
  expect(reads()).toBe(afterFirst);
  const own = await fileOf(table, [3n, 1n], [null, 11n], 40n);
  const plain = await fileOf(table, [4n], null, 42n);
  const vector = await table.vector(first.file, [0]);
  const placed = [
    { file: own, keys: keySet([3n, 1n]), rowIds: Float64Array.of(NO_ROW_ID, 11) },
    { file: plain, keys: keySet([4n]), rowIds: null },
  ];
  const keys = keySet([1n, 3n, 4n]);
  const change = { base: 1n, keys, placed, addedDeletes: [vector], removedDeletes: [] };
  await index.apply(change, { snapshotId: 2n, sequenceNumber: 2n });
  const landed = [own, plain, vector].map((file) => ({ file, sequenceNumber: 2n }));
  await index.bringTo(await table.head([first, ...landed]), "main");
  const before = reads();
  expect(await ask(1n, 2n, 3n, 4n)).toEqual([11, 12, 40, 42]);
  expect(reads()).toBe(before);
});

test("a few rows of a large file are read without the others, and with the same ids", async () => {
  const table = new KeyedTable();
  const keys = Array.from({ length: 70_000 }, (_, n) => BigInt(n));
  const ids = keys.map((key) => (key % 3n === 0n ? null : 3n * key));
  const batch = { file: await fileOf(table, keys, ids, 500_000n, 30_000), sequenceNumber: 1n };
  const index = newIndex();
  await index.bringTo(await table.head([batch]), "main");
  const ask = async (...some: bigint[]): Promise<number[]> => [
    ...(await index.rowIds(table.storage, keySet(some))),
  ];
  expect(await ask(69_998n)).toEqual([209_994]);
  expect(await ask(69_999n)).toEqual([569_999]);
  expect(await ask(69_998n, 3n, 69_997n)).toEqual([209_994, 500_003, 209_991]);
}, 60_000);

/** A file as a head lists it. @param rows that its manifest claims */
function listedFile(file: DataFile, rows: number): LiveData {
  const { filePath: path, fileSizeBytes, firstRowId } = file;
  const bytes = Number(fileSizeBytes);
  return {
    ...{ path, bytes, rows, firstRowId, format: "PARQUET" },
    ...{ specId: 0, partition: [], sequenceNumber: 1n },
  };
}

/** Looks at the ids of one row, the second, of each of some files. */
function lookAt(
  table: KeyedTable,
  files: readonly LiveData[],
  columns: RowIdColumns,
): { ask(): Promise<number[]>; reads(): number; atOnceMax(): number } {
  let [reads, now, most] = [0, 0, 0];
  const storage = {
    get: (path: string) => table.storage.get(path),
    getRange: async (path: string, start: number, length: number): Promise<Uint8Array> => {
      reads++;
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      return await table.storage.getRange(path, start, length);
    },
  };
  const first = Uint32Array.from(files, (_, n) => n);
  const places = { keys: first, files: first.map((n) => n + 1), rows: first.map(() => 1) };
  const fileOf = (number: number): LiveData => files[number - 1] as LiveData;
  const hiddenIn = ({ rows }: LiveData): Promise<RowSet> => Promise.resolve(new RowSet(rows));
  const liveIn = ({ rows }: LiveData): number => rows;
  const source = { storage, locate: () => places, fileOf, hiddenIn, liveIn, columns };
  const keys = keySet(files.map((_, n) => BigInt(n)));
  return {
    ask: async () => [...(await rowIdsOf(source, keys))],
    reads: () => reads,
    atOnceMax: () => most,
  };
}

test("a few rows of many large files are read at once, a few files at a time, and a file without ids is looked at once", async () => {
  const table = new KeyedTable();
  const [large, expected]: [LiveData[], number[]] = [[], []];
  for (let n = 0; n < 20; n++) {
    const ids = n % 2 === 0 ? null : [7n, BigInt(n)];
    const file = await fileOf(table, [BigInt(2 * n), BigInt(2 * n + 1)], ids, 1000n);
    large.push(listedFile(file, 5_000_000));
    expected.push(ids === null ? 1001 : n);
  }
  const { ask, reads, atOnceMax } = lookAt(table, large, new RowIdColumns());
  expect(await ask()).toEqual(expected);
  expect(atOnceMax()).toBeGreaterThan(1);
  expect(atOnceMax()).toBeLessThanOrEqual(8);
  const [first, rest] = [reads(), large.filter((_, n) => n % 2 === 0)];
  expect(await ask()).toEqual(expected);
  const again = reads() - first;
  expect(again).toBeLessThanOrEqual(first - rest.length);
});

test("a file whose ids are more than all that may be kept is read by pages, and pushes out none of the others", async () => {
  const table = new KeyedTable();
  const keys = Array.from({ length: 30 }, (_, n) => BigInt(n));
  const file = await fileOf(table, keys, keys, 1000n);
  const columns = new RowIdColumns(() => 100);
  const kept = wholeColumn(new Float64Array(10).fill(5));
  columns.keep("other", kept);
  const whole = lookAt(table, [listedFile(file, 30)], new RowIdColumns());
  const some = lookAt(table, [listedFile(file, 30)], columns);
  expect([await whole.ask(), await some.ask()]).toEqual([[1], [1]]);
  expect(some.reads()).toBeLessThan(whole.reads());
  columns.keep("own", wholeColumn(new Float64Array(26).fill(5)));
  expect(columns.of("own")).toBeUndefined();
  expect(columns.of("other")).toBe(kept);
});

test("a file without ids costs no memory for ids, whatever its manifest says of its rows", async () => {
  const table = new KeyedTable();
  const file = await fileOf(table, [1n, 2n], null, 1000n);
  const columns = new RowIdColumns(() => Infinity);
  const places = Array.from({ length: 200_000 }, (_, n) => BigInt(n));
  const source = {
    storage: table.storage,
    locate: () => ({
      keys: Uint32Array.from(places, Number),
      files: new Uint32Array(places.length).fill(1),
      rows: Uint32Array.from(places, Number),
    }),
    fileOf: () => listedFile(file, 2 ** 33),
    hiddenIn: (): never => {
      throw new Error("nothing is to be read");
    },
    liveIn: () => 2 ** 33,
    columns,
  };
  const ids = await rowIdsOf(source, keySet(places));
  expect(ids[199_999]).toBe(200_999);
  expect(columns.of(file.filePath)).toBeNull();
});

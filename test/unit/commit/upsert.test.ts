/** Upserts: keys that come by two partitions, and delete files that others remove. */
import { expect, test } from "bun:test";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Attempt } from "#commit/change.ts";
import { Ledger } from "#commit/ledger.ts";
import { emptyDocument } from "#commit/progressDocument.ts";
import { type DeleteRows, writeDeletes } from "#commit/rowDeletes.ts";
import { Upsert } from "#commit/upsert.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet, RowIndex } from "#keyindex/port.ts";
import { volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { KeyedTable } from "../../support/keyedTable.ts";
import { FEED, MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";

const SECRET = { k0: 1n, k1: 2n };
const HASHER = new KeyHasher([{ id: 1, name: "id", type: { kind: "long" } }], SECRET);
const { parts, options } = new MaintainedTable();

function keySet(keys: readonly bigint[]): KeySet {
  const values = { kind: "word", words: BigInt64Array.from(keys) } as const;
  return HASHER.hashAll([{ values, nulls: new Uint8Array(keys.length) }], keys.length);
}

/** Changes of these keys, partition by partition. */
function upsertOf(keys: readonly (readonly bigint[])[], index = newIndex()): Upsert {
  const units = keys.map((each, partition) => ({
    feeds: [{ ...FEED, partition }],
    files: [],
    placed: [],
    empties: false,
    complete: null,
    keys: keySet(each),
  }));
  const deleteRows: DeleteRows = (attempt, located) =>
    writeDeletes(attempt, located, () => Promise.reject(new Error("a table of format v3")));
  return new Upsert(parts, { index, deleteRows }, [], units);
}

function newIndex(): RowIndex {
  const store = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 }));
  return createTableIndex({ store, secret: SECRET, keyColumns: ["id"] });
}

function attemptOn(head: LoadedTable, number = 1): Attempt {
  const document = emptyDocument("main");
  const progress = { kind: "readable", document, headIsOurs: false, group: "", decidedBy: null };
  const ledger = new Ledger(parts.random.uuid());
  const { commitId } = ledger;
  return { parts, options, head, progress, kind: "flush", commitId, number, ledger } as Attempt;
}

test("a key that came by two partitions stops the table before anything is written", async () => {
  const table = new KeyedTable();
  const file = await table.dataFile([1n, 2n], 20_000);
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  const before = { ...table.storage.calls };
  const error = await rejection(upsertOf([[1n, 2n], [3n], [4n, 2n]]).stage(attemptOn(head)));
  expect(error).toMatchObject({ kind: "data" });
  expect(String(error)).toContain("two partitions");
  expect(table.storage.calls["put"]).toBe(before["put"]);
  const staged = await upsertOf([[1n, 2n], [3n], [4n]]).stage(attemptOn(head));
  expect(staged.kind).toBe("staged");
});

test("a source that was emptied takes every file of the head with it, but only where one partition says so", async () => {
  const table = new KeyedTable();
  const file = await table.dataFile([1n, 2n], 20_000);
  const vector = await table.vector(file, [0]);
  const data = { file, sequenceNumber: 1n };
  const head = await table.head([data, { file: vector, sequenceNumber: 2n }]);
  const deleteRows = () => Promise.reject(new Error("no row is deleted by itself"));
  const none = { files: [], placed: [], complete: null };
  const unit = { ...none, feeds: [FEED], keys: keySet([7n]), empties: true };
  const upsert = new Upsert(parts, { index: newIndex(), deleteRows }, [], [unit]);
  for (const number of [1, 2]) {
    const staged = await upsert.stage(attemptOn(head, number));
    const { summary } = staged.snapshot;
    expect(summary).toMatchObject({
      operation: "delete",
      "deleted-data-files": "1",
      "deleted-records": "2",
      "removed-dvs": "1",
      "total-records": "0",
    });
  }
  const attempt = attemptOn(head, 3);
  // A topic of one partition, that was moved to another cluster since.
  const source = { topicId: "id", offsets: new Map([[0, 5n]]) };
  const { document } = attempt.progress as Extract<Attempt["progress"], { kind: "readable" }>;
  const sources = new Map([
    ["c/t", source],
    ["d/t", source],
  ]) as unknown as typeof document.sources;
  const progress = { ...attempt.progress, document: { ...document, sources } };
  const error = await rejection(upsert.stage({ ...attempt, progress } as Attempt));
  expect(error).toMatchObject({ kind: "data" });
  expect(String(error)).toContain("2 partitions (1 of c/t, 1 of d/t)");
});

test("a file that is gone while orders are compared asks for another head; a head that lacks it twice is damaged", async () => {
  const table = new KeyedTable();
  const file = await table.dataFile([1n, 2n, 3n], 20_000);
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  const store = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 }));
  const index = createTableIndex({ store, secret: SECRET, keyColumns: ["id"], orderColumn: "id" });
  await index.bringTo(head, "main");
  await table.storage.remove([file.filePath]);
  const unit = { feeds: [FEED], files: [], complete: null, placed: [], empties: false };
  const keys = { ...keySet([2n]), orders: BigInt64Array.of(-5n) };
  const deleteRows: DeleteRows = (attempt, located) =>
    writeDeletes(attempt, located, () => Promise.reject(new Error("a table of format v3")));
  const upsert = new Upsert(parts, { index, deleteRows }, [], [{ ...unit, keys }]);
  const kinds: unknown[] = [];
  for (const number of [1, 2]) {
    kinds.push(await rejection(upsert.stage(attemptOn(head, number))));
  }
  expect(kinds).toMatchObject([{ kind: "storage_unreachable" }, { kind: "storage_missing" }]);
  expect((await upsert.stage(attemptOn(await table.head([]), 3))).kind).toBe("staged");
});

test("a vector that is gone while it is merged asks for another head; a head that lacks it twice is damaged", async () => {
  const table = new KeyedTable();
  const file = await table.dataFile([1n, 2n, 3n], 20_000);
  const vector = await table.vector(file, [0]);
  const data = { file, sequenceNumber: 1n };
  const head = await table.head([data, { file: vector, sequenceNumber: 2n }]);
  const index = newIndex();
  await index.bringTo(head, "main");
  await table.storage.remove([vector.filePath]);
  const upsert = upsertOf([[2n]], index);
  const kinds: unknown[] = [];
  for (const number of [1, 2]) {
    kinds.push(await rejection(upsert.stage(attemptOn(head, number))));
  }
  expect(kinds).toMatchObject([{ kind: "storage_unreachable" }, { kind: "storage_missing" }]);
  const next = await table.head([data]);
  expect((await upsert.stage(attemptOn(next, 3))).kind).toBe("staged");
});

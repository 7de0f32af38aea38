/** Files that are written anew without deleted rows: when they are used again, and what keeps them from being written. */
import { expect, test } from "bun:test";
import { copiesOf } from "#app/copies.ts";
import { BOUNDLESS } from "#app/diskBudget.ts";
import { type ErrorKind, fail, policyOf } from "#base/errors.ts";
import { creationRefusal, tableRefusals } from "#cli/refusals.ts";
import type { Field } from "#columns/schema.ts";
import type { Attempt } from "#commit/change.ts";
import { Ledger } from "#commit/ledger.ts";
import { emptyDocument } from "#commit/progressDocument.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet } from "#keyindex/port.ts";
import { volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { type CopyOnWriteParts, copyOnWrite } from "#maintenance/copyOnWrite.ts";
import { CopySlots } from "#maintenance/copySlots.ts";
import type { RewriteJob } from "#maintenance/engine.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { KeyedTable, type Listed } from "../../support/keyedTable.ts";
import { MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";
import { fileOf } from "../../support/tableOf.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";

const SECRET = { k0: 1n, k1: 2n };
const HASHER = new KeyHasher([{ id: 1, name: "id", type: { kind: "long" } }], SECRET);
const { parts, options } = new MaintainedTable();

function keySet(keys: readonly bigint[]): KeySet {
  const values = { kind: "word", words: BigInt64Array.from(keys) } as const;
  return HASHER.hashAll([{ values, nulls: new Uint8Array(keys.length) }], keys.length);
}

/** An engine that writes nothing, and what it was asked for. */
function engineOf(more: Partial<CopyOnWriteParts> = {}) {
  const jobs: RewriteJob[] = [];
  const copies: CopyOnWriteParts = {
    engine: {
      rewrite: async (job) => {
        jobs.push(job);
        return { output: { ...fileOf("copy", [20_000]), filePath: job.location }, moved: null };
      },
    },
    slots: new CopySlots(() => () => undefined),
    stop: new AbortController().signal,
    ...more,
  };
  return { jobs, deleteRows: copyOnWrite(copies, 1e9) };
}

/** An attempt on a head of these files, and the rows that it has of some keys. */
async function attemptOn(table: KeyedTable, files: readonly Listed[], keys: readonly bigint[]) {
  const head = await table.head(files);
  const store = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 }));
  const index = createTableIndex({ store, secret: SECRET, keyColumns: ["id"] });
  await index.bringTo(head, "main");
  const located = await index.locate(keySet(keys));
  const document = emptyDocument("main");
  const progress = { kind: "readable", document, headIsOurs: false, group: "", decidedBy: null };
  const ledger = new Ledger(parts.random.uuid());
  const commit = { kind: "flush", number: 1, ledger, commitId: ledger.commitId };
  return { attempt: { parts, options, head, progress, ...commit } as Attempt, located };
}

test("a copy is used again by the next attempt as long as the same rows of its inputs are gone, and only so long", async () => {
  const table = new KeyedTable();
  const file = await table.dataFile([1n, 2n, 3n, 4n], 20_000);
  const data = { file, sequenceNumber: 1n };
  const { jobs, deleteRows } = engineOf();
  const first = await attemptOn(table, [data], [2n]);
  const once = await deleteRows(first.attempt, first.located);
  expect(once.removed.map(({ filePath }) => filePath)).toEqual([file.filePath]);
  const again = await attemptOn(table, [data], [2n]);
  expect(await deleteRows(again.attempt, again.located)).toEqual(once);
  expect(jobs).toHaveLength(1);
  // Somebody else hides another row of it meanwhile: by a vector, which goes with the file, ...
  const vector = await table.vector(file, [0]);
  const hidden = await attemptOn(table, [data, { file: vector, sequenceNumber: 2n }], [2n]);
  const { removed } = await deleteRows(hidden.attempt, hidden.located);
  expect(removed.map(({ filePath }) => filePath)).toEqual([file.filePath, vector.filePath]);
  expect(jobs.map((job) => [...(job.hidden?.[0] ?? [])])).toEqual([[1], [0, 1]]);
  // ... or by its key, which the engine applies.
  const byKey = await table.equalityDeletes([4n], 20_000);
  const changed = await attemptOn(table, [data, { file: byKey, sequenceNumber: 2n }], [2n]);
  await deleteRows(changed.attempt, changed.located);
  expect(jobs).toHaveLength(3);
  expect(jobs[2]?.group.inputs[0]?.deletes.map((each) => each.file.filePath)).toEqual([
    byKey.filePath,
  ]);
});

test("without room for files on their way nothing is written, and the flush waits", async () => {
  const table = new KeyedTable();
  const file = await table.dataFile([1n, 2n], 20_000);
  const { attempt, located } = await attemptOn(table, [{ file, sequenceNumber: 1n }], [2n]);
  const full = engineOf({ slots: new CopySlots(() => null) });
  expect(await rejection(full.deleteRows(attempt, located))).toMatchObject({
    kind: "storage_full",
  });
  expect(full.jobs).toEqual([]);
  expect(await full.deleteRows(attempt, [])).toEqual({ added: [], removed: [] });
});

/** An engine that fails at these calls, counted from 1. */
function failingEngine(kind: ErrorKind, isFailing: (call: number) => boolean) {
  const locations: string[] = [];
  const parts = engineOf({
    engine: {
      rewrite: async ({ location }) => {
        locations.push(location);
        if (isFailing(locations.length)) throw fail(kind, "Out of Memory");
        return { output: { ...fileOf("copy", [20_000]), filePath: location }, moved: null };
      },
    },
  });
  return { locations, deleteRows: parts.deleteRows };
}

test("what the engine or its process cannot do beside others it does alone; only what the engine refuses alone stops the table", async () => {
  const table = new KeyedTable();
  const files = await Promise.all([
    table.dataFile([1n, 2n], 20_000),
    table.dataFile([3n, 4n], 20_001),
  ]);
  const listed = files.map((file) => ({ file, sequenceNumber: 1n }));
  const { attempt, located } = await attemptOn(table, listed, [2n, 3n]);
  for (const kind of ["query", "query_engine", "rewrite_process"] as const) {
    const short = failingEngine(kind, (call) => call <= 2);
    expect((await short.deleteRows(attempt, located)).added).toHaveLength(2);
    expect(short.locations).toHaveLength(4);
    const never = failingEngine(kind, () => true);
    const action = policyOf(await rejection(never.deleteRows(attempt, located))).action;
    // A process may be ended for want of memory by what others take.
    expect({ kind, action }).toEqual({
      kind,
      action: kind === "rewrite_process" ? "again" : "stop",
    });
    expect(never.locations).toHaveLength(3);
  }
  // A store that does not answer is asked again, and what was written meanwhile is used.
  const away = failingEngine("storage_unreachable", (call) => call === 1);
  expect(policyOf(await rejection(away.deleteRows(attempt, located))).action).toBe("again");
  expect((await away.deleteRows(attempt, located)).added).toHaveLength(2);
  expect(away.locations).toHaveLength(3);
});

test("columns that cannot be written anew are told by check, of a table that is there and of a new one", async () => {
  const table = new KeyedTable();
  const head = await table.head([]);
  const fields: readonly Field[] = [
    { id: 1, name: "id", required: false, type: { kind: "fixed", length: 3 } },
  ];
  const rewrites = { scratch: "", libraryFolder: null, encoder: createInlineEncoder() };
  const slots = new CopySlots(() => () => undefined);
  const copies = copiesOf({ ...rewrites, room: BOUNDLESS, slots }, new AbortController().signal);
  copies.check(head.name, []);
  expect(() => copies.check(head.name, fields)).toThrow("column id is of type fixed");
  const writer = { ...WRITER_OPTIONS, deletes: "copy-on-write", key: ["id"] } as const;
  const schema = { schemaId: head.metadata.currentSchemaId, fields, identifierFieldIds: [] };
  const metadata = { ...head.metadata, schemas: [schema] };
  const planned = { name: "t", writer, topics: [] };
  expect(tableRefusals(planned, metadata).join()).toContain("column id is of type fixed");
  expect(creationRefusal(planned.writer, () => fields)).toContain("column id is of type fixed");
  const appending = { ...planned.writer, key: [] };
  expect(tableRefusals({ ...planned, writer: appending }, metadata)).toEqual([]);
});

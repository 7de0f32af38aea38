/**
 * Entry of the Worker that holds all key indexes of the process (`protocol.ts`): what is heavy about them,
 * manifests, Parquet, tables and dumps, happens here.
 *
 * A separate entry point of the executable: `scripts/build.ts` names it beside `main.ts`.
 */
import { assert } from "#base/assert.ts";
import { systemDisk } from "#base/disk.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { Storage } from "#storage/storage.ts";
import { RowIdColumns } from "./keptRowIds.ts";
import type { RowIndex } from "./port.ts";
import type { Answer, IndexOptions, Question, ReadRange, Reply, Request } from "./protocol.ts";
import { ToldFiles } from "./rewrittenFiles.ts";
import { openKeyStore, volatileKeyStore } from "./store.ts";
import { createTableIndex } from "./tableIndex.ts";
import { createWasmKeyTable, type WasmKeyTable } from "./wasmKeyTable.ts";

declare const self: Worker;

/** Ids take four bytes a row where tables take 36: those of all rows are kept. */
const ROW_IDS_SHARE = 1 / 6;
const rowIds = new RowIdColumns(() =>
  Math.max(LIMITS.rowIdsBytesMax, Math.floor(ROW_IDS_SHARE * tableBytes)),
);
const toldFiles = new ToldFiles();
const indexes = new Map<number, Promise<RowIndex>>();
/** Folders that an index writes into, and which. */
const folders = new Map<string, number>();
const reads = new Map<number, PromiseWithResolvers<Uint8Array>>();
let readCount = 0;
/** By index, with what was told of each. */
const tables = new Map<number, { readonly table: WasmKeyTable; bytes: number }>();
let tableBytes = 0;
let toldBytes = 0;
/** A key that is asked about leaves so much behind, roughly: its place, found, by file, and in the answer. */
const GARBAGE_BYTES_PER_KEY = 32;
let garbageBytes = 0;

function reply(message: Reply): void {
  self.postMessage(message);
}

/** Tells what everything takes, when that is not what it was. @param index whose table may have grown */
function measure(index: number): void {
  const known = tables.get(index);
  if (known === undefined) return;
  tableBytes += known.table.bytes - known.bytes;
  known.bytes = known.table.bytes;
  tell();
}

function tell(): void {
  const bytes = tableBytes + rowIds.bytes + toldFiles.bytes;
  if (bytes === toldBytes) return;
  toldBytes = bytes;
  reply({ type: "memory", bytes });
}

/** Collects now and then: what is left behind lies outside the heap, so that nothing else would do it soon. */
function leave(bytes: number): void {
  garbageBytes += bytes;
  if (garbageBytes >= LIMITS.workerGarbageBytesMax) collect();
}

function collect(): void {
  garbageBytes = 0;
  Bun.gc(true);
}

function keysIn(question: Question): number {
  switch (question.type) {
    case "newer":
    case "locate":
    case "values":
    case "rowIds":
      return question.keys.count;
    case "apply": {
      const { keys, placed } = question.change;
      return placed.reduce((sum, file) => sum + file.keys.count, keys.count);
    }
    case "bringTo":
    case "rewritten":
    case "close":
      return 0;
  }
}

function newTable(index: number): WasmKeyTable {
  const table = createWasmKeyTable();
  tableBytes -= tables.get(index)?.bytes ?? 0;
  tables.set(index, { table, bytes: 0 });
  return table;
}

async function open(
  index: number,
  { folder, secret, ...columns }: IndexOptions,
): Promise<RowIndex> {
  const warn = (error: unknown): void => reply({ type: "warn", sentence: describe(error) });
  try {
    // Two that write into one folder would mix what they write.
    const isTaken = folders.has(folder);
    if (isTaken) throw fail("state", `The index in ${folder} is still open`, { folder });
    folders.set(folder, index);
    const store = await openKeyStore({
      disk: systemDisk,
      folder,
      table: newTable(index),
      warn,
      leave: (bytes) => {
        // What is kept may be hundreds of megabytes: told while it is read.
        measure(index);
        leave(bytes);
      },
    });
    return createTableIndex({ store, secret, rowIds, toldFiles, leave, ...columns });
  } catch (error) {
    // Without its folder an index is read from the table at every start, and as right.
    warn(error);
    const store = volatileKeyStore(newTable(index));
    return createTableIndex({ store, secret, rowIds, toldFiles, leave, ...columns });
  } finally {
    measure(index);
  }
}

async function respond(index: number, call: number, question: Question): Promise<void> {
  reply(await answered(index, call, question));
  leave(GARBAGE_BYTES_PER_KEY * keysIn(question));
}

/** What a call is answered. What failed half-way has taken memory too, and an index that cannot be closed is gone. */
async function answered(index: number, call: number, question: Question): Promise<Reply> {
  try {
    return { type: "done", call, answer: await ask(index, call, question) };
  } catch (error) {
    return { type: "failed", call, kind: kindOf(error), sentence: describe(error) };
  } finally {
    if (question.type === "close") forget(index);
    else measure(index);
  }
}

function forget(index: number): void {
  indexes.delete(index);
  tableBytes -= tables.get(index)?.bytes ?? 0;
  tables.delete(index);
  tell();
  for (const [folder, owner] of folders) if (owner === index) folders.delete(folder);
  // An idle thread collects nothing, and the table may be hundreds of megabytes.
  collect();
}

async function ask(number: number, call: number, question: Question): Promise<Answer> {
  const index = await indexes.get(number);
  assert(index !== undefined, "an index is opened before it is asked");
  const storage = ownersStorage(call, () => measure(number));
  switch (question.type) {
    case "bringTo": {
      await index.bringTo({ ...question.table, storage }, question.branch);
      return {};
    }
    case "newer":
      return { newer: await index.newer(storage, question.keys) };
    case "locate":
      return { located: await index.locate(question.keys) };
    case "values": {
      const { keys, columns } = question;
      return { values: await index.values(storage, keys, columns) };
    }
    case "rowIds":
      return { rowIds: await index.rowIds(storage, question.keys) };
    case "rewritten":
      await index.rewritten(question.files);
      return {};
    case "apply":
      await index.apply(question.change, question.landed);
      return {};
    case "close":
      await index.close();
      return {};
  }
}

/**
 * The storage of a call, which is the owner's: only to read from.
 * @param reading called before each read
 */
function ownersStorage(call: number, reading: () => void): Storage {
  const read = (location: string, range: ReadRange): Promise<Uint8Array> => {
    reading();
    const result = Promise.withResolvers<Uint8Array>();
    const id = ++readCount;
    reads.set(id, result);
    reply({ type: "read", call, read: id, location, range });
    return result.promise;
  };
  const refuse = (): never => {
    throw fail("internal", "An index writes nothing into a table's storage");
  };
  return {
    get: (location) => read(location, null),
    getRange: (location, start, length) => read(location, { start, length }),
    put: refuse,
    putIfAbsent: refuse,
    writer: refuse,
    head: refuse,
    remove: refuse,
    list: refuse,
    abortUploads: refuse,
    close: () => Promise.resolve(),
  };
}

self.onmessage = ({ data }: MessageEvent<Request>): void => {
  switch (data.type) {
    case "open":
      indexes.set(data.index, open(data.index, data.options));
      break;
    case "ask":
      void respond(data.index, data.call, data.question);
      break;
    case "bytes":
      reads.get(data.read)?.resolve(data.bytes);
      reads.delete(data.read);
      leave(data.bytes.length);
      break;
    case "unread":
      reads.get(data.read)?.reject(fail(data.kind, data.sentence));
      reads.delete(data.read);
      break;
  }
};

/**
 * Entry of the Worker that holds all key indexes of the process (`protocol.ts`): what is heavy about them,
 * manifests, Parquet, tables and dumps, happens here.
 *
 * A separate entry point of the executable: `scripts/build.ts` names it beside `main.ts`.
 */
import { assert } from "#base/assert.ts";
import { systemDisk } from "#base/disk.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import type { Storage } from "#storage/storage.ts";
import type { RowIndex } from "./port.ts";
import type { Answer, IndexOptions, Question, ReadRange, Reply, Request } from "./protocol.ts";
import { RowIdColumns } from "./rowIds.ts";
import { openKeyStore, volatileKeyStore } from "./store.ts";
import { createTableIndex } from "./tableIndex.ts";
import { createWasmKeyTable } from "./wasmKeyTable.ts";

declare const self: Worker;

const rowIds = new RowIdColumns();
const indexes = new Map<number, Promise<RowIndex>>();
/** Folders that an index writes into, and which. */
const folders = new Map<string, number>();
const reads = new Map<number, PromiseWithResolvers<Uint8Array>>();
let readCount = 0;

function reply(message: Reply, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer);
}

async function open(
  index: number,
  { folder, secret, ...columns }: IndexOptions,
): Promise<RowIndex> {
  const warn = (error: unknown): void => reply({ type: "warn", sentence: describe(error) });
  const table = createWasmKeyTable();
  try {
    // Two that write into one folder would mix what they write.
    const isTaken = folders.has(folder);
    if (isTaken) throw fail("state", `The index in ${folder} is still open`, { folder });
    folders.set(folder, index);
    const store = await openKeyStore({ disk: systemDisk, folder, table, warn });
    return createTableIndex({ store, secret, rowIds, ...columns });
  } catch (error) {
    // Without its folder an index is read from the table at every start, and as right.
    warn(error);
    const store = volatileKeyStore(createWasmKeyTable());
    return createTableIndex({ store, secret, rowIds, ...columns });
  }
}

async function respond(index: number, call: number, question: Question): Promise<void> {
  try {
    const answer = await ask(await indexes.get(index), call, question);
    if (question.type === "close") forget(index);
    reply({ type: "done", call, answer });
  } catch (error) {
    reply({ type: "failed", call, kind: kindOf(error), sentence: describe(error) });
  }
}

function forget(index: number): void {
  indexes.delete(index);
  for (const [folder, owner] of folders) if (owner === index) folders.delete(folder);
  // An idle thread collects nothing, and the table may be hundreds of megabytes.
  Bun.gc(true);
}

async function ask(index: RowIndex | undefined, call: number, question: Question): Promise<Answer> {
  assert(index !== undefined, "an index is opened before it is asked");
  switch (question.type) {
    case "bringTo": {
      const storage = ownersStorage(call);
      await index.bringTo({ ...question.table, storage }, question.branch);
      return {};
    }
    case "newer":
      return { newer: await index.newer(ownersStorage(call), question.keys) };
    case "locate":
      return { located: await index.locate(question.keys) };
    case "values": {
      const { keys, columns } = question;
      return { values: await index.values(ownersStorage(call), keys, columns) };
    }
    case "rowIds":
      return { rowIds: await index.rowIds(ownersStorage(call), question.keys) };
    case "apply":
      await index.apply(question.change, question.landed);
      return {};
    case "close":
      await index.close();
      return {};
  }
}

/** The storage of a call, which is the owner's: only to read from. */
function ownersStorage(call: number): Storage {
  const read = (location: string, range: ReadRange): Promise<Uint8Array> => {
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
      break;
    case "unread":
      reads.get(data.read)?.reject(fail(data.kind, data.sentence));
      reads.delete(data.read);
      break;
  }
};

/**
 * The Worker that holds all key indexes of the process, as its owner sees it: each index is a `RowIndex`
 * whose work is done elsewhere. The Worker starts with the first index.
 */
import { assert } from "#base/assert.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import { workerUrl } from "#base/workerUrl.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { Storage } from "#storage/storage.ts";
import type { RowIndex } from "./port.ts";
import type { Answer, IndexOptions, Question, Reply, Request } from "./protocol.ts";

/** What the thread needs. */
export interface IndexThreadParts {
  /** Told in one sentence that an index cannot be kept on disk. */
  readonly warn: (sentence: string) => void;
  /** Starts a Worker that speaks `protocol.ts`; default: `worker.ts`. */
  readonly startWorker?: () => Worker;
}

/** All key indexes of a process. */
export interface IndexThread {
  /** An index that is opened when it is first asked. */
  open(options: IndexOptions): RowIndex;
  /** Memory of all indexes, as it was when something was last heard of them. */
  readonly bytes: number;
  /** Ends the Worker; what is under way fails. */
  close(): Promise<void>;
}

/** A call under way. */
interface Call {
  readonly result: PromiseWithResolvers<Answer>;
  /** What it may read from. */
  readonly storage: Storage | null;
}

/** Creates the thread; no Worker runs yet. */
export function createIndexThread(parts: IndexThreadParts): IndexThread {
  return new Thread(parts);
}

class Thread implements IndexThread {
  readonly #parts: IndexThreadParts;
  #worker: Worker | null = null;
  readonly #calls = new Map<number, Call>();
  #callCount = 0;
  #indexCount = 0;
  bytes = 0;

  constructor(parts: IndexThreadParts) {
    this.#parts = parts;
  }

  open(options: IndexOptions): RowIndex {
    const index = ++this.#indexCount;
    /** The Worker that knows the index. */
    let opened: Worker | null = null;
    /** The one that was brought to a head. */
    let brought: Worker | null = null;
    const ask = async (question: Question, storage: Storage | null): Promise<Answer> => {
      const worker = this.#running();
      if (opened !== worker) send(worker, { type: "open", index, options });
      opened = worker;
      const result = Promise.withResolvers<Answer>();
      const call = ++this.#callCount;
      this.#calls.set(call, { result, storage });
      send(worker, { type: "ask", index, call, question });
      return result.promise;
    };
    const requireBrought = (): void => {
      if (brought !== null && brought === this.#worker) return;
      throw fail("key_index", "The Worker of the key indexes ended before rows were located");
    };
    return {
      bringTo: async ({ storage, ...table }: LoadedTable, branch) => {
        const metadata = withoutHistory(table.metadata);
        await ask({ type: "bringTo", table: { ...table, metadata }, branch }, storage);
        brought = this.#worker;
      },
      newer: async (storage, keys) => {
        requireBrought();
        return (await ask({ type: "newer", keys }, storage)).newer ?? new Uint32Array(0);
      },
      locate: async (keys) => {
        requireBrought();
        return (await ask({ type: "locate", keys }, null)).located ?? [];
      },
      values: async (storage, keys, columns) => {
        requireBrought();
        const { values } = await ask({ type: "values", keys, columns }, storage);
        assert(values !== undefined, "values are answered by values");
        return values;
      },
      rowIds: async (storage, keys) => {
        requireBrought();
        const { rowIds } = await ask({ type: "rowIds", keys }, storage);
        assert(rowIds !== undefined, "row ids are answered by row ids");
        return rowIds;
      },
      rewritten: (files) => {
        // An index that was not asked yet, and one whose Worker ends, reads the table as it will be then. The Worker
        // may be busy: what is asked later comes behind this anyway, so nobody waits.
        if (brought !== null && brought === this.#worker)
          void ask({ type: "rewritten", files }, null).catch(() => undefined);
        return Promise.resolve();
      },
      apply: async (change, landed) => {
        await ask({ type: "apply", change, landed }, null);
      },
      close: async () => {
        const isOpen = opened !== null && opened === this.#worker;
        brought = null;
        if (!isOpen) return;
        const closed = ask({ type: "close" }, null);
        // Who asks again opens it again, behind the end of this one.
        opened = null;
        await closed;
      },
    };
  }

  close(): Promise<void> {
    this.#end("it was stopped");
    return Promise.resolve();
  }

  #running(): Worker {
    if (this.#worker !== null) return this.#worker;
    const start =
      this.#parts.startWorker ?? ((): Worker => new Worker(workerUrl("keyindex/worker.ts")));
    const worker = start();
    worker.onmessage = ({ data }: MessageEvent<Reply>): void => this.#receive(worker, data);
    const ended = (reason: string): void => {
      if (this.#worker === worker) this.#end(reason);
    };
    worker.onerror = ({ message }): void => ended(message);
    worker.addEventListener("close", () => ended("it exited"));
    this.#worker = worker;
    return worker;
  }

  /** Indexes go on in a new Worker, from what is on disk. */
  #end(reason: string): void {
    const worker = this.#worker;
    this.#worker = null;
    this.bytes = 0;
    worker?.terminate();
    const error = fail("key_index", `The Worker of the key indexes ended: ${reason}`);
    for (const { result } of this.#calls.values()) result.reject(error);
    this.#calls.clear();
  }

  #receive(worker: Worker, message: Reply): void {
    switch (message.type) {
      case "read":
        void this.#read(worker, message);
        break;
      case "done":
        this.#calls.get(message.call)?.result.resolve(message.answer);
        this.#calls.delete(message.call);
        break;
      case "failed":
        this.#calls.get(message.call)?.result.reject(fail(message.kind, message.sentence));
        this.#calls.delete(message.call);
        break;
      case "memory":
        if (worker === this.#worker) this.bytes = message.bytes;
        break;
      case "warn":
        this.#parts.warn(message.sentence);
        break;
    }
  }

  async #read(worker: Worker, message: Extract<Reply, { type: "read" }>): Promise<void> {
    const { call, read, location, range } = message;
    const storage = this.#calls.get(call)?.storage ?? null;
    try {
      if (storage === null) throw fail("internal", "Only a call that has a storage reads from it");
      const bytes =
        range === null
          ? await storage.get(location)
          : await storage.getRange(location, range.start, range.length);
      send(worker, { type: "bytes", read, bytes });
    } catch (error) {
      send(worker, { type: "unread", read, kind: kindOf(error), sentence: describe(error) });
    }
  }
}

function send(worker: Worker, message: Request): void {
  worker.postMessage(message);
}

/** What an index has no use for: it would be copied for every attempt. */
function withoutHistory(metadata: TableMetadata): TableMetadata {
  const snapshots = metadata.snapshots.map((snapshot) => ({ ...snapshot, summary: {} }));
  return { ...metadata, snapshots, snapshotLog: [], metadataLog: [], unknown: {} };
}

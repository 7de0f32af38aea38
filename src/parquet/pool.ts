/**
 * The production encoder: a pool of Workers that encode off the event loop.
 *
 * Each pipeline has a lane; a lane has one job at a time, and lanes take turns (`lanes.ts`). A Worker
 * works on one job. When that one's store stands still, the Worker takes the next lane's: a store that
 * hangs holds its own pipeline, and 4 MiB of encoded bytes, in 16 MiB of memory at most.
 *
 * Files may stay open between their jobs (`OpenFile`); the Worker that began one has it to its end, and
 * when that Worker ends before, the file is lost: its owner has the rows, and begins another.
 *
 * WASM memory never shrinks, so a Worker that grew past its bound in a burst is replaced when its
 * jobs have ended. One that failed or died is replaced, too: after a trap its module may not be used again.
 */

import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { workerUrl } from "#base/workerUrl.ts";
import type { Field } from "#columns/schema.ts";
import { canStayOpen } from "./encode.ts";
import type {
  ByteSink,
  EncodedFile,
  EncodeOptions,
  OpenFile,
  OpenFileOptions,
  ParquetEncoder,
  RowSlice,
} from "./encoder.ts";
import { parcels } from "./handover.ts";
import { Lanes } from "./lanes.ts";
import { TASK_RANK, type Task } from "./protocol.ts";
import { type Done, type Job, WorkerThread } from "./thread.ts";

/** What the encoder works with. */
export interface WorkerEncoderParts {
  readonly clock: Clock;
  /** Workers at most; default 1: encoding takes less of a core than decoding does. */
  readonly workersMax?: number;
  /** Files that are open between their jobs at most; default `LIMITS.openFilesMax`. */
  readonly openFilesMax?: number;
  /** WASM memory, in bytes, above which a Worker is replaced after its jobs; default 96 MiB. */
  readonly memoryBytesMax?: number;
  /** Starts a Worker that speaks `protocol.ts`; default: `worker.ts`. */
  readonly startWorker?: () => Worker;
}

/** An encoder with lanes. Its own `encode` has a lane without a name. */
export interface WorkerEncoder extends ParquetEncoder {
  /** The encoder of one pipeline; to close it does nothing. */
  lane(name: string): ParquetEncoder;
}

/** Starts a Worker, about 60 ms until it can encode; a lane's files are encoded in the order of the calls. */
export function createWorkerEncoder(parts: WorkerEncoderParts): WorkerEncoder {
  return new Pool(parts);
}

/** A job, and the file that it is of when that stays open between its jobs. */
interface PoolJob extends Job {
  readonly opened: Opened | null;
}

/** What a job is asked for with. */
type Asked = Pick<Job, "lane" | "task" | "sink">;

/** A file that is open: the thread that has it, once its first rows are there. */
interface Opened {
  readonly number: number;
  thread: WorkerThread | null;
}

class Pool implements WorkerEncoder {
  readonly #clock: Clock;
  readonly #workersMax: number;
  readonly #openFilesMax: number;
  readonly #memoryBytesMax: number;
  readonly #startWorker: () => Worker;
  readonly #waiting = new Lanes<PoolJob>();
  /** Retiring ones are here until their last job has ended. */
  #threads: WorkerThread[] = [];
  readonly #open = new Set<Opened>();
  #opened = 0;
  #state: "open" | "closed" = "open";

  constructor(parts: WorkerEncoderParts) {
    this.#clock = parts.clock;
    this.#workersMax = parts.workersMax ?? 1;
    this.#openFilesMax = parts.openFilesMax ?? LIMITS.openFilesMax;
    this.#memoryBytesMax = parts.memoryBytesMax ?? LIMITS.workerBytesMax;
    this.#startWorker =
      parts.startWorker ??
      ((): Worker => new Worker(workerUrl("parquet/worker.ts"), { smol: true }));
    this.#threads.push(this.#newThread());
  }

  encode(
    fields: readonly Field[],
    slices: Iterable<RowSlice>,
    options: EncodeOptions,
    sink: ByteSink,
  ): Promise<EncodedFile> {
    return this.lane("").encode(fields, slices, options, sink);
  }

  open(fields: readonly Field[], options: OpenFileOptions): OpenFile | null {
    return this.lane("").open(fields, options);
  }

  lane(lane: string): ParquetEncoder {
    return {
      encode: async (fields, slices, options, sink) => {
        const task: Task = { kind: "encode", fields, options };
        const { file } = await this.#run({ lane, task, sink }, slices, null);
        assert(file !== null, "a file that is encoded in one go has an end");
        return file;
      },
      open: (fields, options) => this.#openFile(lane, fields, options),
      close: () => Promise.resolve(),
    };
  }

  #openFile(lane: string, fields: readonly Field[], asked: OpenFileOptions): OpenFile | null {
    if (this.#open.size >= this.#openFilesMax || !canStayOpen(fields, asked)) return null;
    const opened: Opened = { number: this.#opened++, thread: null };
    const file = opened.number;
    this.#open.add(opened);
    return {
      append: async (slices, sink) => {
        const options = { ...asked, metadata: {} };
        const task: Task = { kind: "append", file, fields, options };
        await this.#run({ lane, task, sink }, slices, opened);
      },
      finish: async (slices, metadata, sink) => {
        const task: Task = { kind: "finish", file, fields, options: { ...asked, metadata } };
        const done = await this.#run({ lane, task, sink }, slices, opened);
        assert(done.file !== null, "a file that is finished has an end");
        this.#open.delete(opened);
        return done.file;
      },
      discard: () => {
        if (this.#open.delete(opened)) opened.thread?.forget(file);
      },
    };
  }

  /** Ends every Worker at once; files that are being encoded are rejected. */
  close(): Promise<void> {
    this.#state = "closed";
    for (const { result } of this.#waiting.takeAll()) result.reject(closedError());
    for (const thread of this.#threads) thread.terminate();
    this.#threads = [];
    return Promise.resolve();
  }

  /** @param opened the file that the job is of, when it stays open between its jobs */
  async #run(asked: Asked, slices: Iterable<RowSlice>, opened: Opened | null): Promise<Done> {
    if (this.#state === "closed") throw closedError();
    const { fields } = asked.task;
    const source = parcels(fields, slices, this.#clock);
    const result = Promise.withResolvers<Done>();
    this.#waiting.add({ ...asked, opened, source, result }, TASK_RANK[asked.task.kind]);
    this.#start();
    return await result.promise;
  }

  /** Starts what may start. */
  #start(): void {
    const isBusy = (lane: string): boolean => this.#threads.some((thread) => thread.has(lane));
    while (this.#state === "open") {
      const thread = this.#free();
      if (thread === null) return;
      const job = this.#waiting.take(isBusy);
      if (job === null) return;
      this.#begin(job, thread);
    }
  }

  /** Begins a job in a thread, or in the one that has its file. */
  #begin(job: PoolJob, free: WorkerThread): void {
    const { opened } = job;
    const thread = opened?.thread ?? free;
    if (!thread.isOpen) {
      job.result.reject(fail("encoder", "The Parquet encoder's Worker ended, with its open files"));
      return;
    }
    if (opened !== null) opened.thread = thread;
    void thread.run(job);
    void this.#watch(thread, job);
  }

  /** A Worker with nothing to do but wait for stores. */
  #free(): WorkerThread | null {
    this.#threads = this.#threads.filter((thread) => thread.isOpen || thread.isBusy);
    const open = this.#threads.filter((thread) => thread.isOpen);
    const free = open.find((thread) => !thread.isWorking);
    if (free !== undefined) return free;
    if (open.length >= this.#workersMax) return null;
    const added = this.#newThread();
    this.#threads.push(added);
    return added;
  }

  async #watch(thread: WorkerThread, { result }: PoolJob): Promise<void> {
    const done = await result.promise.catch(() => null);
    const hasFiles = this.#open.values().some((each) => each.thread === thread);
    if (done !== null && done.memoryBytes > this.#memoryBytesMax && !hasFiles) thread.retire();
    this.#start();
  }

  #newThread(): WorkerThread {
    return new WorkerThread(this.#startWorker(), () => this.#start());
  }
}

function closedError(): Error {
  return fail("encoder", "The Parquet encoder is closed");
}

/**
 * The production encoder: a pool of Workers that encode off the event loop.
 *
 * Each pipeline has a lane; a lane has one job at a time, and lanes take turns (`lanes.ts`). A Worker
 * works on one job. When that one's store stands still, the Worker takes the next lane's: a store that
 * hangs holds its own pipeline, and 4 MiB of encoded bytes.
 *
 * WASM memory never shrinks, so a Worker that grew past its bound in a burst is replaced when its
 * jobs have ended. One that failed or died is replaced, too: after a trap its module may not be used again.
 */

import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { workerUrl } from "#base/workerUrl.ts";
import type { Field } from "#columns/schema.ts";
import type { ByteSink, EncodedFile, EncodeOptions, ParquetEncoder, RowSlice } from "./encoder.ts";
import { parcels } from "./handover.ts";
import { Lanes } from "./lanes.ts";
import { TASK_RANK, type Task } from "./protocol.ts";
import { type Done, type Job, WorkerThread } from "./thread.ts";

/** What the encoder works with. */
export interface WorkerEncoderParts {
  readonly clock: Clock;
  /** Workers at most; default 1: encoding takes less of a core than decoding does. */
  readonly workersMax?: number;
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

class Pool implements WorkerEncoder {
  readonly #clock: Clock;
  readonly #workersMax: number;
  readonly #memoryBytesMax: number;
  readonly #startWorker: () => Worker;
  readonly #waiting = new Lanes<Job>();
  /** Retiring ones are here until their last job has ended. */
  #threads: WorkerThread[] = [];
  #state: "open" | "closed" = "open";

  constructor(parts: WorkerEncoderParts) {
    this.#clock = parts.clock;
    this.#workersMax = parts.workersMax ?? 1;
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
    return this.#encode("", fields, slices, options, sink);
  }

  lane(name: string): ParquetEncoder {
    return {
      encode: (fields, slices, options, sink) => this.#encode(name, fields, slices, options, sink),
      close: () => Promise.resolve(),
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

  async #encode(
    lane: string,
    fields: readonly Field[],
    slices: Iterable<RowSlice>,
    options: EncodeOptions,
    sink: ByteSink,
  ): Promise<EncodedFile> {
    if (this.#state === "closed") throw closedError();
    const task: Task = { kind: "encode", fields, options };
    const source = parcels(fields, slices, this.#clock);
    const result = Promise.withResolvers<Done>();
    this.#waiting.add({ lane, task, source, sink, result }, TASK_RANK[task.kind]);
    this.#start();
    return (await result.promise).file;
  }

  /** Starts what may start. */
  #start(): void {
    const isBusy = (lane: string): boolean => this.#threads.some((thread) => thread.has(lane));
    while (this.#state === "open") {
      const thread = this.#free();
      if (thread === null) return;
      const job = this.#waiting.take(isBusy);
      if (job === null) return;
      void thread.run(job);
      void this.#watch(thread, job);
    }
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

  async #watch(thread: WorkerThread, { result }: Job): Promise<void> {
    const done = await result.promise.catch(() => null);
    if (done !== null && done.memoryBytes > this.#memoryBytesMax) thread.retire();
    this.#start();
  }

  #newThread(): WorkerThread {
    return new WorkerThread(this.#startWorker(), () => this.#start());
  }
}

function closedError(): Error {
  return fail("encoder", "The Parquet encoder is closed");
}

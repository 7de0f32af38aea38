/**
 * The production encoder: one Worker that encodes one file at a time, off the event loop.
 *
 * WASM memory never shrinks, so a Worker that grew past its bound in a burst is replaced when it has
 * finished its file. A Worker that failed or died is replaced, too: after a trap its module may not
 * be used again.
 */
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import type { ByteSink, EncodedFile, EncodeOptions, ParquetEncoder, RowSlice } from "./encoder.ts";
import { parcels } from "./handover.ts";
import type { Reply, Request } from "./protocol.ts";

/** What the encoder works with. */
export interface WorkerEncoderParts {
  readonly clock: Clock;
  /** WASM memory, in bytes, above which a Worker is replaced after its file; default 96 MiB. */
  readonly memoryBytesMax?: number;
  /** Starts a Worker that speaks `protocol.ts`; default: `worker.ts`. */
  readonly startWorker?: () => Worker;
}

const MEMORY_BYTES_MAX = 96 * 1024 * 1024;

/** Starts a Worker, about 60 ms until it can encode; files are encoded in the order of the calls. */
export function createWorkerEncoder(parts: WorkerEncoderParts): ParquetEncoder {
  return new WorkerEncoder(parts);
}

class WorkerEncoder implements ParquetEncoder {
  readonly #clock: Clock;
  readonly #memoryBytesMax: number;
  readonly #startWorker: () => Worker;
  #worker: EncodingWorker;
  #queue: Promise<unknown> = Promise.resolve();
  #state: "open" | "closed" = "open";

  constructor(parts: WorkerEncoderParts) {
    this.#clock = parts.clock;
    this.#memoryBytesMax = parts.memoryBytesMax ?? MEMORY_BYTES_MAX;
    this.#startWorker =
      parts.startWorker ?? ((): Worker => new Worker(workerUrl(), { smol: true }));
    this.#worker = new EncodingWorker(this.#startWorker());
  }

  encode(
    fields: readonly Field[],
    slices: Iterable<RowSlice>,
    options: EncodeOptions,
    sink: ByteSink,
  ): Promise<EncodedFile> {
    const result = this.#queue.then(() => this.#encodeNow(fields, slices, options, sink));
    this.#queue = result.catch(() => {});
    return result;
  }

  async #encodeNow(
    fields: readonly Field[],
    slices: Iterable<RowSlice>,
    options: EncodeOptions,
    sink: ByteSink,
  ): Promise<EncodedFile> {
    if (this.#state === "closed") throw fail("encoder", "The Parquet encoder is closed");
    try {
      const source = parcels(fields, slices, this.#clock);
      const start = { type: "start", fields, options } as const;
      const { file, memoryBytes } = await this.#worker.run(start, source, sink);
      if (memoryBytes > this.#memoryBytesMax) this.#replaceWorker();
      return file;
    } catch (error) {
      this.#replaceWorker();
      throw error;
    }
  }

  #replaceWorker(): void {
    this.#worker.terminate();
    if (this.#state === "open") this.#worker = new EncodingWorker(this.#startWorker());
  }

  /** Ends the Worker at once; a file that is being encoded is rejected. */
  close(): Promise<void> {
    this.#state = "closed";
    this.#worker.terminate();
    return Promise.resolve();
  }
}

type Done = Extract<Reply, { type: "done" }>;
type Parcels = ReturnType<typeof parcels>;

/** A file that is being encoded. */
interface Job {
  readonly source: Parcels;
  readonly sink: ByteSink;
  readonly result: PromiseWithResolvers<Done>;
  /** Resolves when the sink has taken every chunk that arrived. */
  written: Promise<void>;
  /** Messages of batches that the Worker asked for and has not got. */
  pullsOwed: number;
}

/** One Worker, from its start to its end. */
class EncodingWorker {
  readonly #worker: Worker;
  readonly #ready: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  #job: Job | null = null;
  #ended: Error | null = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.#ready.promise.catch(() => {});
    this.#worker.onmessage = (event: MessageEvent<Reply>): void => this.#receive(event.data);
    this.#worker.onerror = (event): void => this.#end(event.message);
    this.#worker.addEventListener("close", () => this.#end("it exited"));
  }

  async run(start: Request, source: Parcels, sink: ByteSink): Promise<Done> {
    await this.#ready.promise;
    if (this.#ended !== null) throw this.#ended;
    const result = Promise.withResolvers<Done>();
    const job: Job = { source, sink, result, written: Promise.resolve(), pullsOwed: 0 };
    this.#job = job;
    this.#worker.postMessage(start);
    try {
      return await result.promise;
    } finally {
      this.#job = null;
      // The sink is the caller's again when this settles.
      await job.written;
    }
  }

  terminate(): void {
    this.#end("it was stopped");
    this.#worker.terminate();
  }

  #end(reason: string): void {
    if (this.#ended !== null) return;
    this.#ended = fail("encoder", `The Parquet encoder's Worker ended: ${reason}`);
    this.#ready.reject(this.#ended);
    this.#job?.result.reject(this.#ended);
  }

  #receive(reply: Reply): void {
    const job = this.#job;
    if (reply.type === "ready") this.#ready.resolve();
    if (job === null) return;
    if (reply.type === "pull") void this.#feed(job);
    if (reply.type === "chunk") job.written = this.#write(job, job.written, reply.chunk);
    if (reply.type === "done") void job.written.then(() => job.result.resolve(reply));
    if (reply.type === "failed") job.result.reject(fail(reply.kind, reply.sentence));
  }

  /** Gives a chunk to the sink after those before it; after a failure no more. */
  async #write(job: Job, before: Promise<void>, chunk: Uint8Array): Promise<void> {
    await before;
    if (this.#job !== job) return;
    try {
      await job.sink(chunk);
      if (this.#job !== job) return;
      const memory = chunk.buffer as ArrayBuffer;
      const message: Request = { type: "written", bytes: chunk.length, memory };
      this.#worker.postMessage(message, [memory]);
    } catch (error) {
      job.result.reject(error);
      this.#job = null;
    }
  }

  /** Answers every pull with one message, in order; after the end with empty ones. */
  async #feed(job: Job): Promise<void> {
    job.pullsOwed++;
    if (job.pullsOwed > 1) return;
    for (; job.pullsOwed > 0; job.pullsOwed--) {
      try {
        const next = await job.source.next();
        if (this.#job !== job || this.#ended !== null) return;
        const parcel = next.done === true ? { batches: [], transfer: [] } : next.value;
        const message: Request = { type: "batches", batches: parcel.batches };
        this.#worker.postMessage(message, parcel.transfer);
      } catch (error) {
        job.result.reject(error);
        return;
      }
    }
  }
}

/**
 * Where the Worker's code is: beside this file, or in the executable, where every module has the
 * main file's URL and entry points keep their path below the build's root, `src/`.
 */
function workerUrl(): URL {
  const entryPoint = "./parquet/worker.ts";
  const inExecutable = Bun.embeddedFiles.length > 0;
  return inExecutable
    ? new URL(entryPoint, import.meta.url)
    : new URL("./worker.ts", import.meta.url);
}

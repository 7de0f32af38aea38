/**
 * One Worker as its owner sees it, from its start to its end, and the jobs that are under way in it:
 * rows are handed over as they are asked for, and encoded bytes go to each job's sink in order.
 */
import { fail } from "#base/errors.ts";
import type { ByteSink } from "./encoder.ts";
import type { parcels } from "./handover.ts";
import type { Reply, Request, Task } from "./protocol.ts";

/** Bytes that wait for a sink from which on its job counts as blocked. The Worker stops it at 4 MiB. */
const BLOCKED_BYTES = 2 * 1024 * 1024;

/**
 * `working`: the thread has something to do for it. `blocked`: it waits until its sink takes bytes.
 * `written_out`: the thread is done with it, its last bytes are on their way. `ended`.
 */
type JobState = "working" | "blocked" | "written_out" | "ended";

/** How a job's task ended. */
export type Done = Extract<Reply, { type: "done" }>;

/** A task with what it reads and what it writes to. */
export interface Job {
  readonly lane: string;
  readonly task: Task;
  readonly source: ReturnType<typeof parcels>;
  readonly sink: ByteSink;
  readonly result: PromiseWithResolvers<Done>;
}

/** A job under way. */
interface Running {
  readonly id: number;
  readonly job: Job;
  state: JobState;
  /** False after a failure: its sink hears nothing more, and what the Worker still says is not heard. */
  isWanted: boolean;
  /** Resolves when the sink has taken every chunk that arrived. */
  written: Promise<void>;
  waitingBytes: number;
  /** Messages of batches that the Worker asked for and has not got. */
  pullsOwed: number;
}

/** One Worker. */
export class WorkerThread {
  readonly #worker: Worker;
  readonly #changed: () => void;
  readonly #ready: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly #running = new Map<number, Running>();
  #jobs = 0;
  #ended: Error | null = null;
  /** It takes no new jobs, and ends with those that it has. */
  #retiring = false;

  /** @param changed called whenever another job may fit in */
  constructor(worker: Worker, changed: () => void) {
    this.#worker = worker;
    this.#changed = changed;
    this.#ready.promise.catch(() => {});
    this.#worker.onmessage = (event: MessageEvent<Reply>): void => this.#receive(event.data);
    this.#worker.onerror = (event): void => this.#end(event.message);
    this.#worker.addEventListener("close", () => this.#end("it exited"));
  }

  /** True when it takes jobs. */
  get isOpen(): boolean {
    return this.#ended === null && !this.#retiring;
  }

  /** True while the thread itself is busy. */
  get isWorking(): boolean {
    return this.#running.values().some(({ state }) => state === "working");
  }

  /** True while it has jobs. */
  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /** True while a lane has a job here, also one that only waits for its sink. */
  has(lane: string): boolean {
    return this.#running.values().some(({ job }) => job.lane === lane);
  }

  /** Runs a job to its end; its `result` settles when its sink is the caller's again. */
  async run(job: Job): Promise<void> {
    const id = ++this.#jobs;
    const running: Running = {
      id,
      job,
      state: "working",
      isWanted: true,
      written: Promise.resolve(),
      waitingBytes: 0,
      pullsOwed: 0,
    };
    this.#running.set(id, running);
    try {
      await this.#ready.promise;
      if (this.#ended === null) this.#send({ type: "start", job: id, task: job.task });
    } catch (error) {
      await this.#fail(running, error);
    }
  }

  /** Drops an open file that has no job here. */
  forget(file: number): void {
    if (this.#ended === null) this.#send({ type: "forget", file });
  }

  /** Ends when its jobs have ended. */
  retire(): void {
    this.#retiring = true;
    if (this.#running.size === 0) this.terminate();
  }

  /** Ends at once; jobs under way are rejected. */
  terminate(): void {
    this.#end("it was stopped");
    this.#worker.terminate();
  }

  #end(reason: string): void {
    if (this.#ended !== null) return;
    this.#ended = fail("encoder", `The Parquet encoder's Worker ended: ${reason}`);
    this.#ready.reject(this.#ended);
    for (const running of this.#running.values()) void this.#fail(running, this.#ended);
    this.#changed();
  }

  #send(message: Request, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(reply: Reply): void {
    if (reply.type === "ready") {
      this.#ready.resolve();
      return;
    }
    const running = this.#running.get(reply.job);
    if (running === undefined) return;
    switch (reply.type) {
      case "pull":
        void this.#feed(running);
        return;
      case "chunk":
        this.#chunk(running, reply.chunk);
        return;
      case "done":
        this.#become(running, "written_out");
        void running.written.then(() => this.#finish(running, reply));
        return;
      case "failed":
        this.#become(running, "written_out");
        void this.#fail(running, fail(reply.kind, reply.sentence));
        // After a fault in WASM its memory may not be used again.
        if (reply.kind === "internal") this.terminate();
    }
  }

  #chunk(running: Running, chunk: Uint8Array): void {
    if (!running.isWanted) return;
    running.waitingBytes += chunk.length;
    running.written = this.#write(running, running.written, chunk);
    if (running.waitingBytes >= BLOCKED_BYTES) this.#become(running, "blocked");
  }

  /** Gives a chunk to the sink after those before it; after a failure no more. */
  async #write(running: Running, before: Promise<void>, chunk: Uint8Array): Promise<void> {
    await before;
    if (!running.isWanted) return;
    try {
      await running.job.sink(chunk);
    } catch (error) {
      void this.#cancel(running, error);
      return;
    }
    running.waitingBytes -= chunk.length;
    if (running.waitingBytes < BLOCKED_BYTES && running.state === "blocked") {
      this.#become(running, "working");
    }
    if (this.#ended !== null) return;
    const memory = chunk.buffer as ArrayBuffer;
    this.#send({ type: "written", job: running.id, bytes: chunk.length, memory }, [memory]);
  }

  /** Answers every pull with one message, in order; after the end with empty ones. */
  async #feed(running: Running): Promise<void> {
    running.pullsOwed++;
    if (running.pullsOwed > 1) return;
    for (; running.pullsOwed > 0; running.pullsOwed--) {
      try {
        const next = await running.job.source.next();
        if (!running.isWanted || this.#ended !== null) return;
        const parcel = next.done === true ? { batches: [], transfer: [] } : next.value;
        this.#send({ type: "batches", job: running.id, batches: parcel.batches }, parcel.transfer);
      } catch (error) {
        void this.#cancel(running, error);
        return;
      }
    }
  }

  /** The caller's part of a job failed: the Worker drops the rest of it, and goes on with others. */
  async #cancel(running: Running, error: unknown): Promise<void> {
    if (this.#ended === null) this.#send({ type: "cancel", job: running.id });
    await this.#fail(running, error);
  }

  async #fail(running: Running, error: unknown): Promise<void> {
    if (running.isWanted) {
      running.isWanted = false;
      await running.written;
      running.job.result.reject(error);
    }
    // One that was cancelled is the Worker's until that says so.
    if (running.state === "written_out" || this.#ended !== null) this.#forget(running);
  }

  #finish(running: Running, done: Done): void {
    if (running.isWanted) running.job.result.resolve(done);
    running.isWanted = false;
    this.#forget(running);
  }

  #forget(running: Running): void {
    this.#running.delete(running.id);
    this.#become(running, "ended");
    if (this.#retiring && this.#running.size === 0) this.terminate();
  }

  #become(running: Running, state: JobState): void {
    running.state = state;
    this.#changed();
  }
}

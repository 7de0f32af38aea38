/**
 * Entry of a Worker: pulls batches from its owner, encodes them and hands the file's bytes back
 * (`protocol.ts`). Jobs take turns wherever one waits for its rows or for its bytes to be written.
 *
 * A separate entry point of the executable: `scripts/build.ts` names it beside `main.ts`.
 */

import { systemClock } from "#base/clock.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { BatchData, BatchSource } from "./columnData.ts";
import { encodeParquet } from "./encode.ts";
import type { ByteSink, EncodedFile } from "./encoder.ts";
import { KernelFile, kernelBytes } from "./kernel/encode.ts";
import { givePiece, isPiece, PIECE_BYTES } from "./pieces.ts";
import type { Reply, Request, Task } from "./protocol.ts";
import { parquetWasmBytes } from "./wasm.ts";

declare const self: Worker;

/** Messages of batches asked for ahead, so that encoding seldom waits for the owner's loop. */
const PULLS_AHEAD = 2;

/** Shared memory is used again by its owner; what is left of it here only keeps it from being freed. */
const SHARED_WEIGHT = 1 / 8;

/** Without a job for so long, all is collected. */
const REST_MS = 10_000;

let garbageBytes = 0;
/** Jobs that have ended. */
let ended = 0;

/** A job under way. */
interface Running {
  readonly id: number;
  readonly arrived: (readonly BatchData[])[];
  unwritten: number;
  isCancelled: boolean;
  /** Called when a message for it has come. */
  wake: () => void;
}

const running = new Map<number, Running>();

/** Files between two of their jobs. */
const open = new Map<number, KernelFile>();

/** Waits for the owner's next message to a job. */
async function message(job: Running): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const others = job.wake;
  job.wake = (): void => {
    others();
    resolve();
  };
  if (!job.isCancelled) await promise;
  if (job.isCancelled) throw fail("encoder", "The file is not wanted any more");
}

function reply(message: Reply, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer);
}

/** The job's batches until the owner sends an empty message. */
async function* pulled(job: Running): AsyncGenerator<BatchData> {
  for (let pulls = 0; pulls < PULLS_AHEAD; pulls++) reply({ type: "pull", job: job.id });
  for (;;) {
    const batches = job.arrived.shift();
    if (batches === undefined) {
      await message(job);
      continue;
    }
    if (batches.length === 0) return;
    reply({ type: "pull", job: job.id });
    yield* batches;
  }
}

/** Hands a chunk to the owner, once enough of those before it are written. */
async function emit(job: Running, chunk: Uint8Array): Promise<void> {
  while (job.isCancelled || isFull(job, chunk)) await message(job);
  job.unwritten += chunk.length;
  const sent = withOwnMemory(chunk);
  reply({ type: "chunk", job: job.id, chunk: sent }, [sent.buffer as ArrayBuffer]);
}

/** What is on its way is counted by its bytes, so that a chunk shall not hold a piece which it hardly fills. */
function withOwnMemory(chunk: Uint8Array): Uint8Array {
  const { buffer } = chunk;
  if (isPiece(buffer) && chunk.length > PIECE_BYTES / 4) return chunk;
  const copy = chunk.slice();
  if (isPiece(buffer)) givePiece(buffer as ArrayBuffer);
  return copy;
}

function isFull({ unwritten }: Running, { length }: Uint8Array): boolean {
  return unwritten > 0 && unwritten + length > LIMITS.unwrittenBytesMax;
}

/** The file with all bounds in one buffer: a buffer for each would take more than its content. */
function packed(file: EncodedFile): EncodedFile {
  const bounds = file.metrics.flatMap(({ lowerBound, upperBound }) => [lowerBound, upperBound]);
  const all = new Uint8Array(bounds.reduce((sum, bound) => sum + (bound?.length ?? 0), 0));
  let end = 0;
  const pack = (bound: Uint8Array | null): Uint8Array | null => {
    if (bound === null) return null;
    all.set(bound, end);
    end += bound.length;
    return all.subarray(end - bound.length, end);
  };
  const metrics = file.metrics.map((each) => ({
    ...each,
    lowerBound: pack(each.lowerBound),
    upperBound: pack(each.upperBound),
  }));
  return { ...file, metrics };
}

/** Null: the file stays open. */
async function perform(
  task: Task,
  batches: BatchSource,
  sink: ByteSink,
): Promise<EncodedFile | null> {
  const { fields, options } = task;
  if (task.kind === "encode") return await encodeParquet(fields, batches, options, sink);
  const file = open.get(task.file) ?? new KernelFile(fields, options);
  // Until its rows are in: one that failed is not gone on with.
  open.delete(task.file);
  await file.append(batches, sink);
  if (task.kind === "finish") return await file.finish(options.metadata, sink);
  open.set(task.file, file);
  return null;
}

async function run({ job: id, task }: Extract<Request, { type: "start" }>): Promise<void> {
  const job: Running = { id, arrived: [], unwritten: 0, isCancelled: false, wake: () => undefined };
  running.set(id, job);
  try {
    const sink = (chunk: Uint8Array): Promise<void> => emit(job, chunk);
    const file = await perform(task, pulled(job), sink);
    const memoryBytes = parquetWasmBytes() + kernelBytes();
    reply({ type: "done", job: id, file: file === null ? null : packed(file), memoryBytes });
  } catch (error) {
    reply({ type: "failed", job: id, kind: kindOf(error), sentence: describe(error) });
  }
  running.delete(id);
  if (garbageBytes >= LIMITS.workerGarbageBytesMax) collect();
  void rest(++ended);
}

function garbageOf({ byteCount, columns }: BatchData): number {
  const isShared = columns.some(({ data }) => data?.buffer instanceof SharedArrayBuffer);
  return isShared ? byteCount * SHARED_WEIGHT : byteCount;
}

function collect(): void {
  garbageBytes = 0;
  Bun.gc(true);
}

/** Collects unless another job has ended meanwhile. */
async function rest(job: number): Promise<void> {
  await systemClock.sleep(REST_MS);
  if (job === ended && running.size === 0) collect();
}

self.onmessage = ({ data }: MessageEvent<Request>): void => {
  if (data.type === "start") {
    void run(data);
    return;
  }
  if (data.type === "forget") {
    open.delete(data.file);
    return;
  }
  if (data.type === "written" && !givePiece(data.memory)) garbageBytes += data.memory.byteLength;
  const job = running.get(data.job);
  if (job === undefined) return;
  switch (data.type) {
    case "batches":
      job.arrived.push(data.batches);
      for (const batch of data.batches) garbageBytes += garbageOf(batch);
      break;
    case "written":
      job.unwritten -= data.bytes;
      break;
    case "cancel":
      job.isCancelled = true;
      break;
  }
  const woken = job.wake;
  job.wake = (): void => {};
  woken();
};

reply({ type: "ready" });

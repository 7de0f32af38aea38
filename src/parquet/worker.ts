/**
 * Entry of the encoding Worker: pulls batches from its owner, encodes them and hands the
 * file's bytes back (`protocol.ts`).
 *
 * A separate entry point of the executable: `scripts/build.ts` names it beside `main.ts`.
 */
import { systemClock } from "#base/clock.ts";
import { describe, kindOf } from "#base/errors.ts";
import type { BatchData } from "./columnData.ts";
import { encodeParquet } from "./encode.ts";
import type { EncodedFile } from "./encoder.ts";
import { kernelBytes } from "./kernel/encode.ts";
import { givePiece, isPiece } from "./pieces.ts";
import type { Reply, Request } from "./protocol.ts";
import { parquetWasmBytes } from "./wasm.ts";

declare const self: Worker;

/** Messages of batches asked for ahead, so that encoding seldom waits for the owner's loop. */
const PULLS_AHEAD = 2;

/** Bytes handed to the owner and not yet written, unless a single chunk is larger. */
const UNWRITTEN_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Bytes of batches after which garbage is collected: they lie outside the heap, so that nothing else
 * would do it soon. 10 ms each time.
 */
const GARBAGE_BYTES_MAX = 32 * 1024 * 1024;

/** Shared memory is used again by its owner; what is left of it here only keeps it from being freed. */
const SHARED_WEIGHT = 1 / 8;

/** Without a job for so long, all is collected. */
const REST_MS = 10_000;

let garbageBytes = 0;
/** Jobs that have ended. */
let jobs = 0;
const arrived: (readonly BatchData[])[] = [];
let unwritten = 0;
let wake: () => void = () => {};

/** Waits for the owner's next message. */
function message(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const others = wake;
  wake = (): void => {
    others();
    resolve();
  };
  return promise;
}

function reply(message: Reply, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer);
}

/** The job's batches until the owner sends an empty message. */
async function* pulled(): AsyncGenerator<BatchData> {
  for (let pulls = 0; pulls < PULLS_AHEAD; pulls++) reply({ type: "pull" });
  for (;;) {
    const batches = arrived.shift();
    if (batches === undefined) {
      await message();
      continue;
    }
    if (batches.length === 0) return;
    reply({ type: "pull" });
    yield* batches;
  }
}

/** Hands a chunk to the owner, once enough of those before it are written. */
async function emit(chunk: Uint8Array): Promise<void> {
  while (unwritten > 0 && unwritten + chunk.length > UNWRITTEN_BYTES_MAX) await message();
  unwritten += chunk.length;
  const sent = isPiece(chunk.buffer) ? chunk : chunk.slice();
  reply({ type: "chunk", chunk: sent }, [sent.buffer as ArrayBuffer]);
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

async function run(job: Extract<Request, { type: "start" }>): Promise<void> {
  try {
    const file = await encodeParquet(job.fields, pulled(), job.options, emit);
    reply({ type: "done", file: packed(file), memoryBytes: parquetWasmBytes() + kernelBytes() });
  } catch (error) {
    reply({ type: "failed", kind: kindOf(error), sentence: describe(error) });
  }
  if (garbageBytes >= GARBAGE_BYTES_MAX) collect();
  void rest(++jobs);
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
  if (job === jobs) collect();
}

self.onmessage = ({ data }: MessageEvent<Request>): void => {
  switch (data.type) {
    case "start":
      arrived.length = 0;
      unwritten = 0;
      void run(data);
      return;
    case "batches":
      arrived.push(data.batches);
      for (const batch of data.batches) garbageBytes += garbageOf(batch);
      break;
    case "written":
      unwritten -= data.bytes;
      givePiece(data.memory);
      break;
  }
  const woken = wake;
  wake = (): void => {};
  woken();
};

reply({ type: "ready" });

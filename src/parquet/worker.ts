/**
 * Entry of the encoding Worker: pulls batches from its owner and encodes them (`protocol.ts`).
 *
 * A separate entry point of the executable: `scripts/build.ts` names it beside `main.ts`.
 */
import { describe, kindOf } from "#base/errors.ts";
import type { BatchData } from "./columnData.ts";
import { encodeParquet } from "./encode.ts";
import type { Reply, Request } from "./protocol.ts";
import { loadParquetWasm, parquetWasmBytes } from "./wasm.ts";

declare const self: Worker;

/** Messages of batches asked for ahead, so that encoding seldom waits for the owner's loop. */
const PULLS_AHEAD = 2;

const arrived: (readonly BatchData[])[] = [];
let wake: () => void = () => {};

function reply(message: Reply, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer);
}

/** The job's batches until the owner sends an empty message. */
async function* pulled(): AsyncGenerator<BatchData> {
  for (let pulls = 0; pulls < PULLS_AHEAD; pulls++) reply({ type: "pull" });
  for (;;) {
    const batches = arrived.shift();
    if (batches === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    if (batches.length === 0) return;
    reply({ type: "pull" });
    yield* batches;
  }
}

async function run(job: Extract<Request, { type: "start" }>): Promise<void> {
  try {
    const file = await encodeParquet(job.fields, pulled(), job.options);
    const buffers = new Set(file.chunks.map((chunk) => chunk.buffer as ArrayBuffer));
    reply({ type: "done", file, memoryBytes: parquetWasmBytes() }, [...buffers]);
  } catch (error) {
    reply({ type: "failed", kind: kindOf(error), sentence: describe(error) });
  }
  // The garbage of one file lies outside the heap, so nothing else would collect it soon: 100 MB.
  Bun.gc(true);
}

self.onmessage = ({ data }: MessageEvent<Request>): void => {
  if (data.type === "start") {
    arrived.length = 0;
    void run(data);
    return;
  }
  arrived.push(data.batches);
  wake();
};

loadParquetWasm();
reply({ type: "ready" });

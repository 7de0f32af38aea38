/**
 * Asks for garbage collection while records flow.
 *
 * Fetched, decoded and copied bytes lie outside the JavaScript heap, whose growth is what makes the
 * runtime collect: left alone, a busy machine holds hundreds of MB of them longer than needed.
 */
import type { Clock } from "#base/clock.ts";
import { trimBuffers } from "#columns/buffers.ts";

const EVERY_MS = 250;
/** What the process needs beside its hot buffers: runtime, fetch queue, encoding Worker. */
const BASE_BYTES = 240 * 1024 * 1024;

/** What the process does, for {@link collectWhileFlowing}. */
export interface Flow {
  /** Grows with every record read. */
  consumed(): number;
  /** Bytes in hot buffers. */
  buffered(): number;
  /** Resident memory. */
  resident(): number;
}

/**
 * Four times a second, unless nothing was consumed since: lets the collector run beside the event
 * loop, and makes it finish at once (10 to 25 ms) when memory is far above what is in use.
 */
export async function collectWhileFlowing(
  clock: Clock,
  flow: Flow,
  signal: AbortSignal,
): Promise<void> {
  for (let before = flow.consumed(); !signal.aborted; ) {
    await clock.sleep(EVERY_MS, signal);
    const now = flow.consumed();
    trimBuffers();
    if (now !== before) Bun.gc(flow.resident() > BASE_BYTES + flow.buffered());
    before = now;
  }
}

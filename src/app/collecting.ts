/**
 * Asks for garbage collection while records flow, and once when they have ceased.
 *
 * Fetched, decoded and copied bytes lie outside the JavaScript heap, whose growth is what makes the
 * runtime collect: left alone, a busy machine holds hundreds of MB of them longer than needed.
 */
import type { Clock } from "#base/clock.ts";
import { freeBufferBytes, trimBuffers } from "#columns/buffers.ts";

const EVERY_MS = 250;
/** From here on the collector runs beside the event loop: not for a few records a second. */
const GARBAGE_BYTES = 48 * 1024 * 1024;
/** From here on it has to finish at once, for 20 to 50 ms: memory is worth more than latency. */
const GARBAGE_BYTES_MAX = 128 * 1024 * 1024;
/** Looks without a record after which all is collected, once: free buffers have been let go of. */
const QUIET_LOOKS = 30;

/** What the process does, for {@link collectWhileFlowing}. */
export interface Flow {
  /** Grows with every record read. */
  consumed(): number;
  /** Bytes in hot buffers. */
  buffered(): number;
  /** Bytes outside the JavaScript heap, garbage included. */
  external(): number;
}

/** Looks four times a second until `signal` is aborted; `collect` is `Bun.gc` but in tests. */
export async function collectWhileFlowing(
  clock: Clock,
  flow: Flow,
  signal: AbortSignal,
  collect: (atOnce: boolean) => void = Bun.gc,
): Promise<void> {
  let before = flow.consumed();
  for (let quiet = 0; !signal.aborted; quiet++) {
    await clock.sleep(EVERY_MS, signal);
    trimBuffers();
    const now = flow.consumed();
    if (now !== before) quiet = 0;
    before = now;
    // Beside garbage these are fetched bytes that wait and the kernels' memory.
    const others = flow.external() - flow.buffered() - freeBufferBytes();
    if (quiet === QUIET_LOOKS || others > GARBAGE_BYTES_MAX) collect(true);
    else if (quiet === 0 && others > GARBAGE_BYTES) collect(false);
  }
}

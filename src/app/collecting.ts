/**
 * Collects garbage while records flow, and once after they have ceased.
 *
 * Fetched, decoded and copied bytes lie outside the JavaScript heap. The runtime collects when its
 * heap grows, and does not see them: without this a busy process holds hundreds of MB of garbage.
 */

import type { Clock } from "#base/clock.ts";
import { LIMITS } from "#base/limits.ts";
import { freeBufferBytes, trimBuffers } from "#columns/buffers.ts";
import { dropFreeParts, freePartBytes } from "#storage/partMemory.ts";

const EVERY_MS = 250;
/**
 * So many looks without a record, 7.5 s, and everything is collected once: by then free buffers are no
 * longer kept for reuse (`columns/buffers.ts`), and their memory goes back to the system. Parts of
 * uploads are not kept from then on.
 */
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
    if (quiet >= QUIET_LOOKS) dropFreeParts();
    // What is left is garbage, and with it fetched bytes that wait and the memory of the kernels.
    const others = flow.external() - flow.buffered() - freeBufferBytes() - freePartBytes();
    if (quiet === QUIET_LOOKS || others > LIMITS.garbageBytesMax) collect(true);
    else if (quiet === 0 && others > LIMITS.garbageBytesTarget) collect(false);
  }
}

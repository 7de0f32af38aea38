/**
 * Collects garbage while records flow, and once after they have ceased.
 *
 * The runtime collects what is young by itself, and what has grown old when its heap has doubled; it counts the
 * columns of the hot buffer as heap, and does not tell how much of all is dead. So old garbage is what resident
 * memory has grown by: decision 0474.
 */

import { fullGC } from "bun:jsc";
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
/** Of what a collection has left: more than that on top is taken for garbage. */
const GROWTH = 1 / 8;
/** What a collection has left is forgotten by so many bytes a look while less is in use. */
const FORGOTTEN_BYTES = 1024 * 1024;

/** What the process does, for {@link collectWhileFlowing}. */
export interface Flow {
  /** Grows with every record read. */
  consumed(): number;
  /** Bytes in hot buffers. */
  buffered(): number;
  /** Bytes outside the JavaScript heap, garbage and received bytes that are gone included. */
  external(): number;
  /** Bytes of the process in memory, key indexes left out: an eighth of hundreds of megabytes would be much garbage. */
  resident(): number;
}

/**
 * `young`: what was made lately, beside the event loop. `old`: whatever is dead, at once, 25 ms. `all`: compiled code
 * too, which is made again when it is needed.
 */
export type Collect = (what: "young" | "old" | "all") => void;

/** Looks four times a second until `signal` is aborted; `collect` is the runtime's but in tests. */
export async function collectWhileFlowing(
  clock: Clock,
  flow: Flow,
  signal: AbortSignal,
  collect: Collect = collectNow,
): Promise<void> {
  const growth = new Growth();
  let before = flow.consumed();
  for (let quiet = 0; !signal.aborted; quiet++) {
    await clock.sleep(EVERY_MS, signal);
    trimBuffers();
    const now = flow.consumed();
    if (now !== before) quiet = 0;
    before = now;
    if (quiet >= QUIET_LOOKS) dropFreeParts();
    const columns = flow.buffered() + freeBufferBytes() + freePartBytes();
    const isAll = quiet === QUIET_LOOKS;
    const isLarge = growth.isLarge(flow.resident() - columns, isAll);
    if (isAll) collect("all");
    else if (isLarge) collect("old");
    else if (quiet === 0 && flow.external() - columns > LIMITS.youngBytesMax) collect("young");
  }
}

/** Whether memory has grown since the last collection, beyond what a busy process needs. */
class Growth {
  /** What was there after it. */
  #leftBytes: number = LIMITS.busyBytes;
  /** Memory of what was collected goes back within a moment: what is left is seen at the next look. */
  #isCollected = false;

  /**
   * @param isAll all is collected, however much it is
   * @returns true when that is to be collected, at once: what the next call is told is left of it
   */
  isLarge(bytes: number, isAll: boolean): boolean {
    if (this.#isCollected) this.#leftBytes = bytes;
    else if (bytes < this.#leftBytes) this.#leftBytes -= FORGOTTEN_BYTES;
    this.#leftBytes = Math.max(this.#leftBytes, LIMITS.busyBytes);
    const isLarge = bytes > this.#leftBytes * (1 + GROWTH);
    this.#isCollected = isAll || isLarge;
    return isLarge;
  }
}

function collectNow(what: Parameters<Collect>[0]): void {
  if (what === "old") fullGC();
  else Bun.gc(what === "all");
}

/**
 * A bound on what is on its way at once: who comes when the bound is reached waits, first come first
 * served. What passes through may not wait for the gate again, or all of them could wait for each other.
 */

/** A gate that so many may pass at once. */
export interface Gate {
  /** Runs `action` once there is room; the room is free again when it settles. */
  through<T>(action: () => Promise<T>): Promise<T>;
}

/** @param atOnceMax at least 1 */
export function createGate(atOnceMax: number): Gate {
  let free = atOnceMax;
  const waiting: (() => void)[] = [];
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  };
  return {
    through: async (action) => {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await action();
      } finally {
        leave();
      }
    },
  };
}

/** Objects of one list that are looked after at once, where a store takes one a request. */
const EACH_AT_ONCE = 8;

/** Runs `action` for each item, a few at once; what fails first is thrown when those have settled. */
export async function eachOf<T>(
  items: readonly T[],
  action: (item: T) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < items.length; at += EACH_AT_ONCE) {
    const settled = await Promise.allSettled(items.slice(at, at + EACH_AT_ONCE).map(action));
    for (const result of settled) if (result.status === "rejected") throw result.reason;
  }
}

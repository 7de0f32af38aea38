/** What may happen to a request to a fake store instead of its answer. */

/**
 * An answer with a status and code that is not applied; the connection lost before or after the request
 * was applied; a success with a body that is not the store's, as a proxy may answer, after it was applied or not.
 */
export type StoreFault =
  | { readonly status: number; readonly code: string }
  | "lost_before"
  | "lost_after"
  | "odd_before"
  | "odd_after"
  | "odd_json_before"
  | "odd_json_after";

/** Faults by operation: the first request of one meets the first of its faults, and so on. */
export type Faults = Readonly<Record<string, readonly (StoreFault | null)[]>>;

/** Hands out faults, and counts requests. */
export function faultsOf(faults: Faults): {
  next(operation: string): StoreFault | null;
  count(operation: string): number;
} {
  const counts = new Map<string, number>();
  return {
    next: (operation) => {
      const count = counts.get(operation) ?? 0;
      counts.set(operation, count + 1);
      return faults[operation]?.[count] ?? null;
    },
    count: (operation) => counts.get(operation) ?? 0,
  };
}

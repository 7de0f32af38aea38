/**
 * The states of a table and of its flush, and the only functions that change them.
 *
 * A table's state says what it does with its feeds: it takes their rows, it is held by a person, it
 * is at its end. The state of its flush says where the sealed rows are: whether they still wait, are
 * being written, or will be tried again. Both are looked at by many (status, health, `--until-end`)
 * and changed by `sink.ts` alone.
 */
import { fail } from "#base/errors.ts";
import type { SealedRows } from "#buffer/segment.ts";
import type { AppendResult } from "#commit/shares.ts";
import type { Flush } from "#writer/tableWriter.ts";

/** What a table does now. */
export type TableState =
  | { readonly kind: "running" }
  /** A catalog or store is away: the same is tried again. */
  | { readonly kind: "retrying"; readonly cause: unknown }
  /** A person holds it. */
  | { readonly kind: "paused" }
  /** It takes no more rows: what it has is flushed, then it stops for this error. */
  | { readonly kind: "draining"; readonly error: unknown }
  | { readonly kind: "stopped"; readonly error: unknown };

/** What happens to a table. */
export type TableEvent =
  /** A start or a flush went through. */
  | { readonly kind: "went_through" }
  | { readonly kind: "held"; readonly cause: unknown }
  | { readonly kind: "paused" }
  /** What feeds it can no longer be read, or may not be: its topic, a record, a lost range. */
  | { readonly kind: "unreadable"; readonly error: unknown }
  /** A draining table has nothing left. */
  | { readonly kind: "drained" }
  /** It can no longer be written. */
  | { readonly kind: "failed"; readonly error: unknown };

/** The state after an event. */
export function nextState(state: TableState, event: TableEvent): TableState {
  if (state.kind === "stopped") return state;
  if (event.kind === "failed") return { kind: "stopped", error: event.error };
  if (state.kind === "draining") {
    return event.kind === "drained" ? { kind: "stopped", error: state.error } : state;
  }
  switch (event.kind) {
    case "went_through":
      return state.kind === "running" ? state : { kind: "running" };
    case "held":
      return { kind: "retrying", cause: event.cause };
    case "paused":
      return { kind: "paused" };
    case "unreadable":
      return { kind: "draining", error: event.error };
    case "drained":
      throw fail("internal", `A table that is ${state.kind} was not draining`);
  }
}

/** Whether a table takes rows of its feeds: those of others are read on without it. */
export function takesRows(state: TableState): boolean {
  return state.kind !== "draining" && state.kind !== "stopped";
}

/** Sealed rows with their flush. */
export interface SealedFlush {
  readonly flush: Flush;
  readonly segments: readonly SealedRows[];
}

/** A flush that landed, and what it committed. */
export interface Landed {
  readonly work: SealedFlush;
  readonly result: AppendResult & { readonly kind: "committed" };
}

/** How a flush ended. */
export interface Flushed {
  readonly result: AppendResult;
  readonly landed: Landed | null;
}

/** Where the sealed rows of a table are. */
export type FlushState =
  | { readonly kind: "idle" }
  /** Cut together with those of its siblings; it waits for its turn. */
  | { readonly kind: "sealed"; readonly work: SealedFlush }
  | { readonly kind: "flushing"; readonly work: SealedFlush }
  /** Not decided: the very same flush goes on later. */
  | { readonly kind: "held"; readonly work: SealedFlush };

/** What happens to a flush. */
export type FlushEvent =
  | { readonly kind: "seal"; readonly work: SealedFlush }
  | { readonly kind: "begin" }
  | { readonly kind: "hold" }
  /** Committed, dropped or failed; or a sealed flush of which no segment is left. */
  | { readonly kind: "end" };

/**
 * The state after an event.
 * @throws AppError `internal` for an event that cannot happen in a state: the process ends rather
 * than write a row twice
 */
export function nextFlush(state: FlushState, event: FlushEvent): FlushState {
  switch (event.kind) {
    case "seal":
      if (state.kind === "idle" || state.kind === "sealed")
        return { kind: "sealed", work: event.work };
      break;
    case "begin":
      if (state.kind === "sealed" || state.kind === "held") {
        return { kind: "flushing", work: state.work };
      }
      break;
    case "hold":
      if (state.kind === "flushing") return { kind: "held", work: state.work };
      break;
    case "end":
      if (state.kind !== "idle") return { kind: "idle" };
      break;
  }
  throw fail("internal", `A flush that is ${state.kind} cannot ${event.kind}`);
}

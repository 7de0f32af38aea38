/**
 * Messages between a process and the child that is its SQL engine. A call is answered by one reply of the
 * same id. The bytes of a run come before it, piece by piece: 64 MiB in one message held the event loop up for
 * 370 ms, in pieces for some 10 (and took a sixth of the CPU).
 */
import type { ErrorKind } from "#base/errors.ts";
import type { Run } from "./database.ts";

/** What the engine in a child process is made of. */
export interface EngineOptions {
  /** Where DuckDB's library may be written; null: nowhere. */
  readonly cacheFolder: string | null;
  /** What DuckDB counts of a statement. */
  readonly memoryBytesMax: number;
  /** What the child may take beyond what it has at its start, counted or not. */
  readonly processBytesMax: number;
}

/** What is asked of the child. */
export type Call = { readonly id: number } & CallBody;

/** A call without its id. */
export type CallBody =
  | { readonly type: "open"; readonly options: EngineOptions }
  | { readonly type: "admit"; readonly text: string }
  | { readonly type: "allow"; readonly folders: readonly string[] }
  | { readonly type: "columns"; readonly paths: readonly string[] }
  | { readonly type: "log"; readonly folder: string }
  | { readonly type: "run"; readonly run: Run };

/** Its answer: that of a run is pieces, and the word that all have come. */
export type Reply =
  | { readonly id: number; readonly piece: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly isWhole: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: CallError };

/** Why a call failed. */
export interface CallError {
  readonly kind: ErrorKind;
  readonly message: string;
  /** The child answers nothing any more. */
  readonly isLast: boolean;
}

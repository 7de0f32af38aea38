/**
 * What the encoding Worker and its owner say to each other.
 *
 * ```text
 * owner                      worker
 *   | <------ ready ----------- |   once
 *   | ------- start ----------> |   a job; one at a time
 *   | <------ pull ------------ |   wants more
 *   | ------- batches --------> |   about 1 MiB of columns, or none: the end
 *   | <------ chunk ----------- |   bytes of the file, in order
 *   | ------- written --------> |   the sink has taken a chunk; its memory comes back
 *   | <------ done | failed --- |
 * ```
 * Rows are pulled, and chunks wait until those before them are written, so that only a few megabytes
 * are under way in either direction, whatever the job's size and however slow the store.
 */
import type { ErrorKind } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import type { BatchData } from "./columnData.ts";
import type { EncodedFile, EncodeOptions } from "./encoder.ts";

/** Owner to Worker. */
export type Request =
  | {
      readonly type: "start";
      readonly fields: readonly Field[];
      readonly options: EncodeOptions;
    }
  /** No batches: there are no more. */
  | { readonly type: "batches"; readonly batches: readonly BatchData[] }
  | { readonly type: "written"; readonly bytes: number; readonly memory: ArrayBuffer };

/** Worker to owner. `memoryBytes`: of the Worker's WASM memory, which never shrinks. */
export type Reply =
  | { readonly type: "ready" }
  | { readonly type: "pull" }
  | { readonly type: "chunk"; readonly chunk: Uint8Array }
  | { readonly type: "done"; readonly file: EncodedFile; readonly memoryBytes: number }
  | { readonly type: "failed"; readonly kind: ErrorKind; readonly sentence: string };

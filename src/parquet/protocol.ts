/**
 * What a Worker and its owner say to each other. A Worker may have several jobs under way: each
 * message but the first names its job.
 *
 * ```text
 * owner                      worker
 *   | <------ ready ----------- |   once
 *   | ------- start ----------> |   a job: its kind, and what that needs
 *   | <------ pull ------------ |   wants more
 *   | ------- batches --------> |   1 MiB of copied columns, 8 MiB of shared ones, or none: the end
 *   | <------ chunk ----------- |   bytes of the file, in order
 *   | ------- written --------> |   the sink has taken a chunk; its memory comes back
 *   | ------- cancel ---------> |   nobody wants the rest; the job ends as failed
 *   | ------- forget ---------> |   an open file is wanted no more; it has no job under way
 *   | <------ done | failed --- |
 * ```
 * Rows are pulled, and chunks wait until those before them are written, so that only some megabytes
 * are under way in either direction, whatever the job's size and however slow the store. The thread
 * itself waits for no store: while a job's chunks wait, it works on others.
 */
import type { ErrorKind } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import type { BatchData } from "./columnData.ts";
import type { EncodedFile, EncodeOptions } from "./encoder.ts";

/**
 * What a job does. `encode`: a whole file. Of a file that stays open between its jobs, `append` encodes rows
 * and `finish` the last ones and the footer; the thread has it by its number.
 */
export type Task = {
  readonly fields: readonly Field[];
  readonly options: EncodeOptions;
} & ({ readonly kind: "encode" } | { readonly kind: "append" | "finish"; readonly file: number });

/** Which kinds go first: lower ones. What a commit waits for comes before what is written ahead of it. */
export const TASK_RANK: Readonly<Record<Task["kind"], number>> = {
  encode: 0,
  finish: 0,
  append: 1,
};

/** Owner to Worker. */
export type Request =
  | { readonly type: "start"; readonly job: number; readonly task: Task }
  /** No batches: there are no more. */
  | { readonly type: "batches"; readonly job: number; readonly batches: readonly BatchData[] }
  | {
      readonly type: "written";
      readonly job: number;
      readonly bytes: number;
      readonly memory: ArrayBuffer;
    }
  | { readonly type: "cancel"; readonly job: number }
  | { readonly type: "forget"; readonly file: number };

/** Worker to owner. `memoryBytes`: of the Worker's WASM memory, which never shrinks. */
export type Reply =
  | { readonly type: "ready" }
  | { readonly type: "pull"; readonly job: number }
  | { readonly type: "chunk"; readonly job: number; readonly chunk: Uint8Array }
  | {
      readonly type: "done";
      readonly job: number;
      /** Null: the file stays open. */
      readonly file: EncodedFile | null;
      readonly memoryBytes: number;
    }
  | {
      readonly type: "failed";
      readonly job: number;
      readonly kind: ErrorKind;
      readonly sentence: string;
    };

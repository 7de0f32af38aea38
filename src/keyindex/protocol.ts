/**
 * What the process and the Worker that holds its key indexes say to each other. A call is answered by one
 * reply of its number; while a head is read, the Worker asks its owner for bytes, who has the credentials.
 *
 * ```text
 * owner                               worker
 *   | ------- open ------------------> |   an index of a number
 *   | ------- bringTo | newer | locate | values | rowIds | rewritten -> |
 *   | ------- apply | close ---------> |
 *   | <------ read ------------------- |   bytes of an object, for a call
 *   | ------- bytes | unread --------> |
 *   | <------ done | failed ---------- |
 *   | <------ warn ------------------- |   nothing can be kept
 *   | <------ memory ----------------- |   what all indexes take now, before other words when it has changed
 * ```
 */
import type { ErrorKind } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import type { KeySecret } from "./keyHasher.ts";
import type {
  IndexChange,
  IndexColumns,
  KeySet,
  LandedSnapshot,
  LocatedRows,
  RewrittenFile,
  StandingValues,
} from "./port.ts";

/** An index to be opened. */
export interface IndexOptions extends IndexColumns {
  /** Where it is kept, and nothing else is. */
  readonly folder: string;
  readonly secret: KeySecret;
}

/** What is asked of an index. */
export type Question =
  | {
      readonly type: "bringTo";
      readonly table: Omit<LoadedTable, "storage">;
      readonly branch: string;
    }
  | { readonly type: "newer"; readonly keys: KeySet }
  | { readonly type: "locate"; readonly keys: KeySet }
  | { readonly type: "values"; readonly keys: KeySet; readonly columns: readonly Field[] }
  | { readonly type: "rowIds"; readonly keys: KeySet }
  | { readonly type: "rewritten"; readonly files: readonly RewrittenFile[] }
  | { readonly type: "apply"; readonly change: IndexChange; readonly landed: LandedSnapshot }
  | { readonly type: "close" };

/** What an index answers; what says only that it is done, answers with neither. */
export interface Answer {
  readonly located?: readonly LocatedRows[];
  readonly newer?: Uint32Array;
  readonly values?: StandingValues;
  readonly rowIds?: Float64Array;
}

/** Owner to Worker. */
export type Request =
  | { readonly type: "open"; readonly index: number; readonly options: IndexOptions }
  | {
      readonly type: "ask";
      readonly index: number;
      readonly call: number;
      readonly question: Question;
    }
  | { readonly type: "bytes"; readonly read: number; readonly bytes: Uint8Array }
  | {
      readonly type: "unread";
      readonly read: number;
      readonly kind: ErrorKind;
      readonly sentence: string;
    };

/** A part of an object; null: all of it. */
export type ReadRange = { readonly start: number; readonly length: number } | null;

/** Worker to owner. */
export type Reply =
  | { readonly type: "done"; readonly call: number; readonly answer: Answer }
  | {
      readonly type: "failed";
      readonly call: number;
      readonly kind: ErrorKind;
      readonly sentence: string;
    }
  | {
      readonly type: "read";
      readonly call: number;
      readonly read: number;
      readonly location: string;
      readonly range: ReadRange;
    }
  | { readonly type: "warn"; readonly sentence: string }
  | { readonly type: "memory"; readonly bytes: number };

/**
 * What a Protobuf value is read by: the program of its type, which a file or the value's head names.
 */
import type { Growth } from "#decode/decoder.ts";
import type { RejectReason } from "#decode/rejects.ts";
import type { MessageNode } from "./slots.ts";

/** What a value is read by, or why it cannot be. */
export type Found =
  | {
      readonly kind: "program";
      readonly node: MessageNode;
      /** Bytes of the value before its message. */
      readonly headBytes: number;
      /** What the schema asks of the table; null: it fits, or the table has answered. */
      readonly growth: Growth | null;
    }
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

/** Where a reader gets its programs. */
export interface Programs {
  /** What the value `bytes[start, end)` is read by. */
  find(bytes: Uint8Array, start: number, end: number): Found;
}

/** Of no message; before the first value. */
export const NO_NODE: MessageNode = {
  message: { name: "", fields: [] },
  slots: [],
  byNumber: new Map(),
  columns: [],
  lists: [],
  filled: [],
  beside: [],
  others: [],
  learnable: false,
};

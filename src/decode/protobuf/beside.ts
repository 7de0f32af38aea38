/**
 * Fields that are read by themselves: what stands for a value, and what `_rescued` keeps.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { RejectReason } from "#decode/rejects.ts";
import type { Rescue } from "#decode/rescue.ts";
import type { Scalar } from "./model.ts";
import { scalarJson } from "./scalars.ts";
import type { MessageNode, Slot } from "./slots.ts";
import type { WireReader } from "./wire.ts";

/** Reads a whole message by a program; null, or why it is refused. */
type ReadAlone = (node: MessageNode, bytes: Uint8Array) => RejectReason | null;

/** Those of one reader. */
export class BesideFields {
  readonly rescue: Rescue | null;
  readonly #read: ReadAlone;

  constructor(rescue: Rescue | null, read: ReadAlone) {
    this.rescue = rescue;
    this.#read = read;
  }

  /** Ends a field at the end of its message; null, or why its record is refused. */
  end({ column, path, value }: Slot): RejectReason | null {
    if (value.kind !== "beside") return null;
    const { node, aside, cover, pieces } = value.value;
    const [first] = pieces;
    if (first === undefined) return null;
    const whole = pieces.length === 1 ? first : new Uint8Array(Buffer.concat(pieces));
    pieces.length = 0;
    if (cover !== null && !cover.needsText) {
      if (column !== null) cover.append("", column);
      return null;
    }
    const refusal = this.#read(node, whole);
    if (refusal !== null) {
      aside.clear();
      return refusal;
    }
    if (cover === null) this.#keep(path, aside.takeJson(), column);
    else if (column !== null) {
      const text = aside.takeText();
      // A value that is none, an enum's unknown number: the field is missing, and its column says what that is.
      if (text !== null) cover.append(text, column);
    }
    return null;
  }

  /** Keeps the scalar that was read last, not settled, beside a null of its column; false: it may not be kept. */
  keepScalar(slot: Slot, scalar: Scalar, wire: WireReader, column: ColumnBuilder): boolean {
    if (this.rescue === null || !slot.keepsConflicts) return false;
    const path = slot.field.label === "repeated" ? `${slot.path}.element` : slot.path;
    this.#keep(path, scalarJson(wire, scalar), column);
    return true;
  }

  #keep(path: string, json: string | null, column: ColumnBuilder | null): void {
    if (json !== null) this.rescue?.keepText(path, json);
    column?.appendNull();
  }
}

/** Forgets what a message before has left. */
export function clearPieces({ beside }: MessageNode): void {
  for (const { value } of beside) if (value.kind === "beside") value.value.pieces.length = 0;
}

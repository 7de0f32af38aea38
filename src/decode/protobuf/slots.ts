/**
 * What a compiled message is made of: its fields as slots over column builders.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Aside } from "#decode/aside.ts";
import type { Cover } from "#decode/covers.ts";
import type { Filler } from "#decode/json/defaults.ts";
import type { TextParser } from "#decode/json/values.ts";
import type { RejectReason } from "#decode/rejects.ts";
import {
  type ProtoEnum,
  type ProtoField,
  type ProtoMessage,
  type ProtoType,
  type Scalar,
  scalarWire,
  WIRE,
} from "./model.ts";
import type { WellKnown } from "./wellKnown.ts";

/** What a value is, and what is done with it. */
export type SlotKind =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  | {
      readonly kind: "enum";
      readonly type: ProtoEnum;
      readonly names: ReadonlyMap<number, Uint8Array>;
    }
  /** `flat`: its members are columns of the message around it. */
  | { readonly kind: "message"; readonly node: MessageNode; readonly flat: boolean }
  | { readonly kind: "wellKnown"; readonly type: WellKnown }
  /** Text or a number that its column holds in another form. */
  | { readonly kind: "parsed"; readonly scalar: Scalar; readonly parse: TextParser }
  /** Read by itself, for what stands for it, or to be kept in `_rescued`. */
  | { readonly kind: "beside"; readonly value: Beside }
  /** Its column cannot hold it. */
  | { readonly kind: "conflict" }
  /** No column is its own; null: it is passed over; `evolve`: one may come. */
  | { readonly kind: "unknown"; readonly reason: RejectReason | "evolve" | null };

/** A field that becomes text: its pieces are read as a message of this field alone. */
export interface Beside {
  readonly node: MessageNode;
  readonly aside: Aside;
  /** What stands for it; null: it is kept in `_rescued`. */
  readonly cover: Cover | null;
  /** Where it stands in the record at hand, tags included. */
  readonly pieces: Uint8Array[];
}

/** One field of a message, or the key or value of a map's entries. */
export interface Slot {
  readonly field: ProtoField;
  /** Full path of its column. */
  readonly path: string;
  readonly value: SlotKind;
  /** The wire type of one value. */
  readonly wire: number;
  /** Several values may stand in one field of bytes. */
  readonly packable: boolean;
  /** The field's column; null: `unknown`, or flat. */
  readonly column: ColumnBuilder | null;
  /** Where one value goes: the column, or a list's elements. */
  readonly values: ColumnBuilder | null;
  /** map: the keys. */
  readonly key: Slot | null;
  /** map: the values. */
  readonly entry: Slot | null;
  /** Fills the column where the field is missing; null: it is null there, or an empty list. */
  readonly fill: Filler | null;
  /** A message without it is refused. */
  readonly required: boolean;
  /** The slots of its oneof, its own left out. */
  readonly rivals: Slot[];
  /** Columns that one more element of a list or entry of a map fills at least. */
  readonly weight: number;
  /** Values that the column cannot hold are kept in `_rescued`, beside a null. */
  readonly keepsConflicts: boolean;
  /** Microseconds of one unit, where it is an event time in a whole number; 0: it is not. */
  readonly microsPerUnit: number;
  /** flat: number of the reader's record that showed it last; it has no column that tells. */
  seenIn: number;
}

/** A message whose fields are columns. */
export interface MessageNode {
  readonly message: ProtoMessage;
  readonly slots: readonly Slot[];
  readonly byNumber: ReadonlyMap<number, Slot>;
  /** All columns of it, also those that no field is for. */
  readonly columns: readonly ColumnBuilder[];
  /** Columns of lists and maps: they end with the message. */
  readonly lists: readonly Slot[];
  /** Columns that hold something where their field is missing, or must not be missing. */
  readonly filled: readonly Slot[];
  /** Fields that are read by themselves. */
  readonly beside: readonly Slot[];
  /** A field of it, or of a message in it, has no column, and one may come. */
  readonly learnable: boolean;
  /** Columns here that no field of the message is for, and that a null does not do for. */
  readonly others: readonly (readonly [path: string, ColumnBuilder, Filler | null])[];
}

/** A slot without a column. */
export function bareSlot(field: ProtoField, path: string, value: SlotKind): Slot {
  const wire = wireOf(field.type);
  return {
    field,
    path,
    value,
    wire: field.label === "map" ? WIRE.bytes : wire,
    packable: field.label === "repeated" && wire !== WIRE.bytes && wire !== WIRE.group,
    column: null,
    values: null,
    key: null,
    entry: null,
    fill: null,
    required: false,
    rivals: [],
    weight: 1,
    keepsConflicts: false,
    microsPerUnit: 0,
    seenIn: 0,
  };
}

function wireOf(type: ProtoType): number {
  if (type.kind === "message") return type.group ? WIRE.group : WIRE.bytes;
  return type.kind === "enum" ? WIRE.varint : scalarWire(type.scalar);
}

/** The members of a map's entry as fields. */
export function entryFields(
  field: ProtoField,
  key: Scalar,
): readonly [key: ProtoField, value: ProtoField] {
  const single = {
    ...field,
    label: "single",
    key: null,
    oneof: null,
    doc: null,
    defaultValue: null,
  } as const;
  return [
    {
      ...single,
      name: "key",
      number: 1,
      presence: "implicit",
      type: { kind: "scalar", scalar: key },
    },
    { ...single, name: "value", number: 2, presence: "implicit" },
  ];
}

/** Lets members of a oneof know each other. */
export function linkRivals(slots: readonly Slot[]): void {
  for (const slot of slots) {
    const { oneof } = slot.field;
    if (oneof === null) continue;
    slot.rivals.push(...slots.filter((each) => each !== slot && each.field.oneof === oneof));
  }
}

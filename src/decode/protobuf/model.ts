/**
 * Message types as the Protobuf reader knows them: what a schema says about the bytes of a message,
 * free of the library that parsed it (`parse.ts`).
 */

/** Wire types (Protobuf encoding, "Message Structure"). */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, group: 3, groupEnd: 4, fixed32: 5 } as const;

/** A scalar type, by its name in a `.proto` file. */
export type Scalar =
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "sint64"
  | "fixed32"
  | "fixed64"
  | "sfixed32"
  | "sfixed64"
  | "float"
  | "double"
  | "bool"
  | "string"
  | "bytes";

/** An enum. */
export interface ProtoEnum {
  /** Full name, no leading dot. */
  readonly name: string;
  /** A number without a name is an unknown field (proto2), not a value. */
  readonly closed: boolean;
  /** Its default: the number that is declared first. */
  readonly first: number;
  /** The first name of each number. */
  readonly names: ReadonlyMap<number, string>;
}

/** A message type. Types may contain themselves. */
export interface ProtoMessage {
  /** Full name, no leading dot. */
  readonly name: string;
  /** In the order of their declaration. */
  readonly fields: readonly ProtoField[];
}

/** What a field holds. */
export type ProtoType =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  | { readonly kind: "enum"; readonly type: ProtoEnum }
  /** `group`: between two tags instead of behind a length. */
  | { readonly kind: "message"; readonly type: ProtoMessage; readonly group: boolean };

/** A default of a scalar or enum: 64-bit numbers as bigints, enums by number. */
export type ProtoDefault = number | bigint | boolean | string | Uint8Array;

/** A field of a message. */
export interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly type: ProtoType;
  /** `map`: its values are `type`. */
  readonly label: "single" | "repeated" | "map";
  /** The type of a map's keys. */
  readonly key: Scalar | null;
  /**
   * What a message without the field says: `implicit`, the default; `explicit`, that it is not set;
   * `required`, nothing that is allowed.
   */
  readonly presence: "implicit" | "explicit" | "required";
  /** The oneof that it is a member of, by name. */
  readonly oneof: string | null;
  /** The default that the schema spells out; null: it does not. */
  readonly defaultValue: ProtoDefault | null;
  /** Its comment. */
  readonly doc: string | null;
}

/** The wire type of a scalar. */
export function scalarWire(scalar: Scalar): number {
  switch (scalar) {
    case "string":
    case "bytes":
      return WIRE.bytes;
    case "fixed32":
    case "sfixed32":
    case "float":
      return WIRE.fixed32;
    case "fixed64":
    case "sfixed64":
    case "double":
      return WIRE.fixed64;
    default:
      return WIRE.varint;
  }
}

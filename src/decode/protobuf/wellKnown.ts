/**
 * Messages that have columns of their own types instead of structs (`google/protobuf/*.proto`,
 * `google/type/{date,timeofday}.proto`).
 */
import type { PrimitiveType } from "#columns/schema.ts";
import type { JsonForm } from "./jsonText.ts";
import type { ProtoMessage, Scalar } from "./model.ts";

/** What such a message is. */
export type WellKnown =
  | {
      /** `empty`: only that it is set. */
      readonly kind: "timestamp" | "duration" | "date" | "time" | "empty";
      readonly type: PrimitiveType;
    }
  /** JSON text. */
  | { readonly kind: "json"; readonly form: JsonForm; readonly type: PrimitiveType }
  /** A message around one scalar, field 1. */
  | { readonly kind: "wrapper"; readonly scalar: Scalar };

const TEXT: PrimitiveType = { kind: "string" };

const SPECIAL: ReadonlyMap<string, WellKnown> = new Map<string, WellKnown>([
  ["google.protobuf.Timestamp", { kind: "timestamp", type: { kind: "timestamp", zone: true } }],
  [
    "google.protobuf.Duration",
    { kind: "duration", type: { kind: "decimal", precision: 21, scale: 9 } },
  ],
  ["google.protobuf.Struct", { kind: "json", form: "struct", type: TEXT }],
  ["google.protobuf.Value", { kind: "json", form: "value", type: TEXT }],
  ["google.protobuf.ListValue", { kind: "json", form: "list", type: TEXT }],
  ["google.type.Date", { kind: "date", type: { kind: "date" } }],
  ["google.type.TimeOfDay", { kind: "time", type: { kind: "time" } }],
  ["google.protobuf.DoubleValue", { kind: "wrapper", scalar: "double" }],
  ["google.protobuf.FloatValue", { kind: "wrapper", scalar: "float" }],
  ["google.protobuf.Int64Value", { kind: "wrapper", scalar: "int64" }],
  ["google.protobuf.UInt64Value", { kind: "wrapper", scalar: "uint64" }],
  ["google.protobuf.Int32Value", { kind: "wrapper", scalar: "int32" }],
  ["google.protobuf.UInt32Value", { kind: "wrapper", scalar: "uint32" }],
  ["google.protobuf.BoolValue", { kind: "wrapper", scalar: "bool" }],
  ["google.protobuf.StringValue", { kind: "wrapper", scalar: "string" }],
  ["google.protobuf.BytesValue", { kind: "wrapper", scalar: "bytes" }],
]);

const EMPTY: WellKnown = { kind: "empty", type: { kind: "boolean" } };

/** What a message is, if its column is no struct; null: it is one. */
export function wellKnown({ name, fields }: ProtoMessage): WellKnown | null {
  return SPECIAL.get(name) ?? (fields.length === 0 ? EMPTY : null);
}

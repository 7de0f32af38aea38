/**
 * Makes the bytes of messages from a seed, as odd as the wire format allows: fields in any order and
 * several times, lists packed and not, numbers with more bytes than they need, unknown fields.
 */
import type {
  ProtoEnum,
  ProtoField,
  ProtoMessage,
  ProtoType,
  Scalar,
} from "#decode/protobuf/model.ts";
import { Picks } from "./picks.ts";

const WIRES: Readonly<Record<Scalar, number>> = {
  ...{ int32: 0, int64: 0, uint32: 0, uint64: 0, sint32: 0, sint64: 0, bool: 0 },
  ...{ fixed64: 1, sfixed64: 1, double: 1, string: 2, bytes: 2 },
  ...{ fixed32: 5, sfixed32: 5, float: 5 },
};

/** Makes messages. */
export class Messages extends Picks {
  /** How often, in percent, a single field comes again. */
  private readonly again: number;

  constructor(seed: number, again: number) {
    super(seed);
    this.again = again;
  }

  /** A message that is whole; a required field is nearly always there. */
  message(type: ProtoMessage, depth = 0): Buffer {
    const special = this.wellKnown(type.name, depth);
    if (special !== null) return special;
    const parts = type.fields.flatMap((field) => {
      const isThere = field.presence === "required" ? this.below(200) > 0 : this.below(3) > 0;
      return isThere ? this.field(field, depth) : [];
    });
    // protobufjs does not find the end of a group in a message without fields.
    const groups = type.fields.length > 0 ? 0 : 3;
    if (this.below(10) === 0) parts.push(this.unknown(type, groups));
    return Buffer.concat(this.shuffled(parts));
  }

  /** A whole message with something broken in it. */
  broken(type: ProtoMessage): Buffer {
    const bytes = this.message(type);
    switch (this.below(4)) {
      case 0:
        return bytes.subarray(0, this.below(bytes.length + 1));
      case 1:
        return Buffer.concat([bytes, Buffer.from(this.bytes(8))]);
      default:
        for (let left = 1 + this.below(2); left > 0 && bytes.length > 0; left--) {
          bytes[this.below(bytes.length)] = this.below(256);
        }
        return bytes;
    }
  }

  private shuffled(parts: readonly Buffer[]): Buffer[] {
    if (this.below(3) > 0) return [...parts];
    return parts
      .map((part) => [this.below(1000), part] as const)
      .sort(([a], [b]) => a - b)
      .map(([, part]) => part);
  }

  private field(field: ProtoField, depth: number): Buffer[] {
    if (field.label === "map") {
      return Array.from({ length: this.below(5) }, () =>
        this.sized(field.number, this.entry(field, depth)),
      );
    }
    if (field.label === "repeated") return this.repeated(field, depth);
    const times = this.below(100) < this.again ? 2 : 1;
    return Array.from({ length: times }, () => this.single(field, depth));
  }

  private repeated(field: ProtoField, depth: number): Buffer[] {
    const { type } = field;
    const wire = wireOf(type);
    const count = this.below(5);
    if (wire === 2 || wire === 3)
      return Array.from({ length: count }, () => this.single(field, depth));
    const runs = Array.from({ length: 1 + this.below(2) }, () => {
      const values = Array.from({ length: count }, () => this.value(type, depth));
      if (this.below(2) === 0) return [this.sized(field.number, Buffer.concat(values))];
      return values.map((value) => Buffer.concat([this.tag(field.number, wire), value]));
    });
    return runs.flat();
  }

  private single({ number, type }: ProtoField, depth: number): Buffer {
    const wire = wireOf(type);
    const value = this.value(type, depth);
    if (wire === 2) return this.sized(number, value);
    const end = wire === 3 ? [this.tag(number, 4)] : [];
    return Buffer.concat([this.tag(number, wire), value, ...end]);
  }

  private entry(field: ProtoField, depth: number): Buffer {
    const key: ProtoField = {
      ...field,
      number: 1,
      label: "single",
      type: { kind: "scalar", scalar: field.key ?? "string" },
    };
    const value: ProtoField = { ...field, number: 2, label: "single" };
    // protobufjs tells a missing key from a zero where keys have 64 bits.
    const mayMiss = (each: ProtoField): boolean => each === value || !field.key?.includes("64");
    const parts = [key, value].flatMap((each) =>
      mayMiss(each) && this.below(12) === 0 ? [] : [this.single(each, depth)],
    );
    if (this.below(100) < this.again) parts.push(this.single(this.oneOf([key, value]), depth));
    return Buffer.concat(this.shuffled(parts));
  }

  private value(type: ProtoType, depth: number): Buffer {
    switch (type.kind) {
      case "scalar":
        return this.scalar(type.scalar);
      case "enum":
        return this.varint(BigInt.asUintN(64, BigInt(this.enumNumber(type.type))));
      case "message":
        return this.message(type.type, depth + 1);
    }
  }

  private enumNumber({ names }: ProtoEnum): number {
    return this.below(8) === 0 ? this.oneOf([2, 1_000_000, -1]) : this.oneOf([...names.keys()]);
  }

  /** A scalar's bytes; of text and bytes without their length. */
  private scalar(scalar: Scalar): Buffer {
    const bits = this.number();
    switch (scalar) {
      case "int32":
        return this.varint(BigInt.asUintN(64, BigInt.asIntN(32, bits)));
      case "uint32":
        return this.varint(BigInt.asUintN(32, bits));
      case "sint32":
        return this.varint(BigInt.asUintN(32, bits));
      case "int64":
      case "uint64":
      case "sint64":
        return this.varint(BigInt.asUintN(64, bits));
      case "bool":
        return this.varint(BigInt(this.oneOf([0, 1, 1, 2])));
      case "string":
        return Buffer.from(this.text());
      case "bytes":
        return Buffer.from(this.bytes(this.oneOf([0, 1, 16, 40])));
      default: {
        const bytes = Buffer.alloc(8);
        if (scalar === "double") bytes.writeDoubleLE(this.double());
        else if (scalar === "float") bytes.writeFloatLE(this.double());
        else bytes.writeBigUInt64LE(BigInt.asUintN(64, bits));
        return bytes.subarray(0, WIRES[scalar] === 1 ? 8 : 4);
      }
    }
  }

  private number(): bigint {
    const edge = this.oneOf([
      0n,
      1n,
      -1n,
      2n ** 31n - 1n,
      -(2n ** 31n),
      2n ** 32n - 1n,
      2n ** 53n + 1n,
      2n ** 63n - 1n,
      -(2n ** 63n),
    ]);
    return this.below(3) === 0 ? edge : BigInt(this.below(2 ** 31)) - BigInt(this.below(1000));
  }

  private double(): number {
    return this.oneOf([
      0,
      -0,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -1e300,
      5e-324,
      this.random.unit(),
    ]);
  }

  text(): string {
    return this.oneOf([
      "",
      "plain",
      "é € 𝄞",
      "a text of more than sixteen bytes",
      "\u0000\u001f",
      "日本語のテキストです",
      "x".repeat(this.below(60)),
    ]);
  }

  private bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.below(256));
  }

  private tag(number: number, wire: number): Buffer {
    return plainVarint(BigInt(number * 8 + wire));
  }

  private sized(number: number, body: Uint8Array): Buffer {
    return Buffer.concat([this.tag(number, 2), plainVarint(BigInt(body.length)), body]);
  }

  /** A varint, sometimes of more bytes than it needs. */
  private varint(value: bigint): Buffer {
    const bytes = plainVarint(value);
    if (bytes.length > 8 || this.below(20) > 0) return bytes;
    const last = bytes.length - 1;
    bytes[last] = (bytes[last] ?? 0) | 0x80;
    return Buffer.concat([bytes, Buffer.of(...this.oneOf([[0], [0x80, 0]]))]);
  }

  /** A field that the message does not have. */
  private unknown({ fields }: ProtoMessage, depth: number): Buffer {
    const taken = new Set(fields.map(({ number }) => number));
    let number = 5000 + this.below(5000);
    while (taken.has(number)) number++;
    const wire = this.oneOf(depth > 2 ? [0, 1, 2, 5] : [0, 1, 2, 3, 5]);
    const tag = this.tag(number, wire);
    if (wire === 0) return Buffer.concat([tag, this.varint(BigInt.asUintN(64, this.number()))]);
    if (wire === 2) return this.sized(number, this.bytes(this.below(20)));
    if (wire !== 3) return Buffer.concat([tag, this.bytes(wire === 1 ? 8 : 4)]);
    return Buffer.concat([
      tag,
      this.unknown({ name: "", fields: [] }, depth + 1),
      this.tag(number, 4),
    ]);
  }

  /** Values that are mostly in the range of their type. */
  private wellKnown(name: string, depth: number): Buffer | null {
    const isOdd = this.below(40) === 0;
    const seconds = isOdd ? this.number() : BigInt(this.below(4_000_000_000)) - 2_000_000_000n;
    const nanos = isOdd ? -1 : this.oneOf([0, 1, 999_999_999, 123_456_789]);
    switch (name) {
      case "google.protobuf.Timestamp":
        return this.numbers([seconds, BigInt(nanos)]);
      case "google.protobuf.Duration":
        return this.numbers([seconds, BigInt(seconds < 0n ? -nanos : nanos)]);
      case "google.protobuf.Struct":
        return this.struct(depth);
      case "google.protobuf.Value":
        return this.jsonValue(depth);
      case "google.protobuf.ListValue":
        return this.list(depth);
      default:
        return null;
    }
  }

  private numbers(values: readonly bigint[]): Buffer {
    return Buffer.concat(
      values.map((value, index) =>
        Buffer.concat([this.tag(index + 1, 0), this.varint(BigInt.asUintN(64, value))]),
      ),
    );
  }

  private struct(depth: number): Buffer {
    const entries = Array.from({ length: this.below(4) }, () => {
      const key = this.sized(1, Buffer.from(this.oneOf(["a", "b", "é", ""])));
      return this.sized(1, Buffer.concat([key, this.sized(2, this.jsonValue(depth + 1))]));
    });
    return Buffer.concat(entries);
  }

  private list(depth: number): Buffer {
    return Buffer.concat(
      Array.from({ length: this.below(4) }, () => this.sized(1, this.jsonValue(depth + 1))),
    );
  }

  private jsonValue(depth: number): Buffer {
    switch (this.below(depth > 4 ? 4 : 6)) {
      case 0:
        return Buffer.concat([this.tag(1, 0), Buffer.of(0)]);
      case 1: {
        const bytes = Buffer.alloc(8);
        bytes.writeDoubleLE(this.below(100) === 0 ? Number.NaN : this.random.unit() * 1000);
        return Buffer.concat([this.tag(2, 1), bytes]);
      }
      case 2:
        return this.sized(3, Buffer.from(this.text()));
      case 3:
        return Buffer.concat([this.tag(4, 0), Buffer.of(this.below(2))]);
      case 4:
        return this.sized(5, this.struct(depth + 1));
      default:
        return this.sized(6, this.list(depth + 1));
    }
  }
}

function wireOf(type: ProtoType): number {
  if (type.kind === "message") return type.group ? 3 : 2;
  return type.kind === "enum" ? 0 : WIRES[type.scalar];
}

function plainVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.of(...bytes, Number(rest));
}

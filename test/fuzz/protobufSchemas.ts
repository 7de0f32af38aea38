/** Makes `.proto` files from a seed: every kind of field, in proto2 and proto3. */
import { Picks } from "./picks.ts";

const SCALARS = [
  ...["int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64"],
  ...["sfixed32", "sfixed64", "float", "double", "bool", "string", "bytes"],
];
const KEYS = SCALARS.filter((scalar) => !["float", "double", "bytes"].includes(scalar));
const WELL_KNOWN = [
  ...["Timestamp", "Duration", "Struct", "Value", "ListValue", "Any", "Empty"],
  ...["DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value"],
  ...["BoolValue", "StringValue", "BytesValue", "FieldMask"],
].map((name) => `google.protobuf.${name}`);
const IMPORTS = ["timestamp", "duration", "struct", "any", "empty", "wrappers", "field_mask"];

/** The name of the message that {@link protoFile} is about. */
export const TOP = "fuzz.Top";

/** A file whose message `Top` has a field of most kinds; types below it never contain themselves. */
export function protoFile(seed: number): string {
  return new FileMaker(seed).file();
}

class FileMaker extends Picks {
  private readonly isProto2 = this.below(3) === 0;
  private readonly messages: string[] = [];

  file(): string {
    const below = Array.from({ length: this.below(4) }, (_, index) =>
      this.message(`Inner${index}`, 4),
    );
    return [
      `syntax = "${this.isProto2 ? "proto2" : "proto3"}";`,
      "package fuzz;",
      ...IMPORTS.map((name) => `import "google/protobuf/${name}.proto";`),
      "enum Color { RED = 0; GREEN = 1; ALSO_GREEN = 1; FAR = 70000; NEGATIVE = -3; option allow_alias = true; }",
      ...below,
      this.message("Top", 12),
    ].join("\n");
  }

  private message(name: string, fieldsMax: number): string {
    const numbers = new Set<number>();
    const number = (): number => {
      for (;;) {
        const next = this.oneOf([
          1 + this.below(20),
          1 + this.below(20),
          1 + this.below(3000),
          100_000 + this.below(100),
        ]);
        if (numbers.has(next)) continue;
        numbers.add(next);
        return next;
      }
    };
    const fields = Array.from({ length: 1 + this.below(fieldsMax) }, (_, index) =>
      this.field(`f${index}`, number),
    );
    this.messages.push(name);
    return `message ${name} {\n${fields.join("\n")}\n}`;
  }

  private type(): string {
    switch (this.below(8)) {
      case 0:
        return "Color";
      case 1:
        return this.oneOf(WELL_KNOWN);
      case 2:
        return this.messages.length === 0 ? "bool" : this.oneOf(this.messages);
      default:
        return this.oneOf(SCALARS);
    }
  }

  private field(name: string, number: () => number): string {
    const label = this.isProto2
      ? this.oneOf(["optional", "optional", "required"])
      : this.oneOf(["", "optional"]);
    switch (this.below(7)) {
      case 0:
        return this.repeated(name, number());
      case 1:
        return `map<${this.oneOf(KEYS)}, ${this.type()}> ${name} = ${number()};`;
      case 2: {
        const members = Array.from(
          { length: 1 + this.below(3) },
          (_, index) => `${this.type()} ${name}_${index} = ${number()};`,
        );
        return `oneof ${name} { ${members.join(" ")} }`;
      }
      case 3:
        if (!this.isProto2) break;
        return `${this.oneOf(["optional", "repeated"])} group G${name} = ${number()} { optional int32 a = 1; repeated string b = 2; }`;
      case 4:
        if (!this.isProto2) break;
        return `optional ${this.defaulted(name, number())}`;
    }
    return `${label} ${this.type()} ${name} = ${number()};`;
  }

  private repeated(name: string, number: number): string {
    const type = this.type();
    const isPackable =
      type === "Color" || (SCALARS.includes(type) && type !== "string" && type !== "bytes");
    const option = isPackable ? this.oneOf(["", " [packed = true]", " [packed = false]"]) : "";
    return `repeated ${type} ${name} = ${number}${option};`;
  }

  private defaulted(name: string, number: number): string {
    const [type, value] = this.oneOf([
      ["int32", "-7"],
      ["uint64", "12345678901"],
      ["string", '"none"'],
      ["bool", "true"],
      ["double", "1.5"],
      ["Color", "GREEN"],
      ["sint64", "-5"],
    ] as const);
    return `${type} ${name} = ${number} [default = ${value}];`;
  }
}

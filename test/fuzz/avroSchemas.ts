/**
 * Generated Avro schemas and values, as JSON and in avsc's form: every type, every logical type, unions
 * of several types, named types used again.
 */
import { Picks } from "./picks.ts";

/** A schema as JSON. */
export type Schema = string | readonly Schema[] | { readonly [member: string]: unknown };

/** Members of a complex schema. */
export type Members = { readonly [member: string]: unknown };

const LOGICALS: readonly Members[] = [
  { type: "int", logicalType: "date" },
  { type: "int", logicalType: "time-millis" },
  { type: "long", logicalType: "time-micros" },
  { type: "long", logicalType: "timestamp-millis" },
  { type: "long", logicalType: "timestamp-micros" },
  { type: "long", logicalType: "timestamp-nanos" },
  { type: "long", logicalType: "local-timestamp-millis" },
  { type: "long", logicalType: "local-timestamp-micros" },
  { type: "long", logicalType: "local-timestamp-nanos" },
  { type: "string", logicalType: "uuid" },
  { type: "bytes", logicalType: "decimal", precision: 9, scale: 2 },
  { type: "bytes", logicalType: "decimal", precision: 38, scale: 10 },
  { type: "bytes", logicalType: "decimal", precision: 40 },
  { type: "string", logicalType: "of-nobody" },
];
const PRIMITIVES = ["boolean", "int", "long", "float", "double", "bytes", "string"];
const TEXTS = ["", "a", "plain text", "Straße", "日本語", "😀", "\u0000", "x".repeat(300)];
const LONGS = [0n, 1n, -1n, 63n, 64n, -65n, 8191n, 2n ** 31n, -(2n ** 31n), 2n ** 53n + 1n];
const LONG_MAX = 2n ** 63n - 1n;

/** Generates by a seed. */
export class AvroSchemas extends Picks {
  private names = 0;
  private named: string[] = [];

  /** A record's schema. */
  row(): Members {
    this.names = 0;
    this.named = [];
    return this.record(0, "");
  }

  private record(depth: number, around: string): Members {
    const count = 1 + this.below(depth === 0 ? 10 : 4);
    const name = this.name("R");
    const isOwn = this.below(3) === 0;
    const space = isOwn ? "n.s" : around;
    const fields = Array.from({ length: count }, (_, index) => ({
      name: `f${index}`,
      type: this.type(depth + 1, space),
    }));
    this.named.push(space === "" ? name : `${space}.${name}`);
    return { type: "record", name, ...(isOwn ? { namespace: space } : {}), fields };
  }

  private name(kind: string): string {
    return `${kind}${this.names++}`;
  }

  private type(depth: number, space: string): Schema {
    const isDeep = depth > 4;
    switch (this.below(isDeep ? 8 : 14)) {
      case 0:
        return this.oneOf(LOGICALS);
      case 1:
        return ["null", this.simple()];
      case 2:
        return [this.simple(), "null"];
      case 3:
        return "null";
      case 4:
        return this.small();
      case 8:
        return { type: "array", items: this.type(depth + 1, space) };
      case 9:
        return { type: "map", values: this.type(depth + 1, space) };
      case 10:
        return this.record(depth, space);
      case 11:
        return ["null", this.record(depth, space)];
      case 12:
        return this.union(depth, space);
      case 13: {
        // Inside a namespace a bare name is one of it.
        const known = this.named.filter((name) => space === "" || name.includes("."));
        return known.length > 0 ? this.oneOf(known) : "long";
      }
      default:
        return this.oneOf(PRIMITIVES);
    }
  }

  private simple(): Schema {
    return this.below(3) === 0 ? this.oneOf(LOGICALS) : this.oneOf(PRIMITIVES);
  }

  private small(): Schema {
    const name = this.name("T");
    if (this.below(2) === 0) return { type: "enum", name, symbols: ["A", "BB", "C_C"] };
    const [size, logical] = this.oneOf([
      [3, {}],
      [12, { logicalType: "duration" }],
      [16, { logicalType: "uuid" }],
      [8, { logicalType: "decimal", precision: 18, scale: 4 }],
    ] as const);
    return { type: "fixed", name, size, ...logical };
  }

  private union(depth: number, space: string): Schema {
    const branches: Schema[] = [];
    const all: (() => Schema)[] = [
      () => "null",
      () => this.oneOf(["int", "long"]),
      () => this.oneOf(["float", "double"]),
      () => "string",
      () => "bytes",
      () => "boolean",
      () => this.record(depth, space),
      () => this.small(),
      () => ({ type: "array", items: this.type(depth + 1, space) }),
      () => ({ type: "map", values: this.type(depth + 1, space) }),
    ];
    for (const make of all) if (this.below(3) === 0) branches.push(make());
    return branches.length === 0 ? ["null", "int", "string"] : branches;
  }

  /** A value of a schema, as avsc takes it with wrapped unions and bigints for longs. */
  value(schema: Schema, named: ReadonlyMap<string, Members>): unknown {
    if (Array.isArray(schema)) {
      const branch = this.oneOf(schema as readonly Schema[]);
      return branch === "null" ? null : { [branchName(branch, named)]: this.value(branch, named) };
    }
    const type = typeof schema === "string" ? schema : String((schema as Members)["type"]);
    const members = typeof schema === "string" ? named.get(schema) : (schema as Members);
    switch (members !== undefined && typeof schema === "string" ? String(members["type"]) : type) {
      case "null":
        return null;
      case "boolean":
        return this.below(2) === 1;
      case "int":
        return this.int(members);
      case "long":
        return this.long(members);
      case "float":
        return Math.fround(this.float());
      case "double":
        return this.float();
      case "string":
        return members?.["logicalType"] === "uuid" ? this.uuid() : this.oneOf(TEXTS);
      case "bytes":
        return this.bytes(members?.["logicalType"] === "decimal" ? this.below(17) : this.below(40));
      case "fixed":
        return this.bytes(Number(members?.["size"]));
      case "enum":
        return this.oneOf(members?.["symbols"] as string[]);
      case "array":
        return this.items(() => this.value(members?.["items"] as Schema, named));
      case "map": {
        const values = this.items(() => this.value(members?.["values"] as Schema, named));
        return Object.fromEntries(
          values.map((each, index) => [`${this.oneOf(TEXTS)}${index}`, each]),
        );
      }
      default: {
        const fields = members?.["fields"] as { readonly name: string; readonly type: Schema }[];
        return Object.fromEntries(fields.map((f) => [f.name, this.value(f.type, named)]));
      }
    }
  }

  private items<T>(make: () => T): T[] {
    return Array.from({ length: this.oneOf([0, 0, 1, 2, 3, 7]) }, make);
  }

  private int(members: Members | undefined): number {
    if (members?.["logicalType"] === "time-millis" && this.below(10) > 0) {
      return this.below(86_400_000);
    }
    const extreme = this.oneOf([0, 1, -1, 63, -64, 64, 2 ** 31 - 1, -(2 ** 31), 20_000]);
    return this.below(2) === 0 ? extreme : this.below(2 ** 32) - 2 ** 31;
  }

  private long(members: Members | undefined): bigint {
    if (members?.["logicalType"] === "time-micros" && this.below(10) > 0) {
      return BigInt(this.below(86_400_000_000));
    }
    switch (this.below(4)) {
      case 0:
        return this.oneOf([...LONGS, LONG_MAX, -LONG_MAX - 1n]);
      case 1:
        return BigInt.asIntN(64, this.random.id63() * 2n + 1n);
      default:
        return BigInt(this.below(2 ** 44)) - 2n ** 20n;
    }
  }

  private float(): number {
    const extreme = this.oneOf([0, -0, 1.5, Infinity, -Infinity, 1e-40, 3.4e38, -1]);
    return this.below(2) === 0 ? extreme : (this.random.unit() - 0.5) * 10 ** this.below(20);
  }

  private bytes(size: number): Buffer {
    return Buffer.from(Array.from({ length: size }, () => this.oneOf([0, 255, this.below(256)])));
  }

  private uuid(): string {
    return this.below(10) === 0 ? this.oneOf(TEXTS) : this.random.uuid();
  }

  /** Bytes of a value, changed somewhere. */
  broken(bytes: Uint8Array): Uint8Array {
    const changed = new Uint8Array(bytes);
    switch (this.below(4)) {
      case 0:
        return changed.subarray(0, this.below(bytes.length));
      case 1:
        return new Uint8Array([...changed, this.below(256)]);
      default:
        for (let times = 1 + this.below(3); times > 0 && bytes.length > 0; times--) {
          changed[this.below(bytes.length)] = this.oneOf([0, 1, 2, 127, 128, 255, this.below(256)]);
        }
        return changed;
    }
  }
}

/** What avsc calls a union's branch. */
export function branchName(branch: Schema, named: ReadonlyMap<string, Members>): string {
  if (typeof branch === "string") return named.has(branch) ? fullName(named.get(branch)) : branch;
  const members = branch as Members;
  return members["name"] === undefined ? String(members["type"]) : fullName(members);
}

/** A named type's name with its namespace. */
export function fullName(members: Members | undefined): string {
  return String(members?.["full"] ?? members?.["name"]);
}

/**
 * Named types by all their names, each with its full name in `full`. A namespace is that of the innermost
 * record around that has one.
 */
export function namesOf(schema: Schema): Map<string, Members> {
  const found = new Map<string, Members>();
  const define = (members: Members, own: string): void => {
    const name = String(members["name"]);
    const full = own === "" ? name : `${own}.${name}`;
    Object.assign(members, { full });
    found.set(name, members).set(full, members);
  };
  const walk = (each: unknown, space: string): void => {
    if (typeof each !== "object" || each === null) return;
    const members = each as Members;
    const own = String(members["namespace"] ?? space);
    if (members["name"] !== undefined) define(members, own);
    const fields = (members["fields"] ?? []) as Members[];
    const inner = [...fields.map(({ type }) => type), members["items"], members["values"]];
    for (const below of Array.isArray(each) ? each : inner) walk(below, own);
  };
  walk(schema, "");
  return found;
}

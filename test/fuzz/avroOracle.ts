/**
 * What a table's row has to be for a value that avsc has read: by the schema's JSON, without a line of
 * `src/decode/avro`.
 */
import type { Value } from "../support/columnValues.ts";
import { branchName, fullName, type Members, type Schema } from "./avroSchemas.ts";

/** A value that its column cannot hold. */
export class Conflict extends Error {}

/** Nothing that a column could be made of. */
const NOTHING = Symbol("nothing");

const MICROS_MAX = 2n ** 31n * 3_600_000_000n - 1n;
const MICROS_MIN = -(2n ** 31n) * 3_600_000_000n;

/** The row of a record. @throws Conflict */
export function expectedRow(
  schema: Schema,
  value: unknown,
  named: ReadonlyMap<string, Members>,
  nanos: boolean,
): { readonly [name: string]: Value } {
  const row = new Oracle(named, nanos).of(schema, value);
  return (row === NOTHING ? {} : row) as { [name: string]: Value };
}

class Oracle {
  private readonly named: ReadonlyMap<string, Members>;
  private readonly nanos: boolean;

  constructor(named: ReadonlyMap<string, Members>, nanos: boolean) {
    this.named = named;
    this.nanos = nanos;
  }

  of(schema: Schema, value: unknown): Value | typeof NOTHING {
    if (Array.isArray(schema)) return this.union(schema as readonly Schema[], value);
    const members = typeof schema === "string" ? this.named.get(schema) : (schema as Members);
    const type = members === undefined ? String(schema) : String(members["type"]);
    switch (type) {
      case "null":
        return NOTHING;
      case "record":
        return this.record(members as Members, value as Members);
      case "array": {
        const items = members?.["items"] as Schema;
        if (!this.holds(items)) return NOTHING;
        return (value as unknown[]).map((each) => this.of(items, each) as Value);
      }
      case "map": {
        const values = members?.["values"] as Schema;
        if (!this.holds(values)) return NOTHING;
        const entries = Object.entries(value as Members);
        return new Map(entries.map(([key, each]) => [key, this.of(values, each) as Value]));
      }
      default:
        return this.plain(type, members, value);
    }
  }

  private record(members: Members, value: Members): Value | typeof NOTHING {
    const fields = members["fields"] as { readonly name: string; readonly type: Schema }[];
    const kept = fields.filter(({ type }) => this.holds(type));
    if (kept.length === 0) return NOTHING;
    return Object.fromEntries(
      kept.map(({ name, type }) => [name, this.of(type, value[name]) as Value]),
    );
  }

  private union(branches: readonly Schema[], value: unknown): Value | typeof NOTHING {
    const all = branches.filter((branch) => branch !== "null");
    if (all.length === 0) return NOTHING;
    if (value === null) return null;
    const [[name, inner]] = Object.entries(value as Members) as [[string, unknown]];
    const branch = all.find((each) => branchName(each, this.named) === name) as Schema;
    if (all.length === 1) return this.of(branch, inner);
    const kept = all.filter((each) => this.holds(each));
    return Object.fromEntries(
      kept.map((each) => [this.memberName(each), each === branch ? this.of(each, inner) : null]),
    ) as Value;
  }

  private memberName(branch: Schema): string {
    return branchName(branch, this.named).replace(/^.*\./, "");
  }

  /** Whether a column can be made of a type. */
  private holds(schema: Schema): boolean {
    if (Array.isArray(schema))
      return (schema as readonly Schema[]).some((each) => this.holds(each));
    const members = typeof schema === "string" ? this.named.get(schema) : (schema as Members);
    const type = members === undefined ? String(schema) : String(members["type"]);
    if (type === "record") {
      return ((members as Members)["fields"] as { type: Schema }[]).some((each) =>
        this.holds(each.type),
      );
    }
    if (type === "array") return this.holds(members?.["items"] as Schema);
    if (type === "map") return this.holds(members?.["values"] as Schema);
    return type !== "null";
  }

  private plain(type: string, members: Members | undefined, value: unknown): Value {
    const logical = String(members?.["logicalType"] ?? "");
    if (logical === "decimal" && Number(members?.["precision"]) <= 38) {
      return decimal(value as Buffer, Number(members?.["precision"]));
    }
    if (logical === "uuid" && type === "string") return uuid(String(value));
    if (logical === "date") return inRange(value as number, 89_478_485);
    if (logical.startsWith("time-")) {
      const micros = BigInt(value as number | bigint) * (logical === "time-millis" ? 1000n : 1n);
      if (micros < 0n || micros >= 86_400_000_000n) throw new Conflict(logical);
      return micros;
    }
    if (logical.includes("timestamp-")) return this.timestamp(logical, value as bigint);
    return value instanceof Uint8Array ? value.toHex() : (value as Value);
  }

  private timestamp(logical: string, value: bigint): Value {
    if (logical.endsWith("nanos") && this.nanos) return value;
    let micros = logical.endsWith("millis") ? value * 1000n : value;
    if (logical.endsWith("nanos")) micros = (value - (((value % 1000n) + 1000n) % 1000n)) / 1000n;
    if (micros > MICROS_MAX || micros < MICROS_MIN) throw new Conflict(logical);
    return micros;
  }
}

function inRange(value: number, most: number): number {
  if (Math.abs(value) > most) throw new Conflict("date");
  return value;
}

function decimal(bytes: Buffer, precision: number): bigint {
  if (bytes.length === 0) throw new Conflict("decimal");
  const value = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));
  const magnitude = value < 0n ? -value : value;
  if (magnitude >= 10n ** BigInt(precision)) throw new Conflict("decimal");
  return value;
}

function uuid(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw new Conflict("uuid");
  return text.replaceAll("-", "").toLowerCase();
}

/** True when a text of the value had a byte that is no UTF-8. */
export function hasReplacement(value: unknown): boolean {
  if (typeof value === "string") return value.includes("\ufffd");
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
  return Object.entries(value).some(([key, each]) => hasReplacement(key) || hasReplacement(each));
}

/** The full name of a row's schema, for messages. */
export function rowName(schema: Members): string {
  return fullName(schema);
}

/**
 * The one decode kernel under several tables at once: schemas of every type and depth, segments that
 * are open while the schema changes, batches of other tables in between, and damaged bytes. Whatever
 * happens is what happens without the kernel.
 *
 * `FUZZ_RUNS` / 20,000 rounds (default 10) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import type { Field, Type } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, RecordBytes, SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { checkLayout, rowsOf } from "../support/columnValues.ts";
import { type RecordInput, recordBatch } from "../support/records.ts";
import { WRITE_DEFAULTS } from "../support/writeDefaults.ts";
import { Picks } from "./picks.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const TABLES = 3;
const STEPS = 12;

const NAMES = [
  "a",
  "b",
  "a_b",
  "a_b_c",
  "b_c",
  "_",
  "a_",
  "é",
  "twelve_bytes",
  "twelve_bytes_and_more",
  'q"',
  "😀".repeat(5),
  "x".repeat(300),
];

/** Types with a value that fits, as it stands in JSON. */
const PRIMITIVES: readonly (readonly [Type, string])[] = [
  [{ kind: "boolean" }, "true"],
  [{ kind: "int" }, "-7"],
  [{ kind: "long" }, "1234567890123"],
  [{ kind: "float" }, "1.5"],
  [{ kind: "double" }, "0.1"],
  [{ kind: "string" }, '"é€😀 and \\n some more of it"'],
  [{ kind: "string" }, '"plain"'],
  [{ kind: "binary" }, '"YWJj"'],
  [{ kind: "fixed", length: 3 }, '"YWJj"'],
  [{ kind: "date" }, '"2026-01-31"'],
  [{ kind: "time" }, '"12:34:56.789"'],
  [{ kind: "timestamp", zone: true }, '"2026-01-31T12:34:56Z"'],
  [{ kind: "timestamp_ns", zone: false }, '"2026-01-31T12:34:56.123456789"'],
  [{ kind: "uuid" }, '"123e4567-e89b-12d3-a456-426614174000"'],
  [{ kind: "decimal", precision: 18, scale: 2 }, "1.25"],
  [{ kind: "decimal", precision: 38, scale: 2 }, '"3.5"'],
];

interface Table {
  readonly topic: string;
  readonly fields: readonly Field[];
  readonly options: DecoderOptions;
}

/** One batch for a table, after a change of its schema if there is one. */
interface Step {
  readonly table: number;
  readonly segment: number;
  readonly batch: RecordBytes;
  readonly adopted: readonly Field[];
}

class Scripts extends Picks {
  fields(count: number, depth: number): Field[] {
    const names = new Set(Array.from({ length: count }, () => this.oneOf(NAMES)));
    return [...names].map((name) => this.field(name, depth));
  }

  field(name: string, depth: number): Field {
    const type = this.type(depth);
    const plain = { id: 0, name, required: this.below(8) === 0, type };
    const known = WRITE_DEFAULTS.find(([each]) => Bun.deepEquals(each, type));
    return known === undefined || this.below(4) > 0 ? plain : { ...plain, writeDefault: known[1] };
  }

  type(depth: number): Type {
    const kind = this.below(depth > 3 ? 8 : 12);
    if (kind < 8) return this.oneOf(PRIMITIVES)[0];
    if (kind < 10) return { kind: "struct", fields: this.fields(1 + this.below(4), depth + 1) };
    if (kind === 10) return { kind: "list", element: this.field("element", depth + 1) };
    const key: Field = { id: 0, name: "key", required: true, type: { kind: "string" } };
    return { kind: "map", key, value: this.field("value", depth + 1) };
  }

  value(type: Type): string {
    if (this.below(15) === 0) return "null";
    if (this.below(150) === 0) return this.oneOf(["1", '"x"', "[]", "{}", "true", "[1", "1e400"]);
    if (this.below(300) === 0) return this.large(type);
    switch (type.kind) {
      case "struct":
        return this.object(type.fields);
      case "list": {
        const length = this.oneOf([0, 1, 2, 5, 20]);
        return `[${Array.from({ length }, () => this.value(type.element.type)).join(",")}]`;
      }
      case "map":
        return `{"${this.oneOf(["k", "l"])}":${this.value(type.value.type)},"m":null}`;
      default:
        return PRIMITIVES.find(([each]) => Bun.deepEquals(each, type))?.[1] ?? "null";
    }
  }

  /** A value that the kernel's columns or its input may have no room for. */
  private large(type: Type): string {
    const bytes = this.oneOf([9_000, 70_000, 300_000]);
    if (type.kind === "string") return `"${"large".repeat(bytes / 5)}"`;
    if (type.kind !== "list") return "null";
    const element = this.value(type.element.type);
    const length = Math.min(5_000, Math.ceil(bytes / element.length));
    return `[${Array.from({ length }, () => element).join(",")}]`;
  }

  /** Members of an object, some of them missing, twice, unknown, or in an object of their own. */
  object(fields: readonly Field[]): string {
    const members = fields.flatMap(({ name, required, type, writeDefault }) => {
      if ((!required || writeDefault !== undefined) && this.below(8) === 0) return [];
      const value = (): string => `${this.oneOf(["", "", " \n"])}${this.value(type)}`;
      const at = this.below(4) === 0 ? name.indexOf("_", 1) : -1;
      if (at > 0) {
        return [`"${name.slice(0, at)}":{${JSON.stringify(name.slice(at + 1))}:${value()}}`];
      }
      const member = `${JSON.stringify(name)}:${value()}`;
      return this.below(80) === 0 ? [member, `${JSON.stringify(name)} :${value()}`] : [member];
    });
    if (this.below(30) === 0) members.reverse();
    if (this.below(40) === 0)
      members.push(`"unknown":${this.oneOf(["null", "1", '[{"a":null}]'])}`);
    return `{${members.join(",")}}`;
  }

  table(index: number): Table {
    const fields = this.fields(1 + this.below(this.oneOf([3, 16])), 0);
    const options: DecoderOptions = {
      ...DECODER_DEFAULTS,
      fields,
      onUnknownField: this.oneOf(["evolve", "ignore", "dead_letter"]),
      onTypeConflict: this.oneOf(["dead_letter", "dead_letter", "fail"]),
      flattenSeparator: this.oneOf([null, null, "_"]),
      metadataColumns: this.oneOf([
        [],
        ["offset", "timestamp", "partition"],
        ["topic", "timestamp", "key", "headers"],
      ]),
      maxColumns: this.oneOf([1000, 30]),
    };
    return { topic: index === 0 ? "one" : "another", fields, options };
  }

  step(tables: readonly Table[]): Step {
    const table = this.below(tables.length);
    const { topic, fields } = tables[table] as Table;
    const records = Array.from({ length: this.oneOf([1, 5, 100]) }, (): RecordInput => {
      const headers = this.below(4) === 0 ? [["h", this.oneOf([null, "v"])] as const] : [];
      return { value: this.object(fields), key: this.oneOf([null, "", "k"]), headers };
    });
    const baseOffset = BigInt(this.below(2 ** 33));
    const wantedOffset = baseOffset + BigInt(this.oneOf([0, 0, 3]));
    const appendTimestampMs = this.oneOf([null, null, 77]);
    const more = { topic, partition: this.below(4), baseOffset, wantedOffset, appendTimestampMs };
    const batch = recordBatch(records, more);
    const damaged = this.below(batch.payload.length);
    if (this.below(12) === 0) batch.payload[damaged] = this.below(256);
    const adopted = this.below(4) === 0 ? this.fields(2, 0) : [];
    return { table, segment: this.below(2), batch, adopted };
  }
}

/** What `action` gives or throws. */
function outcome(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return String(error);
  }
}

/** Both fields, the first where both have a name. */
function merged(first: readonly Field[], more: readonly Field[]): Field[] {
  const names = new Set(first.map(({ name }) => name.toLowerCase()));
  return [...first, ...more.filter(({ name }) => !names.has(name.toLowerCase()))];
}

/** Everything that comes of the steps. */
function play(
  tables: readonly Table[],
  steps: readonly Step[],
  kernel: DecoderOptions["kernel"],
): unknown {
  const decoders = tables.map(({ options }) => createDecoder({ ...options, kernel }));
  const segments = new Map<string, SegmentBuilder>();
  const results = steps.map(({ table, segment, batch, adopted }) => {
    const decoder = decoders[table] as Decoder;
    const key = `${table}/${segment}`;
    const open = segments.get(key) ?? decoder.builder();
    segments.set(key, open);
    if (adopted.length > 0) decoder.adopt(merged(adopted, decoder.fields).reverse());
    return outcome(() => open.decode(batch));
  });
  const sealed = [...segments.values()].map((segment) => {
    const batch = segment.seal();
    checkLayout(batch);
    return [batch.fields, rowsOf(batch)];
  });
  return { results, sealed };
}

test(`tables take turns, change and break as they do without the kernel (seed ${SEED})`, () => {
  const scripts = new Scripts(SEED);
  for (let round = 0; round < Math.max(1, RUNS / 20_000); round++) {
    const tables = Array.from({ length: TABLES }, (_, index) => scripts.table(index));
    const steps = Array.from({ length: STEPS }, () => scripts.step(tables));
    const host = outcome(() => play(tables, steps, false));
    for (const kernel of ["always", "straight", true] as const) {
      const played = outcome(() => play(tables, steps, kernel));
      if (Bun.deepEquals(played, host, true)) continue;
      expect({ round, kernel, played }).toEqual({ round, kernel, played: host });
    }
  }
}, 600_000);

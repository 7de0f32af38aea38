/**
 * Key names against `JSON.parse`: names that hold quotes, backslashes, control characters and whole
 * pieces of JSON, written with every kind of escape, twice in one object, in any order of records,
 * in batches of any size, by the kernel and by the TypeScript reader.
 *
 * `FUZZ_RUNS` / 4 documents (default 50,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import type { Field, Type } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { checkLayout, rowsOf, type Value } from "../support/columnValues.ts";
import { recordBatch } from "../support/records.ts";
import { Picks } from "./picks.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000) / 4;
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const DOCUMENTS = 50;

/** What names are made of: put together they look like JSON text of other, shorter names. */
const PIECES = [
  ...["type", "id", "n", "u0061", "b", '"', '":', '":"', '","', ",", ":", "{", "}", "\\", "\\\\"],
  ...['\\"', "\n", "\t", "\u0000", "\u001f", "\u007f", "\ufeff", "é", "日", "😀", "/", " "],
];

type Row = { readonly [name: string]: Value };

class Keys extends Picks {
  /** A few names that many documents share. */
  names(): string[] {
    return Array.from({ length: 1 + this.below(5) }, () =>
      Array.from({ length: 1 + this.below(4) }, () => this.oneOf(PIECES)).join(""),
    );
  }

  /** One of the ways to write a name as a JSON string. */
  written(name: string): string {
    if (this.below(3) > 0) return JSON.stringify(name);
    const units = Array.from({ length: name.length }, (_, index) => {
      const escaped = `\\u${name.charCodeAt(index).toString(16).padStart(4, "0")}`;
      const isPair = (name.charCodeAt(index) & 0xf800) === 0xd800;
      if (isPair || this.below(2) === 0) return escaped;
      return JSON.stringify(name.charAt(index)).slice(1, -1);
    });
    return `"${units.join("")}"`;
  }

  /** An object of these names, in any order, often twice: then the last value alone is `value`. */
  object(names: readonly string[], value: () => string): string {
    const chosen = Array.from({ length: this.below(5) }, () => this.oneOf(names));
    const members = chosen.map((name, index) => {
      const space = this.oneOf(["", "", " "]);
      const isLast = !chosen.includes(name, index + 1);
      return `${this.written(name)}${space}:${space}${isLast ? value() : this.anything()}`;
    });
    return `{${members.join(",")}}`;
  }

  /** A value that a later one of the same name replaces, whatever it is. */
  anything(): string {
    return this.oneOf(["1", "null", "1.5", '"text"', "true", "[1]", '{"other":1}', '{"type":"x"}']);
  }

  number(): string {
    return this.below(6) === 0 ? "null" : String(this.below(1000));
  }

  /** Now and then without a backslash or with a quote too many, where that is no JSON any more. */
  perhapsBroken(document: string): string {
    const at = this.below(document.length);
    const broken = [document.replace("\\", ""), `${document.slice(0, at)}"${document.slice(at)}`];
    const chosen = this.below(6) === 0 ? this.oneOf(broken) : document;
    return parsed(chosen) === null ? chosen : document;
  }
}

/**
 * The document's object, its whole numbers as columns hold them; null when it is no JSON, or when a
 * name is half of a surrogate pair, which no UTF-8 text can hold.
 */
function parsed(document: string): Row | null {
  let isText = true;
  const whole = (key: string, value: unknown): unknown => {
    isText &&= key.isWellFormed();
    return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
  };
  try {
    const row = JSON.parse(document, whole) as Row;
    return isText ? row : null;
  } catch {
    return null;
  }
}

/** Without nulls, and without objects that hold nothing else. */
function present(value: Value): Value {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const members = Object.entries(value).flatMap(([name, member]) => {
    const kept = present(member as Value);
    return kept === null ? [] : [[name, kept] as const];
  });
  return members.length === 0 ? null : Object.fromEntries(members);
}

/** Decodes documents in batches of these sizes; what came of each: its row, or "refused". */
function decodeAll(
  options: Partial<DecoderOptions>,
  documents: readonly string[],
  sizes: readonly number[],
): Value[] {
  const decoder = createDecoder({ ...DECODER_DEFAULTS, metadataColumns: [], ...options });
  const segment = decoder.builder();
  const refused = new Set<number>();
  let start = 0;
  for (const size of sizes) {
    const batch = documents.slice(start, start + size);
    const result = segment.decode(recordBatch(batch, { baseOffset: BigInt(start) }));
    for (const { offset, reason } of result.rejected) {
      expect(["bad_json", "bad_utf8"]).toContain(reason);
      refused.add(Number(offset));
    }
    start += size;
  }
  const sealed = segment.seal();
  checkLayout(sealed);
  const rows = rowsOf(sealed);
  return documents.map((_, index) =>
    refused.has(index) ? "refused" : present(rows.shift() ?? null),
  );
}

function check(
  keys: Keys,
  options: Partial<DecoderOptions>,
  documents: readonly string[],
  wanted: (row: Row) => Value,
): void {
  const sizes: number[] = [];
  for (let left = documents.length; left > 0; left -= sizes.at(-1) ?? 0) {
    sizes.push(Math.min(left, 1 + keys.below(keys.oneOf([1, 3, documents.length]))));
  }
  for (const kernel of ["always", true, false] as const) {
    const got = decodeAll({ ...options, kernel }, documents, sizes);
    documents.forEach((document, index) => {
      const json = parsed(document);
      const right = json === null ? "refused" : present(wanted(json));
      if (Bun.deepEquals(got[index], right, true)) return;
      throw new Error(
        `seed ${SEED}, kernel ${kernel}, batches ${sizes}, document ${index} of\n` +
          `${documents.join("\n")}\ngot ${Bun.inspect(got[index])}, wanted ${Bun.inspect(right)}`,
      );
    });
  }
}

const optional = (name: string, type: Type): Field => ({ id: 0, name, required: false, type });

test(`a key is the name that JSON gives it, learned or declared (${RUNS} documents, seed ${SEED})`, () => {
  const keys = new Keys(SEED);
  for (let done = 0; done < RUNS; done += DOCUMENTS) {
    const names = keys.names();
    const inner = keys.names();
    const member = keys.oneOf(["st", 'a "b": {\\']);
    const documents = Array.from({ length: DOCUMENTS }, () => {
      const plain = keys.object([...names, "type", "id"], () => keys.number());
      const nested = `${keys.written(member)}:${keys.object(inner, () => keys.number())}`;
      const joined = plain === "{}" ? `{${nested}}` : `{${nested},${plain.slice(1)}`;
      return keys.perhapsBroken(keys.below(2) === 0 ? plain : joined);
    });
    const long: Type = { kind: "long" };
    const declared = [...new Set([...names, "type", "id"])].map((name) => optional(name, long));
    const members = [...new Set(inner)].map((name) => optional(name, long));
    const struct = optional(member, { kind: "struct", fields: members });
    const options = keys.below(2) === 0 ? {} : { fields: [...declared, struct] };
    check(keys, options, documents, (row) => row);
  }
}, 600_000);

/** An object's members as flattened columns. */
function flattened(row: Row, prefix = ""): Row {
  const columns = Object.entries(row).flatMap(([name, value]) => {
    const isObject = value !== null && typeof value === "object";
    if (isObject) return Object.entries(flattened(value as Row, `${prefix}${name}_`));
    return Object.entries({ [`${prefix}${name}`]: value });
  });
  return Object.fromEntries(columns);
}

test(`flattened, the last of duplicate keys counts at every level (${RUNS / 5} documents, seed ${SEED})`, () => {
  const keys = new Keys(SEED + 1);
  const names = ["a", "b", "c"];
  // Numbers and objects have names of their own: whatever the record, no type differs.
  const object = (depth: number): string =>
    keys.object(depth === 0 ? ["x", "y"] : [...names, "x", "y"], () => "?");
  const filled = (depth: number): string =>
    object(depth).replaceAll(
      /("(?:[^"\\]|\\.)*")( ?:)(.*?)(?=[,}]|$)/g,
      (whole, key, colon, value) => {
        if (value !== " ?" && value !== "?") return whole;
        const isObject = names.includes(JSON.parse(key));
        return `${key}${colon}${isObject ? keys.oneOf([filled(depth - 1), "null"]) : keys.number()}`;
      },
    );
  for (let done = 0; done < RUNS / 5; done += DOCUMENTS) {
    const documents = Array.from({ length: DOCUMENTS }, () => filled(3));
    check(keys, { flattenSeparator: "_" }, documents, (row) => flattened(row));
  }
}, 600_000);

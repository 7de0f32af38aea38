/**
 * Straight readers against the kernel that made them and the TypeScript reader: documents as most are, in
 * the order in which they are expected, of which every third is changed a little. All three make the same
 * bytes of every batch.
 *
 * `FUZZ_RUNS` documents (default 20,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import type { Column, ColumnBatch } from "#columns/batch.ts";
import type { Field, Type } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, RecordBytes } from "#decode/decoder.ts";
import type { Image } from "#decode/kernel/image.ts";
import { decodeKernel } from "#decode/kernel/kernel.ts";
import { CALL } from "#decode/kernel/layout.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { checkLayout } from "../support/columnValues.ts";
import { recordBatch } from "../support/records.ts";
import { Texts } from "./texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const RECORDS = 250;
/** Batches of one schema, in one segment. */
const BATCHES = 4;

const PRIMITIVES: readonly Type[] = [
  { kind: "string" },
  { kind: "string" },
  { kind: "long" },
  { kind: "long" },
  { kind: "double" },
  { kind: "int" },
  { kind: "float" },
  { kind: "boolean" },
  { kind: "date" },
  { kind: "timestamp", zone: true },
  { kind: "uuid" },
  { kind: "decimal", precision: 9, scale: 2 },
];

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

class Documents extends Texts {
  private isPlain = false;

  /** Fields with keys of every length. */
  fields(count: number, depth: number): Field[] {
    const longest = this.oneOf([4, 20, 40, 40, 60]);
    return Array.from({ length: count }, (_, index) => {
      const name = `${"k".repeat(this.below(longest))}${index}`;
      return { id: 0, name, required: this.below(9) === 0, type: this.type(depth) };
    });
  }

  private type(depth: number): Type {
    const kind = this.below(depth > 2 ? 8 : 11);
    // Binary is the host's, and with it the whole document.
    if (this.below(100) === 0) return { kind: "binary" };
    if (kind < 8) return this.oneOf(PRIMITIVES);
    if (kind === 8) return { kind: "struct", fields: this.fields(1 + this.below(3), depth + 1) };
    return {
      kind: "list",
      element: { id: 0, name: "element", required: false, type: this.type(2) },
    };
  }

  /** A document of the fields, in half of the cases of plain values only. */
  whole(fields: readonly Field[]): string {
    this.isPlain = this.below(2) === 0;
    return this.document(fields);
  }

  private document(fields: readonly Field[]): string {
    const [comma, colon] = this.oneOf([
      [",", ":"],
      [",", ":"],
      [", ", ": "],
    ] as const);
    const members = fields.flatMap(({ name, required, type }) => {
      if (this.below(required ? 60 : 6) === 0) return [];
      return [`"${name}"${colon}${this.value(type)}`];
    });
    return `{${members.join(comma)}}`;
  }

  private value(type: Type): string {
    if (!this.isPlain && this.below(20) === 0) return "null";
    switch (type.kind) {
      case "struct":
        return this.document(type.fields);
      case "list": {
        const length = this.oneOf([0, 1, 2, 3, 9]);
        const values = Array.from({ length }, () => this.value(type.element.type));
        return `[${values.join(this.oneOf([",", ",", ", "]))}]`;
      }
      case "boolean":
        return this.oneOf(["true", "false"]);
      case "string":
      case "binary":
        return this.isPlain ? `"${this.plainWord()}"` : this.quoted(this.word());
      case "date":
        return this.isPlain ? '"2026-02-28"' : this.quoted(this.date());
      case "timestamp":
        return this.isPlain ? '"2026-02-28T01:02:03Z"' : this.quoted(this.timestamp());
      case "uuid":
        return this.isPlain ? `"${this.random.uuid()}"` : this.quoted(this.uuid());
      default:
        if (this.isPlain) return this.plainNumber(type.kind);
        return this.below(3) === 0 ? this.number() : this.oddNumber();
    }
  }

  private plainWord(): string {
    return ALPHABET.repeat(2).slice(0, this.below(this.oneOf([9, 40, 70])));
  }

  private plainNumber(kind: Type["kind"]): string {
    const whole = this.below(10 ** (1 + this.below(kind === "long" ? 15 : 7)));
    const hasFraction = kind === "double" || kind === "decimal";
    return hasFraction && this.below(3) > 0 ? `${whole}.${this.below(100)}` : String(whole);
  }

  private word(): string {
    const text = this.plainWord();
    return this.below(12) === 0 ? text + this.oneOf(["é", "€", "\\n", "\\u00e9", "\u0001"]) : text;
  }

  private oddNumber(): string {
    const digits = (): string => {
      const count = 1 + this.below(this.oneOf([3, 9, 18]));
      return Array.from({ length: count }, () => this.below(10)).join("");
    };
    const whole = this.oneOf([digits().replace(/^0+(?=.)/, ""), digits()]);
    return this.below(2) === 0 ? whole : `${whole}.${digits()}`;
  }

  /** The document with a byte or a piece of it more, less, other, or twice. */
  changed(document: string): string {
    const at = this.below(document.length + 1);
    const until = Math.min(document.length, at + this.below(12));
    const [before, piece, after] = [
      document.slice(0, at),
      document.slice(at, until),
      document.slice(until),
    ];
    switch (this.below(5)) {
      case 0:
        return before + this.oneOf([...'{}[],:"\\ \n0e.-ntf']) + document.slice(at);
      case 1:
        return before + after;
      case 2:
        return before + piece + piece + after;
      case 3:
        return `${document.slice(0, -1)},${document.slice(1)}`;
      default:
        return before + this.oneOf([...'{}[],:"\\ x0']) + document.slice(at + 1);
    }
  }
}

/** Bits behind the values mean nothing. */
function lastBits(bits: Uint8Array, length: number): Uint8Array {
  const own = bits.slice();
  if ((length & 7) !== 0)
    own[length >> 3] = (own[length >> 3] as number) & ((1 << (length & 7)) - 1);
  return own;
}

function addColumn(hash: Bun.CryptoHasher, column: Column): void {
  const { field, length, offsets, children } = column;
  const isBits = field.type.kind === "boolean";
  const validity = column.validity === null ? null : lastBits(column.validity, length);
  const data = isBits && column.data !== null ? lastBits(column.data, length) : column.data;
  for (const part of [validity, offsets, data]) {
    hash.update(part === null ? "none" : `${part.length} `);
    if (part !== null) hash.update(part);
  }
  for (const child of children) addColumn(hash, child);
}

/** What comes of batches in one segment: their bytes as one number, and what was refused. */
function outcome(options: DecoderOptions, batches: readonly RecordBytes[]): unknown {
  const decoder: Decoder = createDecoder(options);
  const segment = decoder.builder();
  const results = batches.map((batch) => {
    const { rows, skipped, timestampMsMax, rejected } = segment.decode(batch);
    return {
      rows,
      skipped,
      timestampMsMax,
      rejected: rejected.map((each) => [each.offset, each.reason, each.detail]),
    };
  });
  const sealed: ColumnBatch = segment.seal();
  checkLayout(sealed);
  const hash = new Bun.CryptoHasher("md5");
  for (const column of sealed.columns) addColumn(hash, column);
  return { results, columns: hash.digest("hex") };
}

/** Documents of the last segment that its reader left to the kernel; null: it had no reader. */
function leftDocuments(): number | null {
  const { image, words } = decodeKernel() as unknown as { image: Image; words: Uint32Array };
  if (image.straight.read === null) return null;
  return image.straight.left + (words[(image.address + CALL.leftStraight) >> 2] as number);
}

test(`usual documents and those beside them become the same bytes (seed ${SEED})`, () => {
  const texts = new Documents(SEED);
  let taken = 0;
  for (let done = 0; done < RUNS; done += RECORDS * BATCHES) {
    const fields = texts.fields(1 + texts.below(texts.oneOf([4, 12, 30])), 0);
    const options: DecoderOptions = {
      ...DECODER_DEFAULTS,
      fields,
      infer: false,
      onUnknownField: texts.oneOf(["ignore", "dead_letter"]),
      metadataColumns: texts.oneOf([[], ["partition", "offset", "timestamp"], ["key", "offset"]]),
    };
    const batches = Array.from({ length: BATCHES }, (_, batch) => {
      const documents = Array.from({ length: RECORDS }, () => {
        const document = texts.whole(fields);
        return texts.below(3) === 0 ? texts.changed(document) : document;
      });
      return recordBatch(documents, { baseOffset: BigInt(batch * RECORDS) });
    });
    const host = outcome({ ...options, kernel: false }, batches);
    for (const kernel of ["always", "straight"] as const) {
      const made = outcome({ ...options, kernel }, batches);
      const left = leftDocuments();
      if (kernel === "straight" && left !== null) taken += RECORDS * BATCHES - left;
      if (Bun.deepEquals(made, host, true)) continue;
      expect({ done, kernel, made }).toEqual({ done, kernel, made: host });
    }
  }
  // Otherwise nothing was compared.
  expect(taken).toBeGreaterThan(RUNS / 5);
}, 3_600_000);

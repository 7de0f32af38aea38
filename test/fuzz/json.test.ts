/**
 * JSON decoding against `JSON.parse` over a large generated corpus.
 *
 * The exceptions, each of them tested below: nesting beyond `LIMITS.jsonDepthMax`; escaped lone
 * surrogates (no UTF-8 column could hold them); values that are no object; values that do not fit
 * their column; integers keep every digit where `JSON.parse` rounds.
 *
 * `FUZZ_RUNS` documents (default 200,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import type { Field, Type } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { DecodeResult } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { checkLayout, rowsOf, type Value } from "../support/columnValues.ts";
import { recordBatch } from "../support/records.ts";
import { Documents } from "./jsonDocuments.ts";
import { CONFLICT, expected, isException, leftOver, parse } from "./jsonOracle.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const EVOLVING_RUNS = RUNS / 20;
const BATCH = 250;

const field = (name: string, type: Type, required = false): Field => {
  return { id: 0, name, required, type };
};
const struct: Type = {
  kind: "struct",
  fields: [field("x", { kind: "long" }), field("y", { kind: "string" })],
};
const FIELDS: readonly Field[] = [
  field("s", { kind: "string" }),
  field("l", { kind: "long" }),
  field("d", { kind: "double" }),
  field("b", { kind: "boolean" }),
  field("i", { kind: "int" }),
  field("f", { kind: "float" }),
  field("st", struct),
  field("li", { kind: "list", element: field("element", { kind: "double" }) }),
  field("ll", { kind: "list", element: field("element", struct) }),
  field("m", {
    kind: "map",
    key: field("key", { kind: "string" }, true),
    value: field("value", { kind: "long" }),
  }),
];

const decoder = new TextDecoder();
const encoder = new TextEncoder();

type Row = { readonly [name: string]: Value };

/** Outcome by document: the row, or the reason. */
function outcomes(result: DecodeResult, rows: readonly Row[], count: number): (string | Row)[] {
  const reasons = new Map(result.rejected.map((reject) => [Number(reject.offset), reject.reason]));
  let next = 0;
  return Array.from({ length: count }, (_, index) => reasons.get(index) ?? rows[next++] ?? "lost");
}

/** What the document must become in these columns: a row, `type_conflict`, or `refused`. */
function judge(document: Uint8Array, fields: readonly Field[]): string | Row {
  const json = parse(document);
  if (json === null || isException(document)) return "refused";
  const row = expected(field("", { kind: "struct", fields }), json);
  return row === CONFLICT ? "type_conflict" : (row as Row);
}

const EVOLVE_REASONS = ["type_conflict", "ambiguous_field", "bad_field_name", "unknown_field"];
const REFUSED = ["bad_json", "bad_utf8", "not_an_object", "too_deep"];

/** True when the outcome is the one wanted; a refused document may have any reason of its kind. */
function agrees(got: string | Row | undefined, wanted: string | Row): boolean {
  if (wanted === "refused") return typeof got === "string" && REFUSED.includes(got);
  return Bun.deepEquals(got, wanted, true);
}

/** Decoded by the kernel as far as it goes, and by the TypeScript reader alone: the same columns. */
function decodeAll(documents: readonly (Uint8Array | string)[]): (string | Row)[] {
  const options = { ...DECODER_DEFAULTS, fields: FIELDS, metadataColumns: [] };
  const batch = recordBatch(documents);
  const [kernel, host] = (["always", false] as const).map((kernel) => {
    const segment = createDecoder({ ...options, onUnknownField: "ignore", kernel }).builder();
    const result = segment.decode(batch);
    return { result, sealed: segment.seal() };
  });
  if (kernel === undefined || host === undefined) throw new Error("both ways were gone");
  checkLayout(kernel.sealed);
  expect(kernel.result).toEqual(host.result);
  const rows = rowsOf(kernel.sealed);
  expect(Bun.deepEquals(rows, rowsOf(host.sealed), true)).toBe(true);
  return outcomes(kernel.result, rows, documents.length);
}

test(`accepts, refuses and reads ${RUNS} documents as JSON.parse does (seed ${SEED})`, () => {
  const documents = new Documents(SEED);
  const tally = new Map<string, number>();
  for (let done = 0; done < RUNS; done += BATCH) {
    const batch = Array.from({ length: BATCH }, () => documents.next());
    const actual = decodeAll(batch);
    batch.forEach((document, index) => {
      const wanted = judge(document, FIELDS);
      const kind = typeof wanted === "string" ? wanted : "row";
      tally.set(kind, (tally.get(kind) ?? 0) + 1);
      if (agrees(actual[index], wanted)) return;
      throw new Error(
        `seed ${SEED}, document ${done + index}: ${decoder.decode(document)}\n` +
          `got ${Bun.inspect(actual[index])}, wanted ${Bun.inspect(wanted)}`,
      );
    });
  }
  for (const kind of ["row", "refused", "type_conflict"]) {
    expect(tally.get(kind) ?? 0).toBeGreaterThan(RUNS / 20);
  }
}, 600_000);

/** A value without null members: columns that came later are null in earlier rows. */
function present(value: Value): Value {
  if (Array.isArray(value)) return value.map(present);
  if (value === null || typeof value !== "object" || value instanceof Map) return value;
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(members.map(([name, member]) => [name, present(member)]));
}

/** What is wrong with an outcome under `evolve`, null when nothing is. */
function evolvingFault(
  got: string | Row | undefined,
  document: string,
  fields: readonly Field[],
): string | null {
  const bytes = encoder.encode(document);
  const wanted = judge(bytes, fields);
  if (typeof got === "string") {
    const allowed = wanted === "refused" ? REFUSED : EVOLVE_REASONS;
    const isRight = allowed.includes(got) && (got !== "type_conflict" || wanted === got);
    return isRight ? null : "wrongly refused";
  }
  if (!Bun.deepEquals(present(got ?? null), present(wanted))) {
    return `${Bun.inspect(got)}, wanted ${Bun.inspect(wanted)}`;
  }
  return leftOver(fields, parse(bytes)) ? "a value was left out" : null;
}

test(`evolving loses nothing of ${EVOLVING_RUNS} documents and is repeatable (seed ${SEED})`, () => {
  const documents = new Documents(SEED + 1);
  for (let done = 0; done < EVOLVING_RUNS; done += BATCH) {
    const batch = Array.from({ length: BATCH }, () => documents.nextValid());
    const runs = [1, 2].map(() => {
      const subject = createDecoder({ ...DECODER_DEFAULTS, metadataColumns: [] });
      const segment = subject.builder();
      const halves = [batch.slice(0, BATCH / 2), batch.slice(BATCH / 2)].map((half) => {
        const result = segment.decode(recordBatch(half));
        return { documents: half, result, fields: subject.fields };
      });
      const sealed = segment.seal();
      checkLayout(sealed);
      return { halves, rows: rowsOf(sealed) };
    });
    expect(runs[0]).toEqual(runs[1] as (typeof runs)[0]);
    const { halves = [], rows = [] } = runs[0] ?? {};
    let row = 0;
    for (const half of halves) {
      const count = half.result.rows;
      const got = outcomes(half.result, rows.slice(row, row + count), half.documents.length);
      row += count;
      half.documents.forEach((document, index) => {
        const fault = evolvingFault(got[index], document, half.fields);
        if (fault !== null) throw new Error(`${fault}: seed ${SEED}, batch ${done}, ${document}`);
      });
    }
  }
}, 600_000);

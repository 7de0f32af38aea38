/**
 * Changes, by the decode kernel and by the TypeScript reader: envelopes of every shape, their parts missing,
 * doubled, of another kind and in any order, with keys of every form and records without values.
 *
 * `FUZZ_RUNS` records (default 200,000) from `FUZZ_SEED` (default: of today).
 */
import { test } from "bun:test";
import type { Field } from "#columns/schema.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { type RecordInput, recordBatch } from "../support/records.ts";
import { compare } from "./kernelOracle.ts";
import { Texts } from "./texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const BATCH = 400;

/** `{ members }` in any order, with blanks or without, some left out and some twice. */
function object(texts: Texts, members: Readonly<Record<string, () => string>>): string {
  const names = Object.keys(members).filter(() => texts.below(12) > 0);
  if (texts.below(15) === 0 && names.length > 0) names.push(texts.oneOf(names));
  if (texts.below(4) === 0) names.reverse();
  const blank = texts.oneOf(["", "", " "]);
  const parts = names.map((name) => `"${name}":${blank}${members[name]?.()}`);
  return `{${parts.join(`,${blank}`)}}`;
}

function rowText(texts: Texts): string {
  return object(texts, {
    id: () => texts.oneOf(["1", "2", "77", "null", '"x"', "1.5"]),
    k: () => texts.oneOf(['"a"', '"b"', "null", "3"]),
    n: () => texts.oneOf(["1", "null", "2.5", "[]"]),
    s: () => texts.oneOf(['"text"', "null", '"é"']),
    more: () => texts.oneOf(["null", "{}", '{"a":1}']),
  });
}

/** A row that says itself what was done. */
function bareRow(texts: Texts): string {
  const words = [
    '"c"',
    '"u"',
    '"d"',
    '"false"',
    "false",
    "true",
    '"fals"',
    "null",
    '"INSERT"',
    '"m"',
    "7",
  ];
  const row = rowText(texts);
  const member = `"op":${texts.oneOf(['"c"', '"u"', texts.oneOf(words)])}`;
  if (texts.below(20) === 0) return row;
  return row === "{}" ? `{${member}}` : `${row.slice(0, -1)},${member}}`;
}

function envelope(texts: Texts): string {
  const image = (): string => texts.oneOf([rowText(texts), rowText(texts), "null", "7"]);
  const whole = object(texts, {
    before: () => (texts.below(3) === 0 ? image() : "null"),
    after: () => (texts.below(4) === 0 ? image() : rowText(texts)),
    source: () =>
      texts.oneOf(["null", '{"ts_ms":5,"lsn":null,"x":{"y":1}}', '{"table":"t","lsn":9}']),
    op: () =>
      texts.oneOf(['"c"', '"u"', '"d"', '"r"', '"m"', '"x"', '"dd"', "null", "1", '"\\u0063"']),
    ts_ms: () => "1",
  });
  const removed = (): string =>
    `{"before":${rowText(texts)},"after":null,"op":"d","source":{"ts_ms":${texts.below(9)}}}`;
  const text = texts.below(4) === 0 ? removed() : whole;
  if (texts.below(5) > 0) return text;
  return object(texts, {
    schema: () => '{"fields":[{"op":"d"}]}',
    payload: () => text,
    op: () => '"c"',
  });
}

function keyText(texts: Texts): string | null {
  const plain = object(texts, {
    id: () => texts.oneOf(["1", "2", "null", '"x"']),
    k: () => texts.oneOf(['"a"', '"b"', "null"]),
    other: () => "[1]",
  });
  return texts.oneOf([plain, plain, `{"schema":{},"payload":${plain}}`, "1", null, ""]);
}

const FIELDS: readonly Field[] = [
  { id: 0, name: "id", required: true, type: { kind: "long" } },
  { id: 0, name: "k", required: false, type: { kind: "string" } },
  { id: 0, name: "n", required: true, type: { kind: "int" } },
  { id: 0, name: "s", required: false, type: { kind: "string" }, writeDefault: "none" },
];

for (const mode of ["ktable", "cdc"] as const) {
  test(`${mode}: the kernel makes of changes what the reader makes of them (seed ${SEED})`, () => {
    const texts = new Texts(SEED);
    for (let done = 0; done < RUNS / 8; done += BATCH) {
      const keyFields = texts.oneOf([[], ["id"], ["id", "k"]]);
      const isBare = mode === "cdc" && texts.below(3) === 0;
      const ofEnvelope = mode === "cdc" && texts.below(2) === 0;
      const options: DecoderOptions = {
        ...DECODER_DEFAULTS,
        fields: texts.oneOf([null, FIELDS]),
        flattenSeparator: texts.oneOf([null, null, "_"]),
        onUnknownField: texts.oneOf(["evolve", "ignore", "dead_letter"]),
        metadataColumns: [
          ...(keyFields.length === 0 ? ["key" as const] : []),
          ...(ofEnvelope ? (["op", "source_ts", "source_lsn", "source_table"] as const) : []),
          ...texts.oneOf([["partition", "offset", "timestamp"] as const, [] as const]),
        ],
        changes: {
          mode,
          keyFields,
          keyFormat: "json",
          onDelete: texts.oneOf(["delete", "delete", "mark", "ignore", "log"]),
          opField: isBare ? "op" : null,
        },
      };
      const records = Array.from({ length: BATCH }, (): RecordInput => {
        const change = isBare ? bareRow(texts) : envelope(texts);
        const value = mode === "cdc" ? change : rowText(texts);
        return { key: keyText(texts), value: texts.below(10) === 0 ? null : value };
      });
      const half = recordBatch(records.slice(0, BATCH / 2));
      const rest = recordBatch(records.slice(BATCH / 2), { baseOffset: BigInt(BATCH / 2) });
      compare(options, [half, rest], `record ${done} of seed ${SEED}`);
    }
  }, 600_000);
}

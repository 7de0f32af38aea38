/**
 * The Protobuf readers against protobufjs and against each other: random schemas, and records of them
 * that are whole, odd and broken.
 *
 * `FUZZ_RUNS` records (default 10,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { columnsOf } from "#decode/protobuf/columns.ts";
import type { ProtoMessage } from "#decode/protobuf/model.ts";
import { loadProtobuf } from "#decode/protobuf/parse.ts";
import { checkLayout, rowsOf, type Value } from "../support/columnValues.ts";
import { recordBatch } from "../support/records.ts";
import { type Expected, JsonValue, protobufOracle, Refusal, Unjudged } from "./protobufOracle.ts";
import { Messages } from "./protobufRecords.ts";
import { protoFile, TOP } from "./protobufSchemas.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 10_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const RECORDS = 100;

function decoderOf(message: ProtoMessage, kernel: false | "always"): Decoder {
  const fields = columnsOf(message);
  return createDecoder({
    ...DECODER_DEFAULTS,
    format: "protobuf",
    message,
    fields,
    infer: false,
    metadataColumns: [],
    kernel,
  });
}

/** Each record's row, or the reason for which it was refused. */
function outcome(
  decoder: Decoder,
  records: readonly Uint8Array[],
): (string | Record<string, Value>)[] {
  const segment = decoder.builder();
  const result = segment.decode(recordBatch(records));
  const sealed = segment.seal();
  checkLayout(sealed);
  const rows = rowsOf(sealed);
  const reasons = new Map(result.rejected.map(({ offset, reason }) => [Number(offset), reason]));
  let row = 0;
  return records.map((_, index) => reasons.get(index) ?? (rows[row++] as Record<string, Value>));
}

function isSame(actual: unknown, expected: Expected): boolean {
  if (expected instanceof JsonValue) {
    return typeof actual === "string" && Bun.deepEquals(JSON.parse(actual), expected.value);
  }
  if (expected instanceof Map) {
    if (!(actual instanceof Map) || actual.size !== expected.size) return false;
    return [...expected].every(([key, value]) => actual.has(key) && isSame(actual.get(key), value));
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return false;
    return expected.every((each, index) => isSame(actual[index], each));
  }
  if (typeof expected !== "object" || expected === null) return Object.is(actual, expected);
  if (typeof actual !== "object" || actual === null) return false;
  const members = Object.entries(expected as Record<string, Expected>);
  return members.every(([name, value]) => isSame((actual as Record<string, unknown>)[name], value));
}

type Judged = { readonly row: Expected } | "refused" | "unjudged" | "broken";

/**
 * What protobufjs makes of a record: its row, that no column holds it, that it is none, or nothing that
 * counts. It ends at a required field that is missing and at a text that is none also where that is in
 * a value that a later one replaces.
 */
function judged(read: (bytes: Uint8Array) => Expected, bytes: Uint8Array): Judged {
  try {
    return { row: read(bytes) };
  } catch (error) {
    if (error instanceof Refusal) return "refused";
    if (error instanceof Unjudged) return "unjudged";
    return /missing required|not valid for encoding/.test(String(error)) ? "unjudged" : "broken";
  }
}

/** @param isWhole the record was made without a fault, so that it must not be refused for one */
function isRight(ours: string | Record<string, Value>, theirs: Judged, isWhole: boolean): boolean {
  const isRow = typeof ours !== "string";
  switch (theirs) {
    case "broken":
      return !isRow;
    case "refused":
      // An empty entry's message may lack a required field beside it.
      return isWhole ? ours === "type_conflict" || ours === "missing_field" : !isRow;
    case "unjudged":
      // A text in a row that is none has thrown by now.
      return true;
    default:
      return isRow ? isSame(ours, theirs.row) : !isWhole;
  }
}

async function compare(
  seed: number,
  make: (messages: Messages, message: ProtoMessage) => Uint8Array,
  isWhole: boolean,
): Promise<void> {
  const file = protoFile(seed);
  const schema = (await loadProtobuf()).file("fuzz.proto", file, () => null);
  const message = schema.message(TOP);
  const read = protobufOracle(file, TOP);
  const messages = new Messages(seed, seed % 2 === 0 ? 0 : 10);
  const records = Array.from({ length: RECORDS }, () => make(messages, message));
  const host = outcome(decoderOf(message, false), records);
  const kernel = outcome(decoderOf(message, "always"), records);
  for (const [index, bytes] of records.entries()) {
    const told = () =>
      `seed ${seed}, record ${index}: ${Buffer.from(bytes).toString("hex")}\n${file}`;
    const ours = host[index];
    if (!Bun.deepEquals(kernel[index], ours))
      expect({ told: told(), row: kernel[index] }).toEqual({ told: told(), row: ours });
    const theirs = judged(read, bytes);
    if (ours !== undefined && isRight(ours, theirs, isWhole)) continue;
    expect({ told: told(), ours }).toEqual({ told: told(), ours: theirs as never });
  }
}

test(`whole messages of any schema have the values that protobufjs reads (seed ${SEED})`, async () => {
  for (let done = 0; done < RUNS / 2; done += RECORDS) {
    await compare(SEED * 100_000 + done, (messages, message) => messages.message(message), true);
  }
}, 3_600_000);

test(`broken messages are refused where protobufjs refuses them, and never read otherwise (seed ${SEED})`, async () => {
  for (let done = 0; done < RUNS / 2; done += RECORDS) {
    await compare(SEED * 100_000 + done, (messages, message) => messages.broken(message), false);
  }
}, 3_600_000);

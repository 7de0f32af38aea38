/**
 * What `[source.transform]` leaves out, masks or hashes is never shown, whatever becomes of the records around it: random
 * paths, and versions of schemas and documents in which records on the way are renamed by aliases, become members of
 * unions, texts, lists or maps, or differ by case, in every format, under every policy, in new tables and in those from
 * before the settings. The secret stands in no column, not in `_rescued`, in no name, and in no reason.
 *
 * `FUZZ_RUNS` tables (default 300) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import { AppError } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import type { Decoder } from "#decode/decoder.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { NO_SHAPING } from "#decode/shaping.ts";
import { freshSchema } from "#iceberg/metadata/newTable.ts";
import { avroBytes, type Decoded, decodeAll, framed } from "../support/avroRows.ts";
import { recordBatch } from "../support/records.ts";
import { registryRig } from "../support/registryRig.ts";
import { make } from "../unit/decode/protobuf/support.ts";
import { makeDecoder } from "../unit/decode/support.ts";
import { Hidden, shows, type Way } from "./hiddenValues.ts";
import { Picks } from "./picks.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 300);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));

/** A table's decoder, and what makes batches for it. */
interface Rig {
  readonly decoder: Decoder;
  /** Decodes values of a new version; as they were written, for people. */
  next(way: Way): Promise<readonly [written: string, decoded: Decoded]>;
}

type RigOf = (hidden: Hidden, options: Partial<DecoderOptions>) => Rig;

const json: RigOf = (hidden, options) => {
  const decoder = makeDecoder(options);
  return {
    decoder,
    next: async (way) => {
      const documents = Array.from({ length: 3 }, () => hidden.json(way));
      return [documents.join("\n"), decodeAll(decoder, recordBatch(documents))];
    },
  };
};

const avro: RigOf = (hidden, options) => {
  const { server, decoder, decode } = registryRig("avro", options);
  return {
    decoder,
    next: async (way) => {
      const [schema, value] = hidden.avro(way);
      const id = server.register("t-value", JSON.stringify(schema), "AVRO");
      const written = `${JSON.stringify(schema)} ${JSON.stringify(value)}`;
      return [written, await decode([framed(id, avroBytes(schema, value))])];
    },
  };
};

const protobuf: RigOf = (hidden, options) => {
  const { server, decoder, decode } = registryRig("protobuf", options);
  return {
    decoder,
    next: async (way) => {
      const [text, value] = hidden.protobuf(way);
      const id = server.register("t-value", text, "PROTOBUF");
      const { bytes } = await make(text, {}, "T");
      // The first message of its schema.
      const message = Uint8Array.of(0, ...bytes(value));
      return [`${text} ${JSON.stringify(value)}`, await decode([framed(id, message)])];
    },
  };
};

const FORMATS = { json, avro, protobuf } as const;

/** Options of a table that hides a path, and of the same one without that. */
function optionsOf(
  picks: Picks,
  { separator, path: names }: Hidden,
): readonly [shaped: Partial<DecoderOptions>, plain: Partial<DecoderOptions>] {
  const matchColumns = picks.oneOf(["exact", "exact", "ignore-case"] as const);
  const plain = {
    flattenSeparator: separator,
    matchColumns,
    onUnknownField: picks.oneOf(["evolve", "evolve", "ignore", "rescue", "dead_letter"] as const),
    onTypeConflict: picks.oneOf(["rescue", "dead_letter"] as const),
    kernel: picks.oneOf([false, "always"] as const),
  };
  const key = picks.oneOf(["exclude", "mask", "hash"] as const);
  const path = names.join(".");
  const rename = picks.below(5) === 0 ? { [path]: "renamed" } : {};
  const shaping = {
    ...NO_SHAPING,
    hashSalt: "salt",
    separator: separator ?? ".",
    ignoresCase: matchColumns === "ignore-case",
    [key]: [path],
    rename: key === "exclude" ? {} : rename,
  };
  return [
    { ...plain, shaping },
    { ...plain, onUnknownField: "evolve" },
  ];
}

/** Columns of a table from before the settings. */
async function columnsBefore(
  make: RigOf,
  hidden: Hidden,
  options: Partial<DecoderOptions>,
): Promise<readonly Field[]> {
  const rig = make(hidden, options);
  await rig.next("placed");
  await rig.next("placed");
  return freshSchema(rig.decoder.fields).fields;
}

/** Rows and refusals of one table. */
async function run(make: RigOf, seed: number): Promise<readonly [rows: number, refused: number]> {
  const picks = new Picks(seed);
  const hidden = new Hidden(seed);
  const [options, plain] = optionsOf(picks, hidden);
  const isOld = picks.below(2) === 0;
  // What comes first is what that table was made for.
  const table = isOld ? await columnsBefore(make, new Hidden(seed), plain) : [];
  const rig = make(hidden, options);
  if (isOld) rig.decoder.adopt(table, { dropped: [], hasRows: true });
  let [rows, refused] = [0, 0];
  const all: string[] = [];
  for (let version = 0; version < 4; version++) {
    const first = isOld ? "placed" : picks.oneOf(["said", "slipped"] as const);
    const [written, decoded] = await rig.next(version < 2 ? first : "slipped");
    all.push(written);
    const details = decoded.rejected.map(({ reason, detail }) => [reason, detail]);
    const shown = [decoded.rows, decoded.fields, rig.decoder.fields, details];
    if (shows(shown)) {
      const what = { path: hidden.path, options, table, all, rows: decoded.rows, details };
      throw new Error(`the secret is shown: ${Bun.inspect(what, { depth: 12 })}`);
    }
    rows += decoded.rows.length;
    refused += decoded.rejected.length;
  }
  return [rows, refused];
}

for (const [name, make] of Object.entries(FORMATS)) {
  test(`what is hidden in ${name} stays so in every version, place and case of it`, async () => {
    let [rows, refused] = [0, 0];
    for (let index = 0; index < Math.ceil(RUNS / 3); index++) {
      const seed = SEED * 1_000_003 + index;
      try {
        const found = await run(make, seed);
        rows += found[0];
        refused += found[1];
      } catch (error) {
        // A column of the table that cannot hold what stands for its values ends a run when it starts.
        if (error instanceof AppError && error.kind === "usage") continue;
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    expect([rows > RUNS / 10, refused > RUNS / 10]).toEqual([true, true]);
  }, 120_000);
}

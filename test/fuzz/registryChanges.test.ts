/**
 * Changes in the formats of a registry, by the decode kernel and by the TypeScript reader: envelopes and
 * bare rows with any part missing, of any operation, whole and broken.
 *
 * `FUZZ_RUNS` records (default 40,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import type { RecordBytes } from "#decode/decoder.ts";
import type { ChangeOptions, DecoderOptions } from "#decode/options.ts";
import { checkLayout, rowsOf } from "../support/columnValues.ts";
import { recordBatch } from "../support/records.ts";
import {
  CHANGE_FORMATS,
  type ChangeFormat,
  registered,
  type SourceRow,
} from "../support/registryChanges.ts";
import { registryRig } from "../support/registryRig.ts";
import { Texts } from "./texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 40_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const BATCH = 200;

function rowOf(texts: Texts): SourceRow {
  return {
    id: texts.oneOf([1, 2, 2 ** 40, 77, null]),
    n: texts.oneOf([null, 5, -1]),
    s: texts.oneOf([null, "text", "é", "", "__debezium_unavailable", "a".repeat(200)]),
    tags: texts.oneOf([null, [], ["a"], ["b", "c"]]),
    later: texts.oneOf([null, "later"]),
  };
}

function changeOf(texts: Texts): object {
  const part = (): SourceRow | null => (texts.below(3) === 0 ? null : rowOf(texts));
  const op = texts.oneOf(["c", "u", "r", "d", "d", "m", "x", "", "delete", "true"]);
  const isDelete = op === "d" && texts.below(3) > 0;
  const after = isDelete ? null : part();
  const source = { ts_ms: texts.below(9), lsn: texts.oneOf([null, 7]), table: "t" };
  return { op, before: part(), after, source };
}

/** Some bytes are others, or missing. */
function broken(texts: Texts, value: Uint8Array): Uint8Array {
  if (texts.below(6) > 0) return value;
  const bytes = value.slice(0, texts.below(4) === 0 ? texts.below(value.length) : value.length);
  if (bytes.length > 6) bytes[5 + texts.below(bytes.length - 5)] = texts.below(256);
  return bytes;
}

async function outcome(
  format: ChangeFormat,
  options: Partial<DecoderOptions>,
  schema: string,
  values: readonly object[],
): Promise<unknown> {
  const rig = registryRig(format.name, options);
  const write = registered(rig, format, schema);
  const breaking = new Texts(values.length + SEED);
  const bytes = values.map((value) => broken(breaking, write(value)));
  const records = bytes.map((value, n) => ({
    key: `{"id":${n}}`,
    value: n % 11 === 10 ? null : value,
  }));
  const batch = recordBatch(records);
  const prepare = async (each: RecordBytes): Promise<void> => {
    for (let next = rig.decoder.prepare?.(each); next; next = rig.decoder.prepare?.(each)) {
      await next;
    }
  };
  await prepare(batch);
  if (rig.decoder.needsSample) rig.decoder.sample([batch]);
  const segment = rig.decoder.builder();
  const results = [segment.decode(batch), segment.decode(batch)];
  const sealed = segment.seal();
  checkLayout(sealed);
  return { results, rows: rowsOf(sealed), fields: sealed.fields };
}

for (const format of CHANGE_FORMATS) {
  test(`${format.name}: the kernel makes of changes what the reader makes of them (seed ${SEED})`, async () => {
    const texts = new Texts(SEED);
    for (let done = 0; done < RUNS / 3; done += BATCH) {
      const isBare = texts.below(4) === 0;
      const keyFields = texts.oneOf([[], ["id"]]);
      const changes: ChangeOptions = {
        mode: "cdc",
        keyFields,
        keyFormat: "json",
        onDelete: texts.oneOf(["delete", "delete", "mark", "ignore", "log"]),
        opField: isBare ? "__op" : null,
      };
      const ofEnvelope = !isBare && texts.below(2) === 0;
      const options: Partial<DecoderOptions> = {
        changes,
        flattenSeparator: texts.oneOf([null, null, "_"]),
        onUnknownField: texts.oneOf(["evolve", "ignore"]),
        metadataColumns: [
          ...(keyFields.length === 0 ? ["key" as const] : []),
          ...(ofEnvelope ? (["op", "source_ts", "source_lsn", "source_table"] as const) : []),
        ],
      };
      const values = Array.from({ length: BATCH }, (): object =>
        isBare
          ? { ...rowOf(texts), __op: texts.oneOf(["c", "d", "false", "true", "m", "what"]) }
          : changeOf(texts),
      );
      const schema = isBare ? format.bare() : format.envelope(texts.oneOf([1, 2]));
      const kernel = await outcome(format, { ...options, kernel: "always" }, schema, values);
      const host = await outcome(format, { ...options, kernel: false }, schema, values);
      if (Bun.deepEquals(kernel, host, true)) continue;
      const told = `record ${done} of seed ${SEED}, ${JSON.stringify(options)}`;
      expect({ told, ...(kernel as object) }).toEqual({ told, ...(host as object) });
    }
  }, 600_000);
}

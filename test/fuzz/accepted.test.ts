/**
 * Whatever the decoder accepts, everything behind it can take: each transform of each column, the
 * manifest with its summaries, the folder's name, and the Parquet file. A value that would fail there
 * must be refused with its record, since a writer's error stops the table at every restart.
 *
 * `FUZZ_RUNS` / 40 records of each type (default 5,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field, PrimitiveType } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { createManifestWriter } from "#iceberg/manifest/manifestFile.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";
import { partitionPath, partitionRows } from "#iceberg/partition/partition.ts";
import { parseTransform, resultType, transformAllows } from "#iceberg/partition/transform.ts";
import { foreignFile } from "../sim/rows.ts";
import { rowsOf } from "../support/columnValues.ts";
import { type RecordInput, recordBatch } from "../support/records.ts";
import { encodeWhole } from "../unit/parquet/rows.ts";
import { Texts } from "./texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000) / 40;
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const BATCH = 250;

const TRANSFORMS = [
  ...["identity", "void", "year", "month", "day", "hour", "bucket[1]", "bucket[2147483647]"],
  ...["truncate[1]", "truncate[3]", "truncate[10]", "truncate[2147483647]"],
];

/** Milliseconds, microseconds, nanoseconds; the ends of what 32-bit hours and 64 bits hold. */
const TIMES = [
  ...["8640000000000000", "8640000000000001", "7730941132799999", "7730941132800000"],
  ...["-7730941132800000", "-7730941132800001", "1767225600000000000", "9223372036854775"],
  ...["9223372036854776", "-9223372036854775808", "9007199254740993", "-1", "0", "-1000"],
];

const quoted = (texts: Texts): string => texts.quoted(texts.timestamp());
const number = (texts: Texts): string => texts.number();
const decimal = (precision: number, scale: number): PrimitiveType => {
  return { kind: "decimal", precision, scale };
};

/** Types with texts of their values; most of them are valid, many at the ends of the range. */
const TYPES: readonly (readonly [PrimitiveType, (texts: Texts) => string])[] = [
  [{ kind: "boolean" }, (texts) => texts.oneOf(["true", "false", "1"])],
  [{ kind: "int" }, number],
  [{ kind: "long" }, number],
  [{ kind: "float" }, number],
  [{ kind: "double" }, number],
  [decimal(1, 0), number],
  [decimal(3, 1), (texts) => texts.oneOf(["99.9", "-99.9", "-0.1", texts.number()])],
  [decimal(9, 2), number],
  [decimal(38, 10), number],
  [{ kind: "date" }, (texts) => texts.quoted(texts.date())],
  [{ kind: "time" }, (texts) => texts.quoted(texts.time())],
  [{ kind: "timestamp", zone: true }, quoted],
  [{ kind: "timestamp", zone: false }, quoted],
  [{ kind: "timestamp_ns", zone: true }, quoted],
  [
    { kind: "string" },
    (texts) =>
      JSON.stringify(texts.oneOf(["\ufeff", "é", "a/b", "x"]).repeat(texts.below(2) * 400 + 1)),
  ],
  [{ kind: "uuid" }, (texts) => texts.quoted(texts.uuid())],
  [{ kind: "fixed", length: 3 }, (texts) => texts.oneOf(['"AAAA"', '"////"', '"AA=="'])],
  [{ kind: "binary" }, (texts) => texts.oneOf(['""', '"AAAA"', `"${"/".repeat(4000)}"`])],
];

/** The batch with ids, as `writer/` has it when the table knows the columns. */
function decoded(
  options: Partial<DecoderOptions>,
  records: readonly (string | RecordInput)[],
  baseTimestampMs: number,
): ColumnBatch {
  const decoder = createDecoder({ ...DECODER_DEFAULTS, ...options });
  decoder.adopt(decoder.fields.map((field, index) => ({ ...field, id: index + 1 })));
  const segment = decoder.builder();
  segment.decode(recordBatch(records, { baseTimestampMs }));
  return segment.seal();
}

/** Takes every column through everything that stands behind the decoder. */
async function takeOn(batch: ColumnBatch): Promise<void> {
  const { fields } = batch;
  for (const { id, name, type } of fields) {
    for (const transform of TRANSFORMS) {
      const source = type as PrimitiveType;
      const spec: PartitionSpec = {
        specId: 0,
        fields: [{ sourceId: id, fieldId: 1000, name: `${name}_p`, transform }],
      };
      const result = usable(transform, source);
      if (result === null) continue;
      const types = [{ fieldId: 1000, name: `${name}_p`, type: result }];
      const metadata = {
        formatVersion: 2,
        schemas: [{ schemaId: 0, fields, identifierFieldIds: [] }],
        currentSchemaId: 0,
      } as const;
      const writer = createManifestWriter({ metadata, spec, types, content: "data" });
      for (const { partition } of partitionRows(spec, fields, batch)) {
        expect(partitionPath(spec, fields, partition)).not.toContain("NaN");
        const file = { ...foreignFile("file"), partition };
        await writer.add({
          status: "added",
          snapshotId: 1n,
          sequenceNumber: null,
          fileSequenceNumber: null,
          file,
        });
      }
      await writer.finish();
    }
  }
  const options = { codec: "snappy", level: null, rowGroupRows: 100, metadata: {} } as const;
  const files = await Promise.all(
    [true, false].map((kernel) => encodeWhole(fields, [batch], { ...options, kernel })),
  );
  expect(files.map((file) => file.rowCount)).toEqual([batch.rowCount, batch.rowCount]);
}

/** The type of the transform's results; null where the table would be refused for it. */
function usable(transform: string, source: PrimitiveType): PrimitiveType | null {
  const parsed = parseTransform(transform);
  if (!transformAllows(parsed, source)) return null;
  try {
    return resultType(parsed, source);
  } catch {
    return null;
  }
}

for (const [type, text] of TYPES) {
  test(`${Bun.inspect(type)}: what is accepted can be partitioned and stored (seed ${SEED})`, async () => {
    const texts = new Texts(SEED);
    const fields: Field[] = [{ id: 0, name: "v", required: false, type }];
    for (let done = 0; done < RUNS; done += BATCH) {
      const documents = Array.from({ length: BATCH }, () => `{"v":${text(texts)}}`);
      await takeOn(decoded({ fields, metadataColumns: [] }, documents, 0));
    }
  }, 600_000);
}

/** A delta that takes all of a number's 53 bits. */
const FAR_MS = Number.MAX_SAFE_INTEGER - 1;

/** The event time's formats, with the nanoseconds of their units. */
const FORMATS = { epoch_seconds: 9, epoch_millis: 6, epoch_micros: 3, epoch_nanos: 0 } as const;
const HOUR_MICROS = 3_600_000_000n;

/** The microseconds that a column must hold; null: no 32-bit hour has them, so they are refused. */
function exact(nanos: bigint): bigint | null {
  const micros = BigInt.asIntN(128, nanos - (((nanos % 1000n) + 1000n) % 1000n)) / 1000n;
  const isHeld = micros >= -(2n ** 31n) * HOUR_MICROS && micros < 2n ** 31n * HOUR_MICROS;
  return isHeld ? micros : null;
}

test(`event times and Kafka timestamps of any size are exact or refused (seed ${SEED})`, async () => {
  const texts = new Texts(SEED);
  for (const [eventTimeFormat, power] of Object.entries(FORMATS)) {
    for (const base of TIMES) {
      const records = Array.from({ length: 24 }, (_, index) => ({
        at: texts.oneOf(TIMES),
        // Deltas beyond 2^53 are not exact, nor is what comes of them.
        timestampDelta: texts.oneOf([0, texts.below(2_000) - 1000, FAR_MS, -FAR_MS, index]),
      }));
      // A base beyond 2^53 has lost digits before the decoder sees it.
      const isWhole = Number.isSafeInteger(Number(base));
      const wanted = records.flatMap(({ at, timestampDelta }, index) => {
        const event = exact(BigInt(at) * 10n ** BigInt(power));
        const stampMs = BigInt(base) + BigInt(timestampDelta);
        const stamp = exact(stampMs * 1_000_000n);
        const kafka = stampMs === -1n ? null : stamp;
        return event === null || stamp === null || !isWhole ? [] : [[BigInt(index), event, kafka]];
      });
      const documents = records.map((record) => ({ ...record, value: `{"at":${record.at}}` }));
      for (const kernel of ["always", false] as const) {
        const options = { eventTimeField: "at", eventTimeFormat, kernel };
        const batch = decoded(options, documents, Number(base));
        const rows = rowsOf(batch).map((row) => [
          ...[row["_kafka_offset"], row["at"], row["_kafka_timestamp"]],
        ]);
        expect(rows).toEqual(wanted as never);
        await takeOn(batch);
      }
    }
  }
}, 600_000);

test("a column that the table requires rejects records without a key, a time or a value", () => {
  const a: Field = { id: 0, name: "a", required: true, type: { kind: "long" } };
  for (const kernel of ["always", false] as const) {
    for (const format of ["json", "string"] as const) {
      const options = {
        ...DECODER_DEFAULTS,
        format,
        kernel,
        metadataColumns: ["key", "timestamp"],
        onTombstone: "null_row",
      } as const;
      const decoder = createDecoder({ ...options, fields: format === "json" ? [a] : null });
      decoder.adopt(
        decoder.fields.map((field, index) => ({ ...field, id: index + 1, required: true })),
      );
      const segment = decoder.builder();
      const records = [
        { key: "k", value: '{"a":1}' },
        { key: null, value: '{"a":1}' },
        { key: "k", value: null },
        { key: "k", value: '{"a":1}', timestampDelta: -1 },
      ];
      const result = segment.decode(recordBatch(records, { baseTimestampMs: 0 }));
      expect(result.rejected.map(({ reason }) => reason)).toEqual([
        "missing_field",
        "missing_field",
        "missing_field",
      ]);
      expect(segment.seal().columns.map(({ nullCount }) => nullCount)).not.toContain(1);
    }
  }
});

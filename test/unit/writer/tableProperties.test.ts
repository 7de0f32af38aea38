/** Table properties of the owner: codecs, metrics that must not be shown, other formats. */
import { expect, test } from "bun:test";
import type { Field } from "#columns/schema.ts";
import type { ColumnMetrics, EncodedFile } from "#parquet/encoder.ts";
import { dataFile } from "#writer/dataFile.ts";
import {
  bloomFilters,
  bloomProperties,
  fileCodec,
  fileSizes,
  formatRefusal,
  missingBloomColumns,
  reducedMetrics,
} from "#writer/tableProperties.ts";

const text = { kind: "string" } as const;
const FIELDS: readonly Field[] = [
  { id: 1, name: "secret", required: false, type: text },
  { id: 2, name: "name", required: false, type: text },
  {
    id: 3,
    name: "s",
    required: false,
    type: { kind: "struct", fields: [{ id: 4, name: "secret", required: false, type: text }] },
  },
];

function manifestOf(properties: Record<string, string>) {
  const metrics = [1, 2, 4].map((fieldId): ColumnMetrics => {
    const bytes = new Uint8Array([97]);
    return {
      fieldId,
      sizeBytes: 10n,
      valueCount: 1n,
      nullCount: 0n,
      nanCount: null,
      lowerBound: bytes,
      upperBound: bytes,
    };
  });
  const encoded = { rowCount: 1, bytes: 1, splitOffsets: [], metrics } as unknown as EncodedFile;
  return dataFile("x", encoded, 0, [], reducedMetrics(FIELDS, properties));
}

test("a column whose metrics are none appears nowhere in a manifest, nested ones by their path", () => {
  const file = manifestOf({
    "write.metadata.metrics.column.secret": "none",
    "write.metadata.metrics.column.s.secret": "none",
  });
  const maps = [
    file.columnSizes,
    file.valueCounts,
    file.nullValueCounts,
    file.nanValueCounts,
    file.lowerBounds,
    file.upperBounds,
  ];
  for (const map of maps) for (const id of map?.keys() ?? []) expect(id).toBe(2);
  expect(file.lowerBounds?.has(2)).toBe(true);
});

test("counts, and fewer characters than our bounds have, show no bounds; a column's mode comes first", () => {
  for (const mode of ["counts", "truncate(4)", "Counts"]) {
    const file = manifestOf({ "write.metadata.metrics.default": mode });
    expect([file.valueCounts?.size, file.lowerBounds?.size]).toEqual([3, 0]);
  }
  const mixed = manifestOf({
    "write.metadata.metrics.default": "none",
    "write.metadata.metrics.column.name": "full",
  });
  expect([...(mixed.lowerBounds?.keys() ?? [])]).toEqual([2]);
  expect(manifestOf({ "write.metadata.metrics.default": "truncate(16)" }).lowerBounds?.size).toBe(
    3,
  );
});

test("the table's codec and level count where the configuration has none", () => {
  const table = {
    "write.parquet.compression-codec": "ZSTD",
    "write.parquet.compression-level": "7",
  };
  const own = { codec: "snappy", codecLevel: null } as const;
  expect(fileCodec({ ...own, unset: new Set(["codec"] as const) }, table)).toEqual({
    codec: "zstd",
    level: 7,
  });
  expect(fileCodec({ ...own, unset: new Set<"codec">() }, table)).toEqual({
    codec: "snappy",
    level: null,
  });
  const odd = { ...table, "write.parquet.compression-level": "99" };
  expect(fileCodec({ ...own, unset: new Set(["codec"] as const) }, odd)).toEqual({
    codec: "zstd",
    level: null,
  });
  const unknown = { "write.parquet.compression-codec": "lzo" };
  expect(fileCodec({ ...own, unset: new Set(["codec"] as const) }, unknown).codec).toBe("snappy");
});

test("a table of another file format is refused, Parquet in any case is not", () => {
  expect(formatRefusal("t", { "write.format.default": "orc" })?.kind).toBe("table_unsupported");
  expect(formatRefusal("t", { "write.format.default": "PARQUET" })).toBeNull();
  expect(formatRefusal("t", {})).toBeNull();
});

test("sizes of files and row groups are the table's where no key says others, and a row group fits its file", () => {
  const table = {
    "write.target-file-size-bytes": "1000",
    "write.parquet.row-group-size-bytes": "300",
  };
  const own = { fileBytesTarget: 50_000, rowGroupBytes: 7000 };
  const unset = new Set(["file bytes", "row group bytes"] as const);
  expect(fileSizes({ ...own, unset }, table)).toEqual({ fileBytes: 1000, rowGroupBytes: 300 });
  expect(fileSizes(own, table)).toEqual({ fileBytes: 50_000, rowGroupBytes: 7000 });
  expect(fileSizes({ ...own, fileBytesTarget: 10 }, {})).toEqual({
    fileBytes: 10,
    rowGroupBytes: 10,
  });
  const odd = { "write.target-file-size-bytes": "-1", "write.parquet.row-group-size-bytes": "0" };
  expect(fileSizes({ ...own, unset }, odd)).toEqual({ fileBytes: 50_000, rowGroupBytes: 7000 });
});

test("bloom filters: of columns that the table or the configuration names, at any depth, by Iceberg's properties", () => {
  const leaf = (id: number, name: string): Field => ({
    id,
    name,
    required: false,
    type: { kind: "string" },
  });
  const fields: Field[] = [
    leaf(1, "a"),
    {
      id: 2,
      name: "s",
      required: false,
      type: { kind: "struct", fields: [leaf(3, "b"), leaf(4, "c")] },
    },
  ];
  const properties = {
    ...bloomProperties(["s.b"]),
    "write.parquet.bloom-filter-enabled.column.s.c": "false",
    "write.parquet.bloom-filter-fpp.column.s.b": "0.1",
    "write.parquet.bloom-filter-max-bytes": "4096",
  };
  expect(bloomFilters(fields, properties, ["a", "gone", "s"])).toEqual([
    { fieldId: 1, falsePositives: 0.01, bytesMax: 4096 },
    { fieldId: 3, falsePositives: 0.1, bytesMax: 4096 },
  ]);
  expect(bloomFilters(fields, {})).toEqual([]);
  const huge = { ...properties, "write.parquet.bloom-filter-max-bytes": "1e12" };
  expect(bloomFilters(fields, huge).map(({ bytesMax }) => bytesMax)).toEqual([8_388_608]);
  expect(missingBloomColumns(fields, ["a", "gone", "s"])).toEqual(["gone", "s"]);
});

/** What `check` says of table properties that its owner has set and that we do not follow. */
import { expect, test } from "bun:test";
import { propertyNotes } from "#cli/propertyNotes.ts";
import type { PipelineConfig } from "#config/config.ts";

/** A pipeline whose files are zstd, of 64 MiB, in groups of 8 MiB: by default, or as the configuration says. */
function pipeline(isSet: boolean): PipelineConfig {
  const values = {
    "iceberg.write.compression": "zstd",
    "iceberg.write.target_file_size_mb": 64,
    "iceberg.write.row_group_size_mb": 8,
  };
  const origins = new Map(isSet ? Object.keys(values).map((key) => [key, { line: 1 }]) : []);
  return { values, origins } as unknown as PipelineConfig;
}

test.each([
  "write.object-storage.enabled",
  "write.parquet.row-group-limit",
  "write.distribution-mode",
])("%s is named with its value, as not heeded, and what counts instead", (name) => {
  const [note, ...others] = propertyNotes({ [name]: "v", "an.own": "x" }, pipeline(false));
  expect(note).toMatch(new RegExp(`^table property ${name} = v is not heeded: .+`));
  expect(others).toEqual([]);
});

test("a codec of the table is named where a key that is set says another", () => {
  const codec = (value: string) => ({ "write.parquet.compression-codec": value });
  expect(propertyNotes(codec("gzip"), pipeline(true))).toEqual([
    "iceberg.write.compression = zstd wins over table property write.parquet.compression-codec = gzip",
  ]);
  expect(propertyNotes(codec("ZSTD"), pipeline(true))).toEqual([]);
  expect(propertyNotes(codec("gzip"), pipeline(false))).toEqual([]);
});

test("sizes of the table are named only where a key that is set says another", () => {
  const sizes = {
    "write.target-file-size-bytes": "33554432",
    "write.parquet.row-group-size-bytes": "8388608",
  };
  expect(propertyNotes(sizes, pipeline(false))).toEqual([]);
  expect(propertyNotes(sizes, pipeline(true))).toEqual([
    "iceberg.write.target_file_size_mb = 64 wins over table property write.target-file-size-bytes = 33554432",
  ]);
});

test("a table without such properties has no notes", () => {
  expect(propertyNotes({ owner: "root" }, pipeline(true))).toEqual([]);
});

/** Folders of partitions: whatever the values, a file system and S3 take them. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { LIMITS } from "#base/limits.ts";
import type { Field } from "#columns/schema.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";
import { partitionPath } from "#iceberg/partition/partition.ts";
import { partitionFolder } from "#iceberg/partition/partitionFolder.ts";

function specOf(names: readonly string[]): { spec: PartitionSpec; fields: Field[] } {
  const fields = names.map((name, index): Field => {
    return { id: index + 1, name, required: false, type: { kind: "string" } };
  });
  const parts = names.map((name, index) => {
    return { sourceId: index + 1, fieldId: 1000 + index, name, transform: "identity" };
  });
  return { spec: { specId: 0, fields: parts }, fields };
}

const unit = fc.constantFrom("a", "/", "~", "é", "日", "😀", "\ufeff", ".", " ");
const text = fc.oneof(fc.string({ unit, maxLength: 8 }), fc.string({ unit, maxLength: 700 }));
const partitions = fc.integer({ min: 1, max: 8 }).chain((count) =>
  fc.record({
    names: fc.array(fc.string({ unit, minLength: 1, maxLength: 300 }), {
      minLength: count,
      maxLength: count,
    }),
    values: fc.array(fc.option(text), { minLength: count, maxLength: count }),
  }),
);

test("any values make a folder that a local disk and S3 take", () => {
  const root = mkdtempSync(join(tmpdir(), "folders-"));
  try {
    fc.assert(
      fc.property(partitions, ({ names, values }) => {
        const { spec, fields } = specOf(names);
        const folder = partitionFolder(spec, fields, values);
        expect(Buffer.byteLength(folder)).toBeLessThanOrEqual(LIMITS.partitionFolderBytesMax);
        for (const name of folder.split("/"))
          expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        expect(decodeURIComponent(folder)).toBeString();
        mkdirSync(join(root, folder), { recursive: true });
      }),
      { numRuns: 100 },
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}, 60_000);

test("short partitions are named as Java names them, cut ones differ as their values do", () => {
  const { spec, fields } = specOf(["kind"]);
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [folder, other] = [a, b].map((value) => partitionFolder(spec, fields, [value]));
      const path = partitionPath(spec, fields, [a]);
      if (path.length <= LIMITS.partitionPartBytesMax) expect(folder).toBe(path);
      expect(folder === other).toBe(a === b);
    }),
    { numRuns: 500 },
  );
  const long = "日".repeat(28);
  expect(partitionFolder(spec, fields, [long])).toMatch(/^kind=(%[0-9A-F]{2}){45}~[0-9a-f]{16}$/);
});

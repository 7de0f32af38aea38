/** Where deletes by equality must lie to reach every row of a key. */
import { expect, test } from "bun:test";
import { equalitySpec, reachesAll } from "#iceberg/deletes/equalityScope.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";

const KEY = [1, 2];
const whole: PartitionSpec = { specId: 7, fields: [] };
const dropped = specOf(8, [[3, "void"]]);
const byKey = specOf(0, [
  [1, "bucket[4]"],
  [2, "identity"],
]);
const byOther = specOf(0, [
  [1, "identity"],
  [3, "day"],
]);

function specOf(
  specId: number,
  fields: readonly (readonly [source: number, transform: string])[],
): PartitionSpec {
  const all = fields.map(([sourceId, transform], index) => {
    return { sourceId, fieldId: 1000 + index, name: `f${index}`, transform };
  });
  return { specId, fields: all };
}

const tables: readonly [string, readonly PartitionSpec[], number | null][] = [
  ["without partitions", [whole], 7],
  ["whose partitions were all dropped", [dropped], 8],
  ["whose key says the partition", [byKey], 0],
  ["whose key does not say the partition", [byOther], null],
  ["whose key says the partition, and that has files without one", [byKey, whole], 7],
  ["that has two ways to say the partition", [byKey, specOf(1, [[2, "bucket[8]"]])], null],
];
for (const [what, partitionSpecs, specId] of tables) {
  test(`deletes of a table ${what} are under the spec that reaches every row`, () => {
    const defaultSpecId = partitionSpecs[0]?.specId ?? 0;
    const spec = equalitySpec({ partitionSpecs, defaultSpecId }, KEY);
    expect(spec?.specId ?? null).toBe(specId);
    if (specId !== null) expect(reachesAll({ partitionSpecs, defaultSpecId }, specId)).toBe(true);
  });
}

test("deletes of a partition reach every row until the table gets another spec; those of the table always do", () => {
  const later = { partitionSpecs: [byKey, whole], defaultSpecId: 7 };
  expect(reachesAll(later, byKey.specId)).toBe(false);
  expect(reachesAll(later, whole.specId)).toBe(true);
  expect(reachesAll({ partitionSpecs: [byKey], defaultSpecId: 0 }, whole.specId)).toBe(false);
});

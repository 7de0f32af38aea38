/** Deletes by equality: under which spec their files are, of which keys, and of which number. */
import { expect, test } from "bun:test";
import { listDataFiles } from "#iceberg/io/scan.ts";
import { ChangedTable } from "../../support/changedTable.ts";
import { MaintainedTable } from "../../support/maintainedTable.ts";

/** The delete files of a table after two flushes, and its specs. */
async function deletesOf(partitionForms: readonly string[]) {
  const { catalog } = new MaintainedTable().parts;
  const options = { formatVersion: 2, deletes: "equality", partitionForms } as const;
  const changed = await ChangedTable.create(catalog, "t", options);
  await changed.flush(40, 10);
  await changed.flush(40, 10);
  const head = await catalog.load({ namespace: ["db"], table: "t" });
  if (head === null) throw new Error("the table is there");
  const { storage, metadata } = head;
  const id = metadata.currentSnapshotId ?? 0n;
  const files = await Array.fromAsync(listDataFiles(storage, metadata, id));
  const deletes = files.filter(({ file }) => file.content === "equality-deletes");
  return { metadata, deletes, rows: changed.rows.size };
}

test("a table whose key does not say the partition gets an unpartitioned spec for them, and keeps its own", async () => {
  const { metadata, deletes } = await deletesOf(["day"]);
  const { partitionSpecs, defaultSpecId } = metadata;
  expect(partitionSpecs.map(({ fields }) => fields.length)).toEqual([1, 0]);
  expect(defaultSpecId).toBe(partitionSpecs[0]?.specId ?? -1);
  const specs = new Set(deletes.map(({ file }) => file.specId));
  expect([...specs]).toEqual([partitionSpecs[1]?.specId ?? -1]);
});

test("where the key says the partition, they are of that partition, and hold every changed key once", async () => {
  const { metadata, deletes } = await deletesOf(["bucket(4, id)"]);
  expect(metadata.partitionSpecs).toHaveLength(1);
  expect(new Set(deletes.map(({ file }) => file.partition[0])).size).toBeGreaterThan(1);
  const flushes = Map.groupBy(deletes, ({ sequenceNumber }) => sequenceNumber);
  expect(flushes.size).toBe(2);
  for (const files of flushes.values()) {
    const keys = files.reduce((sum, { file }) => sum + Number(file.recordCount), 0);
    // 40 changes of 10 keys in each of two partitions leave hardly one out.
    expect(keys).toBeGreaterThan(14);
    expect(keys).toBeLessThanOrEqual(20);
    for (const { file } of files) expect(file.equalityIds).toEqual([1]);
  }
});

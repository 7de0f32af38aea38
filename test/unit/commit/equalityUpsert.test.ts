/** Changes whose older rows are deleted by their key: by which partition keys come, and specs that others add. */
import { expect, test } from "bun:test";
import type { Attempt } from "#commit/change.ts";
import { EqualityUpsert } from "#commit/equalityUpsert.ts";
import { Ledger } from "#commit/ledger.ts";
import { emptyDocument } from "#commit/progressDocument.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";
import { KeyedTable } from "../../support/keyedTable.ts";
import { FEED, MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";

const { parts, options } = new MaintainedTable();
const OTHER: PartitionSpec = { specId: 9, fields: [] };

/** Changes of keys, partition by partition, each with a delete file under the table's spec. */
async function upsertOf(table: KeyedTable, keys: readonly (readonly bigint[])[]) {
  const units = await Promise.all(
    keys.map(async (each, partition) => {
      const file = await table.equalityDeletes(each, 20_000);
      const words = BigUint64Array.from(each.flatMap((key) => [key, key]));
      const changed = { count: each.length, words };
      return { feeds: [{ ...FEED, partition }], files: [file], keys: changed, empties: false };
    }),
  );
  return new EqualityUpsert(parts, [], units);
}

async function attemptOn(table: KeyedTable, specs: readonly PartitionSpec[] = []) {
  const head = await table.head([]);
  const partitionSpecs = [...head.metadata.partitionSpecs, ...specs];
  const document = emptyDocument("main");
  const progress = { kind: "readable", document, headIsOurs: false, group: "", decidedBy: null };
  const ledger = new Ledger(parts.random.uuid());
  return {
    ...{ parts, options, progress, kind: "flush", number: 1, ledger, commitId: ledger.commitId },
    head: { ...head, metadata: { ...head.metadata, partitionSpecs } },
  } as Attempt;
}

test("a key that came by two partitions stops the table before anything is written", async () => {
  const table = new KeyedTable();
  const clash = await upsertOf(table, [[1n, 2n], [3n], [4n, 2n]]);
  const attempt = await attemptOn(table);
  const before = table.storage.calls["put"];
  expect(await rejection(clash.stage(attempt))).toMatchObject({ kind: "data" });
  expect(table.storage.calls["put"]).toBe(before);
  const upsert = await upsertOf(table, [[1n, 2n], [3n], [4n]]);
  expect(await upsert.stage(attempt)).toMatchObject({ kind: "staged" });
});

test("deletes of one partition are written anew when the table has got another spec, whose files they would miss", async () => {
  const table = new KeyedTable();
  const upsert = await upsertOf(table, [[1n]]);
  expect(await upsert.stage(await attemptOn(table))).toMatchObject({ kind: "staged" });
  const dropped = await upsert.stage(await attemptOn(table, [OTHER]));
  expect(dropped).toMatchObject({ kind: "dropped", by: "" });
});

/** Catalogs on the local disk for the conformance tests, and empty snapshots for their tables. */
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, LoadedTable, TableName } from "#catalog/catalog.ts";
import { type CatalogOptions, openCatalog } from "#catalog/open.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";
import { createLocalStorage } from "#storage/local.ts";
import type { Storage } from "#storage/storage.ts";
import { SAMPLE_FIELDS } from "./icebergSamples.ts";

/** The local disk. */
export const localStorage: Storage = createLocalStorage({
  disk: systemDisk,
  random: systemRandom,
});

/** Opens a catalog as the product does. */
export async function realCatalog(options: CatalogOptions): Promise<Catalog> {
  const catalog = openCatalog(options, {
    storage: localStorage,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    observe: ignoreObservations,
  });
  await catalog.open();
  return catalog;
}

/** Creates `id long, ts timestamptz, name string`, sorted by ts; partitioned as `forms` say. */
export async function createSample(
  catalog: Catalog,
  name: TableName,
  forms: readonly string[],
  formatVersion: 2 | 3 = 2,
): Promise<LoadedTable> {
  const outcome = await catalog.create({
    name,
    metadataAt: (location) =>
      newTableMetadata({
        uuid: systemRandom.uuid(),
        location,
        fields: SAMPLE_FIELDS,
        spec: (fields) => partitionSpecOf(fields, forms),
        sortOrder: () => ({
          orderId: 1,
          fields: [
            { sourceId: 2, transform: "identity", direction: "desc", nullOrder: "nulls-last" },
          ],
        }),
        formatVersion,
        properties: { owner: "kafka-iceberg" },
        timestampMs: systemClock.nowMs(),
      }),
  });
  if (outcome.kind !== "committed") throw new Error(`${outcome.kind}: ${String(outcome.cause)}`);
  return outcome.table;
}

/** Commits an empty snapshot on the head, as the writer does for offsets alone. */
export async function commitEmpty(catalog: Catalog, name: TableName): Promise<LoadedTable> {
  const head = await catalog.load(name);
  if (head === null) throw new Error("there is no such table");
  const commitId = systemRandom.uuid();
  const staged = await stageAppend({
    storage: head.storage,
    metadata: head.metadata,
    branch: "main",
    snapshotId: systemRandom.id63(),
    timestampMs: systemClock.nowMs(),
    files: [],
    summary: { "kafka-iceberg.commit-id": commitId },
    nameSuffix: `${commitId}-1`,
  });
  const outcome = await catalog.commit(
    name,
    [
      {
        type: "assert-ref-snapshot-id",
        ref: "main",
        snapshotId: head.metadata.currentSnapshotId,
      },
    ],
    staged.updates,
  );
  if (outcome.kind !== "committed") throw new Error(`${outcome.kind}: ${String(outcome.cause)}`);
  return outcome.table;
}

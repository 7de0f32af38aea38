/**
 * Statistics of partitions: a Parquet file with a row for each partition of each spec, in order (Iceberg spec,
 * "Partition Statistics"). Known from manifests alone.
 */
import { assert } from "#base/assert.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";
import type { CommitParts } from "#commit/parts.ts";
import { isVector, placeKey } from "#iceberg/deletes/deleteIndex.ts";
import { liveDataFiles } from "#iceberg/io/liveFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import { metadataFolder } from "#iceberg/io/stageAppend.ts";
import type { PartitionFieldType } from "#iceberg/manifest/avroSchemas.ts";
import type { ManifestFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { PartitionStatistics } from "#iceberg/metadata/statistics.ts";
import { hasSources, partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import { compareValues, encodeSingleValue } from "#iceberg/singleValue.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";

/** What the statistics are of. */
export interface DescribedSnapshot {
  readonly snapshot: Snapshot;
  readonly manifests: readonly ManifestFile[];
  /** Live delete files. */
  readonly deletes: readonly LiveFile[];
}

/** What was written. */
export interface WrittenPartitions {
  readonly file: PartitionStatistics;
  readonly partitions: number;
}

/**
 * Writes the file; null for a table without partitions, and one of whose specs a column is gone that nobody knows the
 * type of any more.
 * @throws what the store throws
 */
export async function writePartitionStatistics(
  { clock, random }: CommitParts,
  { storage, metadata }: LoadedTable,
  described: DescribedSnapshot,
): Promise<WrittenPartitions | null> {
  const { snapshot, manifests, deletes } = described;
  const used = new Set(manifests.map(({ partitionSpecId }) => partitionSpecId));
  const specs = [...used].map((specId) => specById(metadata, specId));
  if (!specs.some(({ fields }) => fields.length > 0)) return null;
  if (!specs.every((spec) => hasSources(metadata, spec))) return null;
  const types = unifiedTypes(metadata, [...used]);
  const tally = new Tally(metadata);
  let listed = 0;
  for await (const file of liveDataFiles(storage, metadata, manifests)) {
    tally.addData(file);
    if (++listed % TURN_FILES === 0) await clock.turn();
  }
  for (const live of deletes) tally.addDeletes(live);
  const rows = tally.rows.toSorted((a, b) => comparePartitions(types, a, b));
  const path = `${metadataFolder(metadata)}/partition-stats-${snapshot.snapshotId}-${random.uuid()}.parquet`;
  const encoder = createWorkerEncoder({ clock });
  try {
    const fields = fieldsOf(types, metadata.formatVersion);
    const builders = fields.map((field) => new ColumnBuilder(field));
    for (const row of rows) append(builders, types, row);
    const batch = sealColumns(builders, rows.length);
    const target = await storage.writer(path);
    const options = { codec: "zstd", level: null, rowGroupRows: 100_000, metadata: {} } as const;
    const encoded = await encoder
      .encode(fields, [{ batch, rows: null }], options, (chunk) => target.write(chunk))
      .catch(async (error: unknown) => {
        await target.abort().catch(() => undefined);
        throw error;
      });
    const stored = await target.close();
    assert(stored.bytes === encoded.bytes, "the store has every byte that was encoded");
    const file = { snapshotId: snapshot.snapshotId, path, bytes: encoded.bytes };
    return { file, partitions: rows.length };
  } finally {
    await encoder.close();
  }
}

/** Files that are looked at before others run. */
const TURN_FILES = 10_000;

/** A partition field of any spec, as the file has it. */
interface UnifiedField extends PartitionFieldType {
  /** Where its value stands, by the id of a spec that has it. */
  readonly places: ReadonlyMap<number, number>;
}

/** The fields of all specs, by their ids. */
function unifiedTypes(metadata: TableMetadata, specIds: readonly number[]): UnifiedField[] {
  const fields = new Map<number, PartitionFieldType & { places: Map<number, number> }>();
  for (const specId of specIds.toSorted((a, b) => b - a)) {
    for (const [place, type] of partitionTypes(metadata, specById(metadata, specId)).entries()) {
      const known = fields.get(type.fieldId) ?? { ...type, places: new Map<number, number>() };
      known.places.set(specId, place);
      fields.set(type.fieldId, known);
    }
  }
  const sorted = [...fields.values()].sort((a, b) => a.fieldId - b.fieldId);
  const isTwice = (name: string): boolean => sorted.filter((each) => each.name === name).length > 1;
  return sorted.map((each) => ({
    ...each,
    name: isTwice(each.name) ? `${each.name}_${each.fieldId}` : each.name,
  }));
}

/** Counters of one partition of one spec. */
interface Row {
  readonly specId: number;
  readonly partition: readonly PartitionValue[];
  dataRows: bigint;
  dataFiles: number;
  dataBytes: bigint;
  positionRows: bigint;
  positionFiles: number;
  equalityRows: bigint;
  equalityFiles: number;
  vectors: number;
  updated: Snapshot | null;
}

class Tally {
  readonly #rows = new Map<string, Row>();
  readonly #snapshots: ReadonlyMap<bigint | null, Snapshot>;

  constructor({ snapshots }: TableMetadata) {
    this.#snapshots = new Map(snapshots.map((each) => [each.snapshotId, each]));
  }

  get rows(): Row[] {
    return [...this.#rows.values()];
  }

  addData(file: {
    readonly specId: number;
    readonly partition: readonly PartitionValue[];
    readonly recordCount: bigint;
    readonly sizeBytes: bigint;
    readonly snapshotId: bigint | null;
  }): void {
    const row = this.#rowOf(file, file.snapshotId);
    row.dataRows += file.recordCount;
    row.dataBytes += file.sizeBytes;
    row.dataFiles++;
  }

  addDeletes({ file, snapshotId }: LiveFile): void {
    const row = this.#rowOf(file, snapshotId);
    if (file.content === "equality-deletes") {
      row.equalityRows += file.recordCount;
      row.equalityFiles++;
      return;
    }
    row.positionRows += file.recordCount;
    if (isVector(file)) row.vectors++;
    else row.positionFiles++;
  }

  #rowOf(
    { specId, partition }: { specId: number; partition: readonly PartitionValue[] },
    snapshotId: bigint | null,
  ): Row {
    const key = placeKey({ specId, partition });
    const row = this.#rows.get(key) ?? {
      ...{ specId, partition, dataRows: 0n, dataFiles: 0, dataBytes: 0n, positionRows: 0n },
      ...{ positionFiles: 0, equalityRows: 0n, equalityFiles: 0, vectors: 0, updated: null },
    };
    this.#rows.set(key, row);
    const by = this.#snapshots.get(snapshotId) ?? null;
    const isLater = by !== null && by.timestampMs > (row.updated?.timestampMs ?? -1);
    if (isLater) row.updated = by;
    return row;
  }
}

function partitionValue({ places }: UnifiedField, { specId, partition }: Row): PartitionValue {
  const place = places.get(specId);
  return place === undefined ? null : (partition[place] ?? null);
}

/** Nulls first, as Iceberg's own comparators have it. */
function comparePartitions(types: readonly UnifiedField[], a: Row, b: Row): number {
  for (const field of types) {
    const [left, right] = [partitionValue(field, a), partitionValue(field, b)];
    if (left === null && right === null) continue;
    if (left === null) return -1;
    if (right === null) return 1;
    const order = compareValues(field.type, left, right);
    if (order !== 0) return order;
  }
  return a.specId - b.specId;
}

function fieldsOf(types: readonly UnifiedField[], formatVersion: 2 | 3): Field[] {
  const members = types.map(
    ({ fieldId: id, name, type }): Field => ({ id, name, type, required: false }),
  );
  const field = (id: number, name: string, kind: "int" | "long", required = true): Field => ({
    ...{ id, name, required, type: { kind } },
  });
  return [
    { id: 1, name: "partition", required: true, type: { kind: "struct", fields: members } },
    field(2, "spec_id", "int"),
    field(3, "data_record_count", "long"),
    field(4, "data_file_count", "int"),
    field(5, "total_data_file_size_in_bytes", "long"),
    field(6, "position_delete_record_count", "long"),
    field(7, "position_delete_file_count", "int"),
    field(8, "equality_delete_record_count", "long"),
    field(9, "equality_delete_file_count", "int"),
    field(10, "total_record_count", "long", false),
    field(11, "last_updated_at", "long", false),
    field(12, "last_updated_snapshot_id", "long", false),
    ...(formatVersion === 3 ? [field(13, "dv_count", "int")] : []),
  ];
}

function append(
  builders: readonly ColumnBuilder[],
  types: readonly UnifiedField[],
  row: Row,
): void {
  const [partition, ...counters] = builders;
  assert(partition !== undefined, "the first column is the partition");
  for (const [at, field] of types.entries()) {
    const builder = partition.children[at];
    assert(builder !== undefined, "every partition field has its column");
    appendValue(builder, field, partitionValue(field, row));
  }
  partition.endStruct();
  const hasDeletes = row.positionRows > 0n || row.equalityRows > 0n;
  const values = [
    ...[row.specId, row.dataRows, row.dataFiles, row.dataBytes],
    ...[row.positionRows, row.positionFiles, row.equalityRows, row.equalityFiles],
    // Which rows deletes hide is known to those who read them.
    hasDeletes ? null : row.dataRows,
    ...[row.updated?.timestampMs ?? null, row.updated?.snapshotId ?? null, row.vectors],
  ];
  for (const [at, builder] of counters.entries()) {
    const value = values[at] ?? null;
    if (value === null) builder.appendNull();
    else if (builder.field.type.kind === "int") builder.appendInt(Number(value));
    else builder.appendBigInt(BigInt(value));
  }
}

function appendValue(builder: ColumnBuilder, { type }: UnifiedField, value: PartitionValue): void {
  if (value === null) builder.appendNull();
  else if (typeof value === "boolean") builder.appendBoolean(value);
  else if (type.kind === "float" || type.kind === "double") builder.appendFloat(Number(value));
  else if (typeof value === "number") builder.appendInt(value);
  else if (typeof value === "bigint") builder.appendBigInt(value);
  else {
    const bytes = encodeSingleValue(type, value);
    builder.appendBytes(bytes, 0, bytes.length);
  }
}

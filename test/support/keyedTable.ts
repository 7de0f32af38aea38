/**
 * A table whose heads are made at will, of real files in memory: data files, vectors, position and
 * equality deletes, each with the sequence number that one likes. And what a scan of such a head finds, by
 * definition.
 */

import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { DataFile, ManifestEntry, ManifestFile } from "#iceberg/manifest/manifest.ts";
import { createManifestWriter } from "#iceberg/manifest/manifestFile.ts";
import { writeManifestList } from "#iceberg/manifest/manifestList.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { branchAt } from "#iceberg/metadata/tableMetadataJson.ts";
import { partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import { encodeParquet } from "#parquet/encode.ts";
import { createMemoryStorage, type MemoryStorage } from "../fakes/memoryStorage.ts";
import { batchOf, bytesOf, type Row, whole } from "../unit/parquet/rows.ts";
import { encodeVector } from "./deletionVectors.ts";
import { fileOf, SCHEMA, tableOf } from "./tableOf.ts";

/** A file in a head. */
export interface Listed {
  readonly file: DataFile;
  readonly sequenceNumber: bigint;
}

/** Key of a row; null: it has none. */
export type Key = bigint | null;

const POSITION_FIELDS: readonly Field[] = [
  { id: 2_147_483_546, name: "file_path", required: true, type: { kind: "string" } },
  { id: 2_147_483_545, name: "pos", required: true, type: { kind: "long" } },
];
const NO_METRICS = {
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
};

/** Files by what they hold. Partitions are days. */
export class KeyedTable {
  readonly storage: MemoryStorage = createMemoryStorage();
  readonly metadata: TableMetadata = tableOf(3);
  /** Keys of data files, row by row. */
  readonly #keys = new Map<string, readonly Key[]>();
  /** Rows that vectors and position deletes hide, by delete id and data file. */
  readonly #rows = new Map<string, ReadonlyMap<string, readonly number[]>>();
  readonly #equality = new Map<string, ReadonlySet<Key>>();
  #names = 0;
  readonly #snapshots: Snapshot[] = [];

  /** A data file, in row groups of five rows. */
  async dataFile(keys: readonly Key[], day: number): Promise<DataFile> {
    const rows = keys.map((key) => [key, day, `name of ${key}`]);
    const fields = SCHEMA.fields.map((field) => ({ ...field, required: false }));
    const file = await this.parquetFile(fields, rows, day);
    this.#keys.set(file.filePath, keys);
    return file;
  }

  /** A vector of a data file. */
  async vector(of: DataFile, rows: readonly number[]): Promise<DataFile> {
    const blob = encodeVector(rows, "plain");
    const filePath = `/table/data/${++this.#names}.puffin`;
    await this.storage.put(filePath, new Uint8Array([1, 2, 3, 4, ...blob]));
    const file: DataFile = {
      ...fileOf("vector", of.partition),
      ...NO_METRICS,
      ...{ filePath, content: "position-deletes", fileFormat: "PUFFIN" },
      recordCount: BigInt(new Set(rows).size),
      fileSizeBytes: BigInt(blob.length + 4),
      referencedDataFile: of.filePath,
      contentOffset: 4n,
      contentSizeBytes: BigInt(blob.length),
    };
    this.#rows.set(fileKey(file), new Map([[of.filePath, rows]]));
    return file;
  }

  /** A file of position deletes of format v2, of one partition. */
  async positionDeletes(
    rows: ReadonlyMap<string, readonly number[]>,
    day: number,
  ): Promise<DataFile> {
    const list = [...rows].flatMap(([path, each]) => each.map((row): Row => [path, BigInt(row)]));
    const file = await this.parquetFile(POSITION_FIELDS, list, day);
    this.#rows.set(file.filePath, rows);
    return { ...file, content: "position-deletes" };
  }

  /** Deletes by key, of one partition. */
  async equalityDeletes(keys: readonly Key[], day: number): Promise<DataFile> {
    const [field] = SCHEMA.fields;
    const fields = field === undefined ? [] : [{ ...field, required: false }];
    const file = await this.parquetFile(
      fields,
      keys.map((key) => [key]),
      day,
    );
    this.#equality.set(file.filePath, new Set(keys));
    return { ...file, content: "equality-deletes", equalityIds: [1] };
  }

  /** A head of these files; a file with its number is in one manifest, whichever head lists it. */
  async head(listed: readonly Listed[]): Promise<LoadedTable> {
    const snapshotId = BigInt(this.#snapshots.length + 1);
    const manifests = await Promise.all(listed.map((each) => this.#manifest(each)));
    const manifestList = `/table/metadata/snap-${snapshotId}.avro`;
    const ids = { snapshotId, parentSnapshotId: null, sequenceNumber: 1000n, firstRowId: 0n };
    await this.storage.put(
      manifestList,
      await writeManifestList({ formatVersion: 3, ...ids, manifests }),
    );
    const snapshot = {
      ...{ ...ids, manifestList, timestampMs: 0, summary: {} },
      ...{ schemaId: this.metadata.currentSchemaId, addedRows: 0n },
    };
    this.#snapshots.push(snapshot);
    const snapshots = [...this.#snapshots];
    return {
      name: { namespace: ["db"], table: "t" },
      metadata: { ...this.metadata, snapshots, refs: { main: branchAt(snapshotId) } },
      metadataLocation: "",
      storage: this.storage,
    };
  }

  /** Where the live rows of each key are: `path:row`, sorted. */
  scan(listed: readonly Listed[]): Map<Key, string[]> {
    const found = new Map<Key, string[]>();
    for (const data of listed.filter(({ file }) => file.content === "data")) {
      const hidden = this.hidden(listed, data);
      for (const [row, key] of (this.#keys.get(data.file.filePath) ?? []).entries()) {
        if (hidden.has(row)) continue;
        found.set(key, [...(found.get(key) ?? []), `${data.file.filePath}:${row}`].sort());
      }
    }
    return found;
  }

  /** The rows of a data file that a head's deletes hide. */
  hidden(listed: readonly Listed[], { file: data, sequenceNumber }: Listed): Set<number> {
    const applied = listed.filter(
      ({ file, sequenceNumber: own }) =>
        file.content !== "data" &&
        file.partition[0] === data.partition[0] &&
        (file.content === "equality-deletes" ? own > sequenceNumber : own >= sequenceNumber),
    );
    const byPosition = applied.flatMap(({ file }) => {
      const rows = this.#rows.get(fileKey(file))?.get(data.filePath);
      return rows === undefined ? [] : [{ file, rows }];
    });
    const vectors = byPosition.filter(({ file }) => file.fileFormat === "PUFFIN");
    const keys = this.#keys.get(data.filePath) ?? [];
    const byKey = applied.flatMap(({ file }) => {
      const deleted = this.#equality.get(file.filePath);
      return keys.flatMap((key, row) => (deleted?.has(key) === true ? [row] : []));
    });
    const positions = vectors.length > 0 ? vectors : byPosition;
    return new Set([...positions.flatMap(({ rows }) => rows), ...byKey]);
  }

  /** A data file of any columns, which `scan` does not know. */
  async parquetFile(
    fields: readonly Field[],
    rows: readonly Row[],
    day: number,
    rowGroupRows = 5,
  ): Promise<DataFile> {
    const filePath = `/table/data/${++this.#names}.parquet`;
    const options = { codec: "zstd", level: null, rowGroupRows, metadata: {} } as const;
    const batch = batchOf(fields, rows);
    const file = await whole((sink) => encodeParquet(fields, [batch], options, sink));
    await this.storage.put(filePath, bytesOf(file));
    return {
      ...fileOf("file", [day]),
      ...NO_METRICS,
      filePath,
      recordCount: BigInt(rows.length),
      fileSizeBytes: BigInt(file.bytes),
    };
  }

  async #manifest({ file, sequenceNumber }: Listed): Promise<ManifestFile> {
    const { metadata } = this;
    const spec = specById(metadata, file.specId);
    const content = file.content === "data" ? "data" : "deletes";
    const types = partitionTypes(metadata, spec);
    const writer = createManifestWriter({ metadata, spec, types, content });
    const numbers = { sequenceNumber, fileSequenceNumber: sequenceNumber, snapshotId: 1n };
    const entry: ManifestEntry = { status: "existing", ...numbers, file };
    await writer.add(entry);
    const { bytes, minSequenceNumber, ...counts } = await writer.finish();
    const name = fileKey(file).replaceAll(/\W/g, "-");
    const manifestPath = `/table/metadata/${name}-${sequenceNumber}.avro`;
    await this.storage.putIfAbsent(manifestPath, bytes);
    return {
      ...{ ...counts, manifestPath, manifestLength: BigInt(bytes.length), sequenceNumber },
      minSequenceNumber: minSequenceNumber ?? sequenceNumber,
      ...{ addedSnapshotId: 1n, firstRowId: content === "data" ? 0n : null },
    };
  }
}

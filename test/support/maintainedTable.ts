/**
 * A table for tests of maintenance: in memory, with a clock of its own, written by the writer and by
 * another engine that appends, deletes and rewrites.
 */
import type { Clock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import { seededRandom } from "#base/random.ts";
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { Append } from "#commit/append.ts";
import { commit, newCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { Ledger } from "#commit/ledger.ts";
import type { CommitOptions, CommitParts } from "#commit/parts.ts";
import { entriesOf, manifestsOf } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile, ManifestEntry, ManifestFile } from "#iceberg/manifest/manifest.ts";
import { createManifestWriter } from "#iceberg/manifest/manifestFile.ts";
import { assignRowIds, writeManifestList } from "#iceberg/manifest/manifestList.ts";
import type { Snapshot, TableMetadata, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { branchAt } from "#iceberg/metadata/tableMetadataJson.ts";
import { createMemoryStorage, type MemoryStorage } from "../fakes/memoryStorage.ts";
import { fileOf, tableOf } from "./tableOf.ts";

/** The feed whose offsets the table holds. */
export const FEED: Feed = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };

/** A day in ms. */
export const DAY = 86_400_000;

/** Table `db.t` in `/wh/db/t`, committed to by a file catalog in memory. */
export class MaintainedTable {
  nowMs = 1_700_000_000_000;
  readonly storage: MemoryStorage = createMemoryStorage({ nowMs: () => this.nowMs });
  readonly clock: Clock = {
    nowMs: () => this.nowMs,
    monotonicMs: () => this.nowMs,
    sleep: () => Promise.resolve(),
    turn: () => Promise.resolve(),
  };
  readonly parts: CommitParts;
  readonly options: CommitOptions = {
    name: { namespace: ["db"], table: "t" },
    branch: "main",
    group: "g",
    commitRetriesMax: 3,
    thinning: null,
  };
  #files = 0;
  #offset = 0n;

  /** @param catalogOf what stands between the table and its catalog */
  constructor(catalogOf: (catalog: Catalog) => Catalog = (catalog) => catalog) {
    const { storage, clock } = this;
    const catalog = createFileCatalog(
      { warehouse: "/wh", readOnly: false },
      { storage, clock, log: silentLogger },
    );
    const txlog = { recovered: [], append: async () => undefined, close: async () => undefined };
    this.parts = {
      ...{ catalog: catalogOf(catalog), txlog, clock, random: seededRandom(1) },
      ...{ logger: silentLogger, observe: () => undefined },
    };
  }

  /** Makes the table. */
  async create(
    properties: Readonly<Record<string, string>> = {},
    format: 2 | 3 = 2,
  ): Promise<void> {
    await this.parts.catalog.create({
      name: this.options.name,
      metadataAt: (location) => ({ ...tableOf(format, properties), location }),
    });
  }

  async head(): Promise<LoadedTable> {
    const head = await this.parts.catalog.load(this.options.name);
    if (head === null) throw new Error("the table is there");
    return head;
  }

  async metadata(): Promise<TableMetadata> {
    return (await this.head()).metadata;
  }

  /** The table as commits see it. */
  async open(): Promise<CommitTable> {
    return new CommitTable(this.parts, this.options, await this.head());
  }

  /** A data file in the store; its bytes are its name. */
  async file(day = 20_000): Promise<DataFile> {
    const name = `f${++this.#files}`;
    const file = { ...fileOf(name, [day]), filePath: `/wh/db/t/data/${name}.parquet` };
    await this.storage.put(file.filePath, new TextEncoder().encode(name));
    return file;
  }

  /** Our own commit of one file, ten records on. */
  async append(day?: number): Promise<void> {
    const table = await this.open();
    const before = this.#offset;
    this.#offset += 10n;
    const [expect, next] = [before === 0n ? null : before, this.#offset];
    const file = await this.file(day);
    const advance = { feed: FEED, expect, next, rows: 10n };
    const units = [{ feeds: [FEED], files: [file] }];
    const ledger = new Ledger(table.parts.random.uuid());
    ledger.plan([file.filePath]);
    ledger.store([file.filePath]);
    const change = new Append(table.parts, "flush", [advance], units);
    await commit(table, newCommit(table, change, ledger));
  }

  /** Another engine's commit of one file. */
  async foreignAppend(branch = "main", day?: number): Promise<void> {
    const { storage, metadata } = await this.head();
    const staged = await stageAppend({
      ...{ storage, metadata, branch, summary: {} },
      snapshotId: this.parts.random.id63(),
      timestampMs: this.nowMs,
      files: [await this.file(day)],
      nameSuffix: this.parts.random.uuid(),
    });
    await this.update(staged.updates);
  }

  /** Another engine rewrites what the head lists: some files go, others come. */
  async foreignRewrite(
    isGone: (file: DataFile) => boolean,
    added: readonly DataFile[] = [],
  ): Promise<void> {
    const { storage, metadata } = await this.head();
    const parent = metadata.snapshots.find((s) => s.snapshotId === metadata.currentSnapshotId);
    if (parent === undefined) throw new Error("the table has a head");
    const entries: ManifestEntry[] = [];
    for (const manifest of await manifestsOf(storage, parent)) {
      for (const entry of await entriesOf(storage, metadata, manifest)) {
        if (entry.status === "deleted") continue;
        entries.push({ ...entry, status: isGone(entry.file) ? "deleted" : "existing" });
      }
    }
    const none = { snapshotId: null, sequenceNumber: null, fileSequenceNumber: null };
    for (const file of added) entries.push({ status: "added", ...none, file });
    await this.update(await this.#stage(metadata, parent, entries));
  }

  async #stage(
    metadata: TableMetadata,
    parent: Snapshot,
    entries: readonly ManifestEntry[],
  ): Promise<TableUpdate[]> {
    const snapshotId = this.parts.random.id63();
    const sequenceNumber = metadata.lastSequenceNumber + 1n;
    const manifests: ManifestFile[] = [];
    for (const content of ["data", "deletes"] as const) {
      const own = entries.filter(({ file }) => (file.content === "data") === (content === "data"));
      if (own.length === 0) continue;
      const spec = metadata.partitionSpecs[0] ?? { specId: 0, fields: [] };
      const types = [{ fieldId: 1000, name: "day", type: { kind: "date" as const } }];
      const writer = createManifestWriter({ metadata, spec, types, content });
      for (const entry of own) await writer.add(entry);
      const { bytes, minSequenceNumber, ...counts } = await writer.finish();
      const manifestPath = `/wh/db/t/metadata/foreign-${snapshotId}-${content}.avro`;
      await this.storage.put(manifestPath, bytes);
      manifests.push({
        ...counts,
        ...{ manifestPath, manifestLength: BigInt(bytes.length), sequenceNumber },
        minSequenceNumber: minSequenceNumber ?? sequenceNumber,
        addedSnapshotId: snapshotId,
        firstRowId: null,
      });
    }
    const v3 = metadata.formatVersion === 3;
    const firstRowId = v3 ? (metadata.nextRowId ?? 0n) : null;
    const assigned = assignRowIds(manifests, firstRowId ?? 0n);
    const manifestList = `/wh/db/t/metadata/snap-foreign-${snapshotId}.avro`;
    const { snapshotId: parentSnapshotId } = parent;
    const list = { snapshotId, parentSnapshotId, sequenceNumber, firstRowId };
    const listed = v3 ? assigned.manifests : manifests;
    const { formatVersion } = metadata;
    await this.storage.put(
      manifestList,
      await writeManifestList({ ...list, formatVersion, manifests: listed }),
    );
    const snapshot: Snapshot = {
      ...{ ...list, manifestList, timestampMs: this.nowMs, summary: { operation: "overwrite" } },
      schemaId: metadata.currentSchemaId,
      addedRows: v3 ? assigned.nextRowId - (firstRowId ?? 0n) : null,
    };
    return [
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", ref: "main", value: branchAt(snapshotId) },
    ];
  }

  /** Updates without requirements, as a person or another engine makes them. */
  async update(updates: readonly TableUpdate[]): Promise<void> {
    const outcome = await this.parts.catalog.commit(this.options.name, [], updates);
    if (outcome.kind !== "committed") throw new Error(`not committed: ${String(outcome.cause)}`);
  }

  /** Every file that a visible snapshot reaches, read from the store itself. */
  async reachable(): Promise<Set<string>> {
    const { metadata } = await this.head();
    const paths = new Set<string>();
    // A view of its own: what commits remember of lists is not the store's.
    const storage = { ...this.storage };
    for (const snapshot of metadata.snapshots) {
      paths.add(snapshot.manifestList);
      for (const manifest of await manifestsOf(storage, snapshot)) {
        paths.add(manifest.manifestPath);
        for (const { status, file } of await entriesOf(storage, metadata, manifest)) {
          if (status !== "deleted") paths.add(file.filePath);
        }
      }
    }
    return paths;
  }

  /** The files in the store, without metadata files, which are the catalog's. */
  stored(): Set<string> {
    const isMetadata = (path: string): boolean => /metadata\.json$|version-hint\.text$/.test(path);
    return new Set([...this.storage.objects.keys()].filter((path) => !isMetadata(path)));
  }
}

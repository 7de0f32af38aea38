/**
 * What a writer makes of a table that other engines maintained while it was stopped (SPEC 2.2), with
 * real Parquet files.
 */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { AppError } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { OffsetSet } from "#commit/offsetSet.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { Snapshot, SnapshotId, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { branchAt } from "#iceberg/metadata/tableMetadataJson.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { createMemoryStorage, type MemoryStorage } from "../../fakes/memoryStorage.ts";
import { columns, FIELDS } from "../../sim/rows.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";

const NAME = { namespace: ["db"], table: "t" };
const OPTIONS: WriterOptions = {
  ...WRITER_OPTIONS,
  coordinates: { topic: null, partition: "partition", offset: "offset" },
  codec: "zstd",
  rowGroupRows: 3,
};
const feed = (partition: number) => ({ clusterId: "c", topic: "t", topicId: "1", partition });

/** A table with one writer, and whatever others do to it. */
class Place {
  readonly storage: MemoryStorage = createMemoryStorage();
  readonly parts: WriterParts;
  /** Objects read since the last look. */
  reads: string[] = [];

  constructor() {
    const { storage } = this;
    const watched = {
      ...storage,
      get: (at: string) => {
        this.reads.push(at);
        return storage.get(at);
      },
      getRange: (at: string, start: number, length: number) => {
        this.reads.push(at);
        return storage.getRange(at, start, length);
      },
    };
    const ports = { storage: watched, clock: systemClock, log: silentLogger };
    this.parts = {
      random: seededRandom(1),
      txlog: { recovered: [], append: async () => undefined, close: async () => undefined },
      clock: systemClock,
      catalog: createFileCatalog({ warehouse: "/wh", readOnly: false }, ports),
      encoder: createInlineEncoder(),
      logger: silentLogger,
      observe: () => undefined,
    };
  }

  writer(options: Partial<WriterOptions> = {}): Promise<TableWriter> {
    return TableWriter.open(this.parts, { ...OPTIONS, ...options }, FIELDS);
  }

  /** Rows of one partition at these offsets; the range ends behind the last. */
  async flush(
    writer: TableWriter,
    partition: number,
    start: number,
    offsets: number[],
  ): Promise<void> {
    const end = BigInt((offsets.at(-1) ?? start - 1) + 1);
    const range = { feed: feed(partition), start: BigInt(start), end };
    const flush = writer.newFlush([{ range, batch: columns(partition, offsets) }]);
    expect((await writer.flush(flush)).kind).toBe("committed");
  }

  async load(): Promise<LoadedTable> {
    const table = await this.parts.catalog.load(NAME);
    if (table === null) throw new Error("there is a table");
    return table;
  }

  async commit(updates: readonly TableUpdate[]): Promise<void> {
    expect((await this.parts.catalog.commit(NAME, [], updates)).kind).toBe("committed");
  }

  setMain(id: SnapshotId): Promise<void> {
    return this.commit([{ action: "set-snapshot-ref", ref: "main", value: branchAt(id) }]);
  }

  async live(id: SnapshotId | null): Promise<{ file: DataFile; snapshotId: SnapshotId }[]> {
    const { metadata, storage } = await this.load();
    return Array.fromAsync(listDataFiles(storage, metadata, id ?? 0n));
  }

  /** Another engine's snapshot with these files more. */
  async foreign(files: readonly DataFile[], summary: Record<string, string>): Promise<void> {
    const { metadata } = await this.load();
    const staged = await stageAppend({
      storage: this.storage,
      metadata,
      branch: "main",
      snapshotId: this.parts.random.id63(),
      timestampMs: Date.now(),
      files,
      summary,
      nameSuffix: this.parts.random.uuid(),
    });
    await this.commit(staged.updates);
  }

  async cherryPick({ snapshotId }: Snapshot): Promise<void> {
    const added = (await this.live(snapshotId)).filter((each) => each.snapshotId === snapshotId);
    const files = added.map(({ file }) => file);
    await this.foreign(files, { "source-snapshot-id": String(snapshotId) });
  }

  /** Spark's expire_snapshots(retain_last => 1), after a rewrite that left only itself. */
  async night(): Promise<void> {
    await this.foreign([], { operation: "replace" });
    await this.foreign([], { operation: "replace" });
    const { metadata } = await this.load();
    const snapshotIds = metadata.snapshots
      .map((each) => each.snapshotId)
      .filter((id) => id !== metadata.currentSnapshotId);
    await this.commit([{ action: "remove-snapshots", snapshotIds }]);
  }

  /** Orphan removal, or a catalog that keeps none. */
  async loseEarlierMetadata(): Promise<void> {
    const { metadata } = await this.load();
    await this.storage.remove(metadata.metadataLog.map((entry) => entry.metadataFile));
  }
}

/** Two partitions with holes, three commits. */
async function filled(options: Partial<WriterOptions> = {}): Promise<Place> {
  const place = new Place();
  const writer = await place.writer(options);
  await writer.claim([
    { feed: feed(0), offset: 0n },
    { feed: feed(1), offset: 0n },
  ]);
  await place.flush(writer, 0, 0, [0, 1, 4]);
  await place.flush(writer, 1, 0, [2, 3, 5, 6, 7, 8, 9]);
  await place.flush(writer, 0, 5, [5, 9]);
  return place;
}

const stopOf = async (place: Place, options: Partial<WriterOptions> = {}): Promise<string> => {
  const writer = await place.writer(options);
  try {
    return `reads ${await writer.positions([feed(0), feed(1)])}`;
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== "progress") throw error;
    return error.message;
  }
};

test("an own head is read without any look at manifests, data or earlier metadata", async () => {
  const place = await filled();
  const writer = await place.writer();
  place.reads = [];
  expect(await writer.positions([feed(0), feed(1)])).toEqual([10n, 10n]);
  expect(place.reads.filter((path) => !path.endsWith(".metadata.json"))).toEqual([]);
});

test("after rewrites and expiry to one snapshot the earlier metadata files tell, and it goes on exactly once", async () => {
  const place = await filled();
  await place.night();
  const writer = await place.writer();
  place.reads = [];
  expect(await writer.positions([feed(0), feed(1)])).toEqual([10n, 10n]);
  expect(place.reads.some((path) => path.endsWith(".parquet"))).toBe(false);
  await place.flush(writer, 0, 10, [10, 12]);
  expect(await writer.positions([feed(0)])).toEqual([13n]);
});

test("without them the rows prove the property, and the head is looked into once", async () => {
  const place = await filled();
  await place.night();
  await place.loseEarlierMetadata();
  const writer = await place.writer();
  expect(await writer.positions([feed(0), feed(1)])).toEqual([10n, 10n]);
  expect(place.reads.some((path) => path.endsWith(".parquet"))).toBe(true);
  place.reads = [];
  expect(await writer.positions([feed(0), feed(1)])).toEqual([10n, 10n]);
  expect(place.reads.some((path) => path.endsWith(".parquet"))).toBe(false);
  await place.flush(writer, 1, 10, [11]);
  expect(await stopOf(place)).toBe("reads 10,12");
});

test("rows that a rollback took stop the table, and the sentence names feed, count, offsets and command", async () => {
  const place = await filled();
  const { metadata } = await place.load();
  await place.setMain(metadata.snapshots.at(-2)?.snapshotId ?? 0n);
  await place.night();
  await place.loseEarlierMetadata();
  const sentence = await stopOf(place);
  expect(sentence).toContain(
    "t/0: 3 of 5 rows below offset 10 are there, none at offsets 2-3, 5-9",
  );
  expect(sentence).toContain("kafka-iceberg offsets db.t --set TOPIC:PARTITION=OFFSET");
});

test("rolled back behind two commits and the second picked: the living row refutes the ancestor, no expiry needed", async () => {
  const place = await filled();
  const { metadata } = await place.load();
  const [claim, first, , last] = metadata.snapshots;
  if (claim === undefined || first === undefined || last === undefined) throw new Error("four");
  await place.setMain(claim.snapshotId);
  await place.cherryPick(last);
  expect(await stopOf(place)).toContain("does not know the row of t/0 at offset 5");
  // Both picked, in order: every row of partition 0 is there, none of partition 1.
  await place.setMain(claim.snapshotId);
  await place.cherryPick(first);
  await place.cherryPick(last);
  expect(await stopOf(place)).toContain("t/1: 0 of 7 rows below offset 10");
});

test("when everything is picked again the rows prove the property, and nothing is read twice", async () => {
  const place = await filled();
  const { metadata } = await place.load();
  const [claim, ...flushes] = metadata.snapshots;
  await place.setMain(claim?.snapshotId ?? 0n);
  await place.foreign([], {});
  for (const each of flushes) await place.cherryPick(each);
  expect(await stopOf(place)).toBe("reads 10,10");
});

test("a row of a partition that the ancestor never read refutes it", async () => {
  const place = new Place();
  const writer = await place.writer();
  await writer.claim([{ feed: feed(0), offset: 0n }]);
  await place.flush(writer, 0, 0, [0]);
  await writer.claim([{ feed: feed(1), offset: 0n }]);
  await place.flush(writer, 1, 0, [0, 1]);
  const { metadata } = await place.load();
  const [, before, , last] = metadata.snapshots;
  await place.setMain(before?.snapshotId ?? 0n);
  await place.foreign([], {});
  if (last !== undefined) await place.cherryPick(last);
  // The property's own rows are all there: it is proven.
  expect(await stopOf(place)).toBe("reads 1,2");
  await place.setMain(before?.snapshotId ?? 0n);
  const again = await place.writer();
  await again.claim([{ feed: feed(2), offset: 0n }]);
  if (last !== undefined) await place.cherryPick(last);
  expect(await stopOf(place)).toContain("does not know the row of t/1 at offset 0");
});

test("rows of other engines, without coordinates or below the offsets, change nothing", async () => {
  const place = await filled();
  const { metadata } = await place.load();
  const [own] = await place.live(metadata.currentSnapshotId);
  if (own === undefined) throw new Error("there is a file");
  await place.foreign([own.file], {});
  place.reads = [];
  expect(await stopOf(place)).toBe("reads 10,10");
  // Its bounds decide: no file is opened.
  expect(place.reads.some((path) => path.endsWith(".parquet"))).toBe(false);
});

test("a table without the columns has the earlier metadata files, and stops without them", async () => {
  const place = await filled({ coordinates: null });
  await place.night();
  expect(await stopOf(place, { coordinates: null })).toBe("reads 10,10");
  const { metadata } = await place.load();
  await place.foreign([], { operation: "replace" });
  await place.commit([
    { action: "remove-snapshots", snapshotIds: [metadata.currentSnapshotId ?? 0n] },
  ]);
  await place.loseEarlierMetadata();
  expect(await stopOf(place, { coordinates: null })).toContain("no visible snapshot");
});

test("offsets are counted once, and ranges name what is there and what is not", () => {
  const set = new OffsetSet();
  for (let offset = 0n; offset < 200_000n; offset++) if (offset !== 70_000n) set.add(offset);
  for (const offset of [3n, 3n, 199_999n, 1n << 40n]) set.add(offset);
  expect(set.countBelow(200_000n)).toBe(199_999n);
  expect(set.countBelow(70_001n)).toBe(70_000n);
  expect(set.ranges(0n, 200_000n, false, 9)).toEqual([[70_000n, 70_000n]]);
  expect(set.ranges(199_999n, set.end, true, 9)).toEqual([
    [199_999n, 199_999n],
    [1n << 40n, 1n << 40n],
  ]);
  expect(new OffsetSet().end).toBe(0n);
});

/** A repair of offsets counts the rows that it would double, in real Parquet files. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { systemParts } from "#cli/open.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { branchAt } from "#iceberg/metadata/tableMetadataJson.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { createLocalStorage } from "#storage/local.ts";
import type { WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { columns, FIELDS } from "../../sim/rows.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";
import { CLUSTER, cli, type Place, TOPIC_ID } from "./place.ts";

const NAME = { namespace: ["default"], table: "events" };

/** Offsets of partition 0 that are rows: a log with holes. */
const FLUSHES = [
  [20, 23, 24],
  [30, 31, 39],
  [40, 77],
];

function openFileCatalog(warehouse: string): Catalog {
  const storage = createLocalStorage(systemParts);
  const ports = { storage, clock: systemClock, log: silentLogger };
  return createFileCatalog({ warehouse, readOnly: false }, ports);
}

function openWriter(catalog: Catalog): Promise<TableWriter> {
  const parts: WriterParts = {
    random: systemRandom,
    txlog: { recovered: [], append: async () => undefined, close: async () => undefined },
    clock: systemClock,
    catalog,
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
  };
  const coordinates = { topic: null, partition: "partition", offset: "offset" };
  return TableWriter.open(parts, { ...WRITER_OPTIONS, name: NAME, coordinates }, FIELDS);
}

interface OwnPlace extends Place {
  /** A person goes back behind the second flush, and takes all rows back in. */
  readonly rollBack: () => Promise<void>;
  /** Another engine leaves one snapshot, and nothing that tells offsets. */
  readonly forget: () => Promise<void>;
  readonly load: () => Promise<LoadedTable>;
}

/** A table whose rows know their offsets; partition 1 has rows at the same ones. */
async function makeTable(): Promise<OwnPlace> {
  const folder = mkdtempSync(join(tmpdir(), "cli-rows-"));
  const config = join(folder, "config.toml");
  writeFileSync(
    config,
    `[kafka]\ntopic = "events"\n[state]\ndir = "${folder}/state"\n` +
      `[source]\nmetadata_columns = ["partition", "offset"]\nmetadata_prefix = ""\n` +
      `[partitioning]\npartition_strategy = "none"\n` +
      `[iceberg]\nwarehouse_path = "${folder}/wh"\n`,
  );
  const catalog = openFileCatalog(`${folder}/wh`);
  const writer = await openWriter(catalog);
  const feeds = [0, 1].map((partition) => {
    return { clusterId: CLUSTER, topic: "events", topicId: TOPIC_ID, partition };
  });
  await writer.claim(feeds.map((feed) => ({ feed, offset: 0n })));
  let start = 0n;
  for (const offsets of FLUSHES) {
    const end = BigInt((offsets.at(-1) ?? 0) + 1);
    const parts = feeds.map((feed) => {
      return { range: { feed, start, end }, batch: columns(feed.partition, offsets) };
    });
    expect((await writer.flush(writer.newFlush(parts))).kind).toBe("committed");
    start = end;
  }
  const rollBack = async (): Promise<void> => {
    const { metadata } = writer.lastSeen;
    const [, first] = metadata.snapshots;
    const last = metadata.snapshots.at(-1);
    if (first === undefined || last === undefined) throw new Error("four snapshots");
    const picked = {
      ...last,
      snapshotId: last.snapshotId + 1n,
      parentSnapshotId: first.snapshotId,
      sequenceNumber: metadata.lastSequenceNumber + 1n,
      summary: { operation: "append" },
    };
    const result = await catalog.commit(
      NAME,
      [],
      [
        { action: "add-snapshot", snapshot: picked },
        { action: "set-snapshot-ref", ref: "main", value: branchAt(picked.snapshotId) },
      ],
    );
    expect(result.kind).toBe("committed");
  };
  const load = async (): Promise<LoadedTable> => {
    const table = await catalog.load(NAME);
    if (table === null) throw new Error("there is a table");
    return table;
  };
  const forget = async (): Promise<void> => {
    const { snapshots, currentSnapshotId, properties } = (await load()).metadata;
    const ids = snapshots.map(({ snapshotId }) => snapshotId);
    const result = await catalog.commit(
      NAME,
      [],
      [
        { action: "remove-snapshots", snapshotIds: ids.filter((id) => id !== currentSnapshotId) },
        { action: "remove-properties", keys: Object.keys(properties) },
      ],
    );
    if (result.kind !== "committed") throw new Error(result.kind);
    for (const { metadataFile } of result.table.metadata.metadataLog) rmSync(metadataFile);
  };
  return { folder, config, rollBack, forget, load };
}

async function effects(
  place: Place,
  words: string,
): Promise<{ doubled: number; effect: string }[]> {
  const line = ["offsets", "events", ...words.split(" "), "--dry-run", "--json"];
  const { code, out, err } = await cli([...line, "--config", place.config]);
  expect([code, err]).toEqual([0, ""]);
  return JSON.parse(out) as { doubled: number; effect: string }[];
}

test("rows at or past the new offset are counted, not offsets; without any no --yes is wanted", async () => {
  const place = await makeTable();
  expect(await effects(place, "--set events:0=24 --set events:1=70")).toMatchObject([
    { partition: 0, before: 78, after: 24, doubled: 6 },
    { partition: 1, before: 78, after: 70, doubled: 1 },
  ]);
  const set = ["offsets", "events", "--config", place.config, "--set"];
  const { code, err } = await cli([...set, "events:0=24"]);
  expect([code, err]).toEqual([
    2,
    "Nothing was changed: 6 rows would be doubled. Add --yes to do it\n",
  ]);
  expect((await cli([...set, "events:0=90", "--yes"])).code).toBe(0);
  const { out } = await cli([...set, "events:0=78"]);
  expect(out).toContain("reads offsets 78 to 89 (12) again");
  expect(out).not.toContain("doubles");
});

test("rows past the committed offset count, also where the offsets cannot be read", async () => {
  const place = await makeTable();
  const counted = async (before: number | null): Promise<void> =>
    expect(await effects(place, "--set events:0=40 --set events:1=78")).toMatchObject([
      { partition: 0, before, after: 40, doubled: 2 },
      { partition: 1, before, after: 78, doubled: 0 },
    ]);
  await place.rollBack();
  await counted(25);
  await place.forget();
  await counted(null);
});

test("where rows cannot be counted the offsets bound them, and the reason is told", async () => {
  const storage = createLocalStorage(systemParts);
  const reasonAfter = async (harm: (table: LoadedTable, files: DataFile[]) => Promise<void>) => {
    const place = await makeTable();
    const files: DataFile[] = [];
    const table = await place.load();
    const head = table.metadata.currentSnapshotId ?? 0n;
    for await (const { file } of listDataFiles(storage, table.metadata, head)) files.push(file);
    await harm(table, files);
    const [row] = await effects(place, "--set events:0=70");
    expect(row?.doubled).toBe(8);
    return row?.effect;
  };
  const lost = await reasonAfter(async (_, files) => {
    for (const { filePath } of files) rmSync(filePath);
  });
  expect(lost).toMatch(/doubles the rows of at most 8 offsets: .*\.parquet/);
  const foreign = await reasonAfter(async ({ name, metadata }, [file]) => {
    if (file === undefined) throw new Error("there is a file");
    const staged = await stageAppend({
      storage,
      metadata,
      branch: "main",
      snapshotId: 7n,
      timestampMs: metadata.lastUpdatedMs,
      files: [{ ...file, filePath: `${file.filePath}.foreign`, nullValueCounts: new Map() }],
      summary: {},
      nameSuffix: "x-1",
    });
    const catalog = openFileCatalog(metadata.location.replace("/default/events", ""));
    expect((await catalog.commit(name, [], staged.updates)).kind).toBe("committed");
  });
  expect(foreign).toContain("at most 8 offsets: some of the table's rows have no coordinates");
});

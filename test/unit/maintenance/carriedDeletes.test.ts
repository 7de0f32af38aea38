/** Rows that others delete while their files are compacted, with the real engine, on real files: gone from the new file as well. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import type { Field } from "#columns/schema.ts";
import { CommitTable } from "#commit/commitTable.ts";
import type { CommitParts } from "#commit/parts.ts";
import { deletesOf, readHeadFiles } from "#iceberg/io/headFiles.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { sortOrderOf } from "#iceberg/metadata/sortOrder.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { hiddenRows } from "#keyindex/readKeys.ts";
import { compact } from "#maintenance/compact.ts";
import type { RewriteEngine } from "#maintenance/engine.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { parquetBytes, readColumns } from "#parquet/readColumns.ts";
import { positionDeleteWriter } from "#writer/positionDeletes.ts";
import { RewriteRig } from "../../support/rewriteRig.ts";
import { fileOf } from "../../support/tableOf.ts";

const rig = new RewriteRig(mkdtempSync(join(tmpdir(), "carried-")));
afterAll(() => rmSync(rig.folder, { recursive: true }));

/** With the id that a new table gives its first column. */
const ID: Field = { id: 1, name: "id", required: false, type: { kind: "long" } };
const NAME = { namespace: ["db"], table: "t" };

/** A table of the ids 0 to 299, 1000 to 1039 and 2000, in files of their own. */
class Table {
  readonly catalog: Catalog;
  readonly parts: CommitParts;
  readonly #paths: string[] = [];
  bytes = 0;

  constructor(warehouse: string) {
    const { storage } = rig;
    const shared = { clock: systemClock, log: silentLogger };
    this.catalog = createFileCatalog({ warehouse, readOnly: false }, { storage, ...shared });
    const txlog = { recovered: [], append: async () => undefined, close: async () => undefined };
    this.parts = {
      ...{ catalog: this.catalog, txlog, clock: systemClock, random: systemRandom },
      ...{ logger: silentLogger, observe: () => undefined },
    };
  }

  /** @param order how its rows are sorted by id. Default: they are not */
  async create(formatVersion: 2 | 3, order: readonly string[] = []): Promise<void> {
    await this.catalog.create({
      name: NAME,
      metadataAt: (location) =>
        newTableMetadata({
          ...{ uuid: systemRandom.uuid(), location, formatVersion, properties: {} },
          sortOrder: (fields) => sortOrderOf(fields, order),
          ...{ fields: [ID], spec: () => ({ specId: 0, fields: [] }), timestampMs: Date.now() },
        }),
    });
    for (const [first, count] of [
      [0, 300],
      [1000, 40],
      [2000, 1],
    ] as const) {
      const rows = Array.from({ length: count }, (_, n) => [BigInt(first + n)]);
      const { path, sizeBytes, recordCount } = await rig.write([ID], rows);
      this.#paths.push(path);
      this.bytes += Number(sizeBytes);
      await this.commit([
        { ...fileOf("x", []), filePath: path, recordCount, fileSizeBytes: sizeBytes },
      ]);
    }
  }

  async head(): Promise<LoadedTable> {
    const head = await this.catalog.load(NAME);
    if (head === null) throw new Error("the table is there");
    return head;
  }

  /** Somebody else's commit. */
  async commit(files: readonly DataFile[], removed: readonly DataFile[] = []): Promise<void> {
    const { storage, metadata } = await this.head();
    const staged = await stageAppend({
      ...{ storage, metadata, branch: "main", files, removed, summary: {} },
      ...{ snapshotId: systemRandom.id63(), timestampMs: Date.now() },
      nameSuffix: systemRandom.uuid(),
    });
    const { kind } = await this.catalog.commit(NAME, [], staged.updates);
    expect(kind).toBe("committed");
  }

  /** Somebody else's delete of rows of the first and second file, in the place of the vectors of before. */
  async delete(first: readonly number[], second: readonly number[]): Promise<void> {
    const { metadata } = await this.head();
    const added: DataFile[] = [];
    const removed: DataFile[] = [];
    const files = await readHeadFiles(await this.head(), metadata.currentSnapshotId);
    for (const [at, rows] of [first, second].entries()) {
      const path = this.#paths[at] ?? "";
      const place = files.data.get(path);
      if (place === undefined) throw new Error("the file is there");
      if (metadata.formatVersion === 3) {
        added.push((await rig.vector(path, rows)).file);
        const { vector } = deletesOf(files.index, place);
        if (vector !== null) removed.push(vector.file);
      } else {
        const location = join(rig.folder, `${systemRandom.uuid()}.parquet`);
        const write = positionDeleteWriter(createInlineEncoder());
        const written = await write(rig.storage, location, [
          { path, rows: Uint32Array.from(rows) },
        ]);
        const of = { content: "position-deletes", filePath: location } as const;
        added.push({ ...fileOf("p", []), ...written, ...of });
      }
    }
    await this.commit(added, removed);
  }

  /** The ids of the head's rows, and its delete files. */
  async read(): Promise<{
    readonly ids: number[];
    readonly data: number;
    readonly deletes: number;
  }> {
    const head = await this.head();
    const files = await readHeadFiles(head, head.metadata.currentSnapshotId);
    const ids: number[] = [];
    for (const file of files.data.values()) {
      const positionDeletes = new PositionDeletes(rig.storage);
      const hidden = await hiddenRows({ positionDeletes }, file, deletesOf(files.index, file));
      const bytes = Bun.file(file.path).size;
      const stored = parquetBytes(rig.storage, file.path, bytes);
      const groups = await Array.fromAsync(readColumns(stored, [{ id: 1, names: [] }]));
      const values = groups.flatMap(([column]) => Array.from(column ?? [], Number));
      ids.push(...values.filter((_, row) => !hidden.has(row)));
    }
    const keys = new Set([...files.deletes.values()].map(({ file }) => fileKey(file)));
    return { ids: ids.sort((a, b) => a - b), data: files.data.size, deletes: keys.size };
  }
}

function idsWithout(gone: readonly number[]): number[] {
  const all = [
    ...Array.from({ length: 300 }, (_, n) => n),
    ...Array.from({ length: 40 }, (_, n) => 1000 + n),
    2000,
  ];
  return all.filter((id) => !gone.includes(id));
}

for (const [formatVersion, order] of [
  [2, []],
  [3, []],
  [2, ["id desc"]],
  [3, ["id desc"]],
] as const) {
  const how = `format v${formatVersion}${order.length > 0 ? ", sorted" : ""}`;
  test(`rows that are deleted while their files are written are deleted in the new one (${how})`, async () => {
    const table = new Table(join(rig.folder, `wh${formatVersion}${order.length}`));
    await table.create(formatVersion, order);
    await table.delete([3, 31, 64], [0]);
    const engine: RewriteEngine = {
      ...rig.engine,
      rewrite: async (job, stop) => {
        const rewritten = await rig.engine.rewrite(job, stop);
        // Vectors hold what was deleted before; files of positions need not.
        await table.delete([3, 31, 32, 64, 299], [0, 1, 39]);
        return rewritten;
      },
    };
    const report = await compacted(table, engine);
    expect(report).toMatchObject({ groups: 1, filesBefore: 3, filesAfter: 1, left: 0 });
    expect(report.sorted).toBe(order.length);
    const { ids, data, deletes } = await table.read();
    expect(ids).toEqual(idsWithout([3, 31, 32, 64, 299, 1000, 1001, 1039]));
    expect({ data, deletes }).toEqual({ data: 1, deletes: 1 });
    // What is sorted already is not written again for it.
    expect(await compacted(table, rig.engine)).toMatchObject({ groups: 0 });
  });
}

for (const formatVersion of [2, 3] as const) {
  test(`a file of deletes that is gone by then leaves the rows where they are (format v${formatVersion})`, async () => {
    const table = new Table(join(rig.folder, `gone${formatVersion}`));
    await table.create(formatVersion);
    const engine: RewriteEngine = {
      ...rig.engine,
      rewrite: async (job, stop) => {
        const rewritten = await rig.engine.rewrite(job, stop);
        await table.delete([3], [0]);
        const files = await readHeadFiles(
          await table.head(),
          (await table.head()).metadata.currentSnapshotId,
        );
        await rig.storage.remove([...files.deletes.values()].map(({ file }) => file.filePath));
        return rewritten;
      },
    };
    await compacted(table, engine);
    const head = await table.head();
    expect((await readHeadFiles(head, head.metadata.currentSnapshotId)).data.size).toBe(3);
  });
}

test("files that were read in format v2 take nobody's place in a table that is v3 by then", async () => {
  const table = new Table(join(rig.folder, "upgraded"));
  await table.create(2);
  const formats: number[] = [];
  const rewrite: RewriteEngine["rewrite"] = async (job, stop) => {
    const rewritten = await rig.engine.rewrite(job, stop);
    formats.push(job.head.metadata.formatVersion);
    if (formats.length > 1) return rewritten;
    const { kind } = await table.catalog.commit(
      NAME,
      [],
      [{ action: "upgrade-format-version", formatVersion: 3 }],
    );
    expect(kind).toBe("committed");
    return rewritten;
  };
  await compacted(table, { ...rig.engine, rewrite });
  // All of it is read once more, as the table is now.
  expect(formats).toEqual([2, 3]);
  expect(await table.read()).toMatchObject({ ids: idsWithout([]), data: 1 });
});

/** Compacts all files of a table. */
async function compacted(
  table: Table,
  engine: RewriteEngine,
): Promise<Awaited<ReturnType<typeof compact>>> {
  const opened = new CommitTable(
    table.parts,
    { name: NAME, branch: "main", group: "g", commitRetriesMax: 3, thinning: null },
    await table.head(),
  );
  return await compact(opened, engine, {
    ...{ isDry: false, jobs: 1, onProgress: () => undefined, stop: rig.stop },
    settings: { smallBytes: 1e9, targetBytes: table.bytes, deleteRatio: 0.1 },
    sortSpillBytesMax: 1e9,
  });
}

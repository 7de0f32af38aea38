/** Where the rows of rewritten files are in the file that takes their place, whatever hid some of them. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetMetadata } from "hyparquet";
import { rowsMoved } from "#commit/movedRows.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { PlannedInput } from "#maintenance/compactPlan.ts";
import type { RewrittenGroup } from "#maintenance/engine.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { readColumns } from "#parquet/readColumns.ts";
import { positionDeleteWriter } from "#writer/positionDeletes.ts";
import { RewriteRig } from "../../support/rewriteRig.ts";
import { fileOf } from "../../support/tableOf.ts";
import { field } from "../parquet/rows.ts";

const rig = new RewriteRig(mkdtempSync(join(tmpdir(), "rewrite-")));
afterAll(() => rmSync(rig.folder, { recursive: true }));

const ID = field("id", { kind: "long" });
const NAME = field("name", { kind: "string" });
const FIELDS = [ID, NAME];

/** A file of `count` rows whose ids begin at `first`; many row groups. */
function input(first: number, count: number, deletes: readonly LiveFile[]): Promise<PlannedInput> {
  const rows = Array.from({ length: count }, (_, n) => [BigInt(first + n), `row ${(n * 7) % 13}`]);
  return rig.write(FIELDS, rows, { deletes, firstRowId: BigInt(first), sequenceNumber: 1n });
}

async function byPosition(path: string, rows: readonly number[]): Promise<LiveFile> {
  const location = join(rig.folder, `deletes-${rows.length}-${rows[0]}.parquet`);
  const write = positionDeleteWriter(createInlineEncoder());
  const written = await write(rig.storage, location, [{ path, rows: Uint32Array.from(rows) }]);
  const file = { ...fileOf("p", []), ...written, filePath: location };
  return { file: { ...file, content: "position-deletes" }, snapshotId: 1n, sequenceNumber: 2n };
}

async function byId(ids: readonly number[]): Promise<LiveFile> {
  const { path, sizeBytes } = await rig.write(
    [ID],
    ids.map((id) => [BigInt(id)]),
  );
  const of = { content: "equality-deletes", equalityIds: [ID.id], filePath: path } as const;
  return {
    file: { ...fileOf("e", []), ...of, fileSizeBytes: sizeBytes },
    ...{ snapshotId: 1n, sequenceNumber: 2n },
  };
}

async function idsIn({ output }: RewrittenGroup): Promise<number[]> {
  if (output === null) return [];
  const bytes = await Bun.file(output.filePath).bytes();
  const file = {
    byteLength: bytes.length,
    slice: async (start: number, end = bytes.length): Promise<ArrayBuffer> =>
      bytes.slice(start, end).buffer,
  };
  const groups = await Array.fromAsync(readColumns(file, [{ id: ID.id, names: [] }]));
  return groups.flatMap(([values]) => Array.from(values ?? [], Number));
}

for (const formatVersion of [2, 3] as const) {
  test(`each row that is left is found in the new file, and no other (format v${formatVersion})`, async () => {
    const [a, b, c] = [
      await input(0, 300, []),
      await input(1000, 33, []),
      await input(2000, 1, []),
    ];
    const hiddenOfB = formatVersion === 3 ? await rig.vector(b.path, [0, 31, 32]) : null;
    const position = hiddenOfB ?? (await byPosition(b.path, [0, 31, 32]));
    const equality = await byId([3, 299, 1005, 77_777]);
    const inputs = [
      { ...a, deletes: [equality] },
      { ...b, deletes: [position, equality] },
      c,
      await input(3000, 64, [await byId([3000])]),
    ];
    const rewritten = await rig.rewrite(rig.tableOf(FIELDS, formatVersion), inputs);
    const ids = await idsIn(rewritten);
    const gone = new Set([3, 299, 1000, 1005, 1031, 1032, 3000]);
    expect(ids.length).toBe(300 + 33 + 1 + 64 - gone.size);
    const found = inputs.flatMap(({ firstRowId, recordCount }, at) => {
      const moved = rewritten.moved?.[at];
      if (moved === undefined) throw new Error("each input is found");
      const [first, count] = [Number(firstRowId), Number(recordCount)];
      return Array.from({ length: count }, (_, row) => {
        const only = new RowSet(count);
        only.add(row);
        const places = [...rowsMoved(moved, only)];
        return { id: first + row, ids: places.map((place) => ids[place]) };
      });
    });
    for (const each of found) expect(each.ids).toEqual(gone.has(each.id) ? [] : [each.id]);
  });
}

test("all rows of a file at once are as one after the other, ascending", async () => {
  const a = await input(0, 100, []);
  const { moved } = await rig.rewrite(rig.tableOf(FIELDS, 3), [a, await input(500, 70, [])]);
  const all = new RowSet(70);
  for (let row = 0; row < 70; row++) all.add(row);
  const [, second] = moved ?? [];
  if (second === undefined) throw new Error("each input is found");
  expect([...rowsMoved(second, all)]).toEqual(Array.from({ length: 70 }, (_, n) => 100 + n));
});

test("the place that a row took along is not in the file", async () => {
  const inputs = [await input(0, 500, []), await input(600, 500, [])];
  const { output } = await rig.rewrite(rig.tableOf(FIELDS, 2), inputs);
  const bytes = await Bun.file(output?.filePath ?? "").bytes();
  expect(BigInt(bytes.length)).toBe(output?.fileSizeBytes ?? 0n);
  const metadata = parquetMetadata(bytes.buffer as ArrayBuffer);
  expect(metadata.schema.map(({ name }) => name)).toEqual(["duckdb_schema", "id", "name"]);
  for (const { columns, total_byte_size: total } of metadata.row_groups) {
    expect(columns.length).toBe(2);
    const sizes = columns.map(({ meta_data }) => meta_data?.total_uncompressed_size ?? 0n);
    expect(total).toBe(sizes.reduce((sum, size) => sum + size, 0n));
  }
  expect(await rig.rowsByDuckDb(output?.filePath ?? "")).toEqual(["1000", "0", "1099", "13"]);
});

for (const codec of ["uncompressed", "snappy", "gzip", "lz4", "zstd", "brotli"]) {
  test(`a table whose codec is ${codec} is compacted as any other`, async () => {
    const table = rig.tableOf(FIELDS, 2);
    const properties = { "write.parquet.compression-codec": codec };
    const head = { ...table, metadata: { ...table.metadata, properties } };
    const group = await rig.rewrite(head, [await input(0, 300, []), await input(1000, 33, [])]);
    expect(await idsIn(group)).toHaveLength(333);
    expect(group.moved).not.toBeNull();
  });
}

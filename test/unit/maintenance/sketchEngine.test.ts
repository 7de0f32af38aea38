/** Values of real files are counted: of every type, without deleted rows, over several runs. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { encodeSingleValue } from "#iceberg/singleValue.ts";
import { decodeSketch, estimateOf, THETA_MAX } from "#iceberg/statistics/thetaSketch.ts";
import type { PlannedInput } from "#maintenance/compactPlan.ts";
import { createSketchEngine } from "#maintenance/sketchEngine.ts";
import type { SketchedColumn } from "#sql/rewrite/protocol.ts";
import { countedForm } from "#sql/sketch/sketcher.ts";
import { openStorage } from "#storage/open.ts";
import { storeOptions } from "../../fakes/storeOptions.ts";
import { encodeVector } from "../../support/deletionVectors.ts";
import { thetaHash } from "../../support/murmur.ts";
import { fileOf, tableOf } from "../../support/tableOf.ts";
import { batchOf, bytesOf, encodeWhole, everyTypeRows, field, type Row } from "../parquet/rows.ts";

const folder = mkdtempSync(join(tmpdir(), "sketch-"));
afterAll(() => rmSync(folder, { recursive: true }));

const storage = openStorage(storeOptions, {
  ...{ clock: systemClock, random: systemRandom, disk: systemDisk },
  ...{ log: silentLogger, observe: ignoreObservations },
});
const head: LoadedTable = {
  name: { namespace: ["db"], table: "t" },
  metadata: tableOf(3),
  metadataLocation: `${folder}/v1`,
  storage,
};
const count = createSketchEngine({
  libraryFolder: null,
  scratch: join(folder, "scratch"),
});
const EMPTY = { theta: THETA_MAX, hashes: new BigUint64Array(0) };

async function write(
  fields: readonly Field[],
  rows: readonly Row[],
  more: Partial<PlannedInput> = {},
): Promise<PlannedInput> {
  const path = join(folder, `${systemRandom.uuid()}.parquet`);
  const options = { codec: "snappy", level: null, rowGroupRows: 5000, metadata: {} } as const;
  const bytes = bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], options));
  await Bun.write(path, bytes);
  return {
    ...{ path, fileFormat: "PARQUET", specId: 0, partition: [], deletes: [] },
    ...{ recordCount: BigInt(rows.length), sizeBytes: BigInt(bytes.length) },
    ...{ sequenceNumber: 1n, firstRowId: 0n, snapshotId: null },
    ...more,
  };
}

function counted(
  columns: readonly SketchedColumn[],
  inputs: readonly PlannedInput[],
): Promise<readonly SketchedColumn[]> {
  return count({ head, inputs, columns }, new AbortController().signal);
}

test("the hashes of every type are those of its single values as Iceberg writes them", async () => {
  const { fields, rows } = everyTypeRows();
  const columns = fields
    .filter((each) => countedForm(each) !== null)
    .map((each) => ({ field: each, sketch: EMPTY }));
  expect(columns.length).toBeGreaterThan(12);
  const found = await counted(columns, [await write(fields, rows)]);
  for (const { field: each, sketch } of found) {
    const at = fields.indexOf(fields.find(({ id }) => id === each.id) ?? each);
    const { type } = each;
    const hashes = rows.flatMap((row) => {
      const value = row[at] as PartitionValue | undefined;
      if (value === null || value === undefined || type.kind === "struct") return [];
      const bytes = encodeSingleValue(type as never, value);
      return bytes.length === 0 ? [] : [thetaHash(bytes)];
    });
    const wanted = BigUint64Array.from(new Set(hashes)).toSorted();
    expect([each.name, ...sketch.hashes.toSorted()]).toEqual([each.name, ...wanted]);
  }
});

const TEXT = field("text", { kind: "string" });

test("the hashes of texts are those of DataSketches", async () => {
  const rows = ["a", "bc", "a text of more than sixteen bytes", "", null, "a"].map((each) => [
    each,
  ]);
  const [column] = await counted([{ field: TEXT, sketch: EMPTY }], [await write([TEXT], rows)]);
  const blob = "02030300001acc930300000000000000be398585c57aa728dd323a99c0f8074617c11d528507017b";
  const theirs = decodeSketch(new Uint8Array(Buffer.from(blob, "hex")));
  expect([...(column?.sketch.hashes.toSorted() ?? [])]).toEqual([...theirs.hashes]);
});

test("a sketch that goes on is the one that would have been made at once, and within its error", async () => {
  const values = Array.from({ length: 30_000 }, (_, n): Row => [`value ${n}`]);
  const first = await write([TEXT], values.slice(0, 20_000));
  const second = await write([TEXT], values.slice(10_000));
  const start = [{ field: TEXT, sketch: EMPTY }];
  const [whole] = await counted(start, [first, second]);
  const [joined] = await counted(await counted(start, [first]), [second]);
  if (whole === undefined || joined === undefined) throw new Error("one column was counted");
  expect(joined.sketch.hashes.length).toBeLessThanOrEqual(4096);
  // Both have every hash below their theta.
  const thetas = [whole.sketch.theta, joined.sketch.theta];
  const [least = 0n] = BigUint64Array.from(thetas).toSorted();
  const below = ({ sketch }: SketchedColumn): BigUint64Array =>
    sketch.hashes.filter((hash) => hash < least).toSorted();
  expect([...below(joined)]).toEqual([...below(whole)]);
  for (const { sketch } of [whole, joined]) {
    expect(Math.abs(estimateOf(sketch) / 30_000 - 1)).toBeLessThan(0.05);
  }
});

test("deleted rows are not counted", async () => {
  const input = await write([TEXT], [["a"], ["b"], ["c"], ["a"]]);
  const puffin = join(folder, "vectors.puffin");
  const blob = encodeVector([1, 3], "plain");
  await Bun.write(puffin, blob);
  const vector = {
    file: {
      ...fileOf("v", []),
      ...({ content: "position-deletes", fileFormat: "PUFFIN", filePath: puffin } as const),
      ...{ referencedDataFile: input.path, recordCount: 2n, contentOffset: 0n },
      ...{ contentSizeBytes: BigInt(blob.length), fileSizeBytes: BigInt(blob.length) },
    },
    ...{ snapshotId: 1n, sequenceNumber: 2n },
  };
  const [column] = await counted(
    [{ field: TEXT, sketch: EMPTY }],
    [{ ...input, deletes: [vector] }],
  );
  const hashes = ["a", "c"].map((each) => thetaHash(Buffer.from(each)));
  expect(new Set(column?.sketch.hashes)).toEqual(new Set(hashes));
});

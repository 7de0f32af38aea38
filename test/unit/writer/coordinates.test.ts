/** Kafka's coordinates in files that others wrote: with field ids, and without them by the name mapping. */
import { expect, test } from "bun:test";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { CoordinateFields } from "#commit/liveRows.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";

/** The offsets that are found in a file without field ids. */
async function offsetsIn(fields: CoordinateFields): Promise<bigint[][]> {
  const storage = createMemoryStorage();
  const content = parquetWriteBuffer({
    columnData: [
      { name: "o", data: [7n, 8n, 9n], type: "INT64" },
      { name: "p", data: [0, 0, 1], type: "INT32" },
      { name: "other", data: ["a", "b", "c"], type: "STRING" },
    ],
  });
  const filePath = "/wh/t/data/a.parquet";
  await storage.put(filePath, new Uint8Array(content));
  const file = { filePath, fileSizeBytes: BigInt(content.byteLength) } as DataFile;
  const found: bigint[][] = [];
  for await (const { offsets } of readCoordinates(storage, file, fields))
    found.push(Array.from(offsets, (offset) => offset ?? -1n));
  return found;
}

const FIELDS = { topic: null, partition: 1, offset: 2 };

test("a file without field ids has the coordinates that the name mapping names", async () => {
  const names = new Map([
    [1, ["part", "p"]],
    [2, ["o"]],
  ]);
  expect(await offsetsIn({ ...FIELDS, names })).toEqual([[7n, 8n, 9n]]);
});

test("without a mapping, or with one that does not name them, it has none", async () => {
  expect(await offsetsIn(FIELDS)).toEqual([]);
  expect(await offsetsIn({ ...FIELDS, names: new Map([[1, ["p"]]]) })).toEqual([]);
  const swapped = new Map([[9, ["p", "o"]]]);
  expect(await offsetsIn({ ...FIELDS, names: swapped })).toEqual([]);
});

test("a partition that is stored as a long is the number that an int would be", async () => {
  const storage = createMemoryStorage();
  const content = parquetWriteBuffer({
    columnData: [
      { name: "o", data: [7n, 8n], type: "INT64" },
      { name: "p", data: [3n, 4n], type: "INT64" },
    ],
  });
  await storage.put("/a", new Uint8Array(content));
  const file = { filePath: "/a", fileSizeBytes: BigInt(content.byteLength) } as DataFile;
  const names = new Map([
    [1, ["p"]],
    [2, ["o"]],
  ]);
  const runs = await Array.fromAsync(readCoordinates(storage, file, { ...FIELDS, names }));
  expect(runs.map(({ partitions }) => Array.from(partitions))).toEqual([[3, 4]]);
});

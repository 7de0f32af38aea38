/** Files of position deletes: what is written is what the index, and every reader, finds. */
import { expect, test } from "bun:test";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { positionDeleteWriter } from "#writer/positionDeletes.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { rejection } from "../../support/rejection.ts";
import { fileOf } from "../../support/tableOf.ts";

const AT = "/table/metadata/c-1-deletes-0.parquet";
const write = positionDeleteWriter(createInlineEncoder());

test("rows of several data files come back, file by file, also more than one batch of them", async () => {
  const storage = createMemoryStorage();
  const many = Uint32Array.from({ length: 70_000 }, (_, n) => 3 * n);
  const deletes = [
    { path: "/table/data/a.parquet", rows: Uint32Array.of(0, 7) },
    { path: "/table/data/é.parquet", rows: many },
  ];
  const written = await write(storage, AT, deletes);
  expect(written.recordCount).toBe(70_002n);
  expect(written.fileSizeBytes).toBe(BigInt(storage.objects.get(AT)?.content.length ?? 0));
  const file = { ...fileOf("d"), content: "position-deletes" as const, filePath: AT, ...written };
  const live = { file, snapshotId: 1n, sequenceNumber: 1n };
  for (const { path, rows } of deletes) {
    const found = new RowSet(300_000);
    const data = { ...fileOf("x"), path, format: "PARQUET", rows: 300_000, bytes: 1 };
    const place = { ...data, sequenceNumber: 1n, firstRowId: null };
    await new PositionDeletes(storage).addTo(found, place, live);
    expect([...found]).toEqual([...rows]);
  }
});

test("bounds of paths are whole: of one data file they are equal, and say which it is", async () => {
  const storage = createMemoryStorage();
  const path = `/table/data/${"long".repeat(40)}.parquet`;
  const { lowerBounds, upperBounds } = await write(storage, AT, [
    { path, rows: Uint32Array.of(1) },
  ]);
  expect(Buffer.from(lowerBounds.get(2_147_483_546) ?? []).toString()).toBe(path);
  expect(upperBounds).toEqual(lowerBounds);
});

test("a store that fails leaves an error, and no upload that goes on", async () => {
  const storage = createMemoryStorage();
  let aborted = 0;
  const failing = {
    ...storage,
    writer: async (location: string) => ({
      ...(await storage.writer(location)),
      write: () => Promise.reject(new Error("no room")),
      abort: async () => {
        aborted++;
      },
    }),
  };
  const error = await rejection(write(failing, AT, [{ path: "a", rows: Uint32Array.of(1) }]));
  expect([error.message, aborted]).toEqual(["no room", 1]);
});

/** What is refused when a table is opened, rather than at its first rows. */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { rejection } from "../../support/rejection.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";

test("a table that follows changes by copies is not opened where its files cannot be written anew; one of appended rows is", async () => {
  const parts = { storage: createMemoryStorage(), clock: systemClock, log: silentLogger };
  const refused = fail("table_unsupported", "column id is of type fixed");
  const writerParts: WriterParts = {
    ...parts,
    random: seededRandom(1),
    txlog: { recovered: [], append: async () => undefined, close: async () => undefined },
    catalog: createFileCatalog({ warehouse: "/wh", readOnly: false }, parts),
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
    copyOnWrite: () => ({
      check: () => Promise.reject(refused),
      deleteRows: () => Promise.reject(new Error("not asked")),
    }),
  };
  const fields = [{ id: 1, name: "id", required: false, type: { kind: "long" } }] as const;
  const options: WriterOptions = { ...WRITER_OPTIONS, deletes: "copy-on-write" };
  const keyed = { ...options, key: ["id"] };
  expect(await rejection(TableWriter.open(writerParts, keyed, fields))).toBe(refused);
  await TableWriter.open(writerParts, { ...options, key: [] }, fields);
});

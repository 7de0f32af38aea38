/** What is refused when a table is opened, rather than at its first rows. */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import type { Field } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { NO_SHAPING } from "#decode/shaping.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { columnsFor } from "#writer/schema.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { rejection } from "../../support/rejection.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";

test("a table that follows changes by copies is not made, opened or given columns where its files cannot be written anew; one of appended rows is", async () => {
  const refused = fail("table_unsupported", "column id is of type fixed");
  const writerParts: WriterParts = {
    ...partsOfNothing(),
    copyOnWrite: {
      check: (_, fields) => {
        if (fields.some(({ type }) => type.kind === "fixed")) throw refused;
      },
      deleteRows: () => () => Promise.reject(new Error("not asked")),
    },
  };
  const fixed: Field = { id: 1, name: "id", required: false, type: { kind: "fixed", length: 3 } };
  const long: Field = { ...fixed, type: { kind: "long" } };
  const appending: WriterOptions = { ...WRITER_OPTIONS, deletes: "copy-on-write", key: [] };
  const keyed = { ...appending, key: ["id"] };
  expect(await rejection(TableWriter.open(writerParts, keyed, [fixed]))).toBe(refused);
  expect(await writerParts.catalog.load(keyed.name)).toBeNull();
  await TableWriter.open(writerParts, appending, [fixed]);
  expect(await rejection(TableWriter.open(writerParts, keyed, [fixed]))).toBe(refused);
  const other = { ...keyed, name: { ...keyed.name, table: "other" } };
  await TableWriter.open(writerParts, other, [long]);
  const head = await writerParts.catalog.load(other.name);
  const grown = columnsFor(writerParts, [[long, { ...fixed, id: 0, name: "more" }]], keyed);
  expect(() => grown.stage(head as LoadedTable)).toThrow(refused.message);
});

test("a path inside a declared column that leads to nothing is refused where the table is not there; one that is there may have that column", async () => {
  const parts = partsOfNothing();
  const string = { kind: "string" } as const;
  const user = (...names: string[]): Field => {
    const fields = names.map((name) => ({ id: 0, name, required: false, type: string }));
    return { id: 0, name: "user", required: false, type: { kind: "struct", fields } };
  };
  const decoder = createDecoder({
    ...{ ...DECODER_DEFAULTS, metadataColumns: [], onUnknownField: "ignore" },
    ...{ fields: [user("phone")], shaping: { ...NO_SHAPING, isStrict: true, mask: ["user.fax"] } },
  });
  const options: WriterOptions = { ...WRITER_OPTIONS, key: [] };
  const open = () => TableWriter.open(parts, options, decoder.fields, decoder);
  expect(String(await rejection(open()))).toContain(
    "mask names user.fax, and schema.fields has user",
  );
  expect(await parts.catalog.load(options.name)).toBeNull();
  await TableWriter.open(parts, options, [user("phone", "fax")]);
  const { fields } = await open();
  decoder.adopt(fields, { dropped: [], hasRows: true });
});

/** Without any table. */
function partsOfNothing(): WriterParts {
  const parts = { storage: createMemoryStorage(), clock: systemClock, log: silentLogger };
  return {
    ...parts,
    random: seededRandom(1),
    txlog: { recovered: [], append: async () => undefined, close: async () => undefined },
    catalog: createFileCatalog({ warehouse: "/wh", readOnly: false }, parts),
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
  };
}

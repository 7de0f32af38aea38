/**
 * What the configuration asks of a table that is there: declared columns by `schema_mismatch_action`.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { creationRefusal, tableRefusals } from "#cli/refusals.ts";
import type { Field, Type } from "#columns/schema.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { createTable } from "#writer/create.ts";
import { reconcileSchema } from "#writer/reconcile.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { AppRig } from "../../support/appRig.ts";
import { MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";
import { tableOf } from "../../support/tableOf.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";

const field = (name: string, type: Type["kind"]): Field => {
  return { id: 0, name, required: false, type: { kind: type } as Type };
};

/** The table of the world has columns `topic`, `partition` int and `offset` long. */
const DECLARED: Field[] = [field("offset", "string"), field("new", "double")];

async function reconcile(
  action: "fail" | "evolve" | "warn",
  declared: readonly Field[],
  changes: "evolve" | "refuse" = "evolve",
  own: readonly Field[] = [],
): Promise<{ error: string; columns: string[]; rig: AppRig }> {
  const rig = new AppRig({}, { schemaMismatch: action, schemaChanges: changes });
  const error = await TableWriter.open(rig.parts, rig.options, [], { declared, own }).then(
    () => "",
    (reason: Error) => reason.message,
  );
  const { fields } = await rig.writer();
  const data = fields.filter(({ name }) => name !== "topic");
  const columns = data.map(({ name, type }) => `${name} ${type.kind}`);
  return { error, columns, rig };
}

test("fail: a declared column that is missing, or of another type, stops the table", async () => {
  const { error, columns } = await reconcile("fail", DECLARED);
  expect(error).toContain("column offset is long, declared as string");
  expect(error).toContain("column new double is not in the table");
  expect(error).toContain('"evolve" adds columns');
  expect(columns).toEqual(["partition int", "offset long"]);
});

test("evolve: declared columns are added and types widened; what Iceberg cannot do stops the table", async () => {
  const wider = [field("partition", "long"), field("new", "double")];
  const grown = await reconcile("evolve", wider);
  expect([grown.error, grown.columns]).toEqual([
    "",
    ["partition long", "offset long", "new double"],
  ]);
  const { error, columns } = await reconcile("evolve", DECLARED);
  expect(error).toContain("which Iceberg cannot change");
  expect(columns).toEqual(["partition int", "offset long"]);
});

test("warn: the difference is said, and the table's types count", async () => {
  const { error, columns, rig } = await reconcile("warn", DECLARED);
  expect([error, columns]).toEqual(["", ["partition int", "offset long"]]);
  expect(rig.lines.find(({ level }) => level === "warn")?.message).toContain("declared as string");
});

test("a type that holds the declared one's values is no difference", async () => {
  expect((await reconcile("fail", [field("offset", "int")])).error).toBe("");
});

test("our own columns: refused where nothing may be added, and where theirs have other types", async () => {
  const own = [field("_kafka_offset", "long")];
  expect((await reconcile("fail", [], "evolve", own)).error).toBe("");
  expect((await reconcile("fail", [], "refuse", own)).error).toContain("lacks our columns");
  const clash = await reconcile("fail", [], "evolve", [field("offset", "string")]);
  expect(clash.error).toContain("Our columns do not fit");
});

test("a column of ours that others dropped is brought back by a start; one of the data's is not", async () => {
  const own = [field("_kafka_offset", "long")];
  const rig = new AppRig({}, { schemaMismatch: "fail", schemaChanges: "evolve" });
  await rig.changeSchema((fields, id) => [
    ...fields,
    ...own.map((each) => ({ ...each, id })),
    { ...field("x", "int"), id: id + 1 },
  ]);
  await rig.changeSchema((fields) =>
    fields.filter(({ name }) => name !== "_kafka_offset" && name !== "x"),
  );
  const writer = await TableWriter.open(rig.parts, rig.options, [], { declared: [], own });
  const names = writer.fields.map(({ name }) => name);
  expect(names).toContain("_kafka_offset");
  expect(names).not.toContain("x");
});

test("a column that has the name of row ids is refused where updates keep them: of a table that is there and of a new one, by check and by a start", async () => {
  const clash = { ...field("_row_id", "string"), id: 9 };
  const id = { ...field("id", "long"), id: 1 };
  const ways = [
    { formatVersion: 3, key: ["id"], deletes: "position", isRefused: true },
    { formatVersion: 3, key: ["id"], deletes: "copy-on-write", isRefused: true },
    { formatVersion: 3, key: [], deletes: "position", isRefused: false },
    { formatVersion: 2, key: ["id"], deletes: "position", isRefused: false },
    { formatVersion: 2, key: ["id"], deletes: "equality", isRefused: false },
  ] as const;
  for (const { formatVersion, isRefused, ...how } of ways) {
    const made = new MaintainedTable();
    const create = { ...WRITER_OPTIONS.create, allowed: true, formatVersion };
    const options = { ...WRITER_OPTIONS, ...made.options, ...how, create };
    const parts = { ...made.parts, encoder: createInlineEncoder() };
    const metadata = tableOf(formatVersion);
    const schema = { schemaId: metadata.currentSchemaId, fields: [id, clash] };
    const schemas = [{ ...schema, identifierFieldIds: [] }];
    const planned = { name: "t", writer: options, topics: [] };
    const told = tableRefusals(planned, { ...metadata, schemas }).join();
    expect(told.includes("keep row ids")).toBe(isRefused);
    expect((creationRefusal(options, () => [id, clash]) ?? "").includes("keep row ids")).toBe(
      isRefused,
    );
    if (isRefused) {
      expect(await rejection(createTable(parts, options, [id, clash]))).toMatchObject({
        kind: "table_unsupported",
      });
    }
    await made.parts.catalog.create({
      name: options.name,
      metadataAt: (location) => ({ ...metadata, schemas, location }),
    });
    const table = new CommitTable(parts, options, await made.head());
    const opened = reconcileSchema(parts, options, table, { declared: [], own: [] });
    if (!isRefused) await opened;
    else expect(await rejection(opened)).toMatchObject({ kind: "table_unsupported" });
  }
});

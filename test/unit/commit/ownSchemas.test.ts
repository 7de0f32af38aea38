/** Which schemas leave a table's metadata with the next one that we add. */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import type { Field, Schema } from "#columns/schema.ts";
import { OWN_SCHEMAS, ownSchemaUpdates } from "#commit/ownSchemas.ts";
import type { TableMetadata, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { AppRig } from "../../support/appRig.ts";
import { tableOf } from "../../support/tableOf.ts";

function column(id: number): Field {
  return { id, name: `c${id}`, required: false, type: { kind: "long" } };
}

/** A schema with columns 1 to `last`. */
function schemaOf(schemaId: number, last: number): Schema {
  const fields = Array.from({ length: last }, (_, index) => column(index + 1));
  return { schemaId, fields, identifierFieldIds: [] };
}

/** A table whose schema `n` has `n + 1` columns, the last one current. */
function tableWith(schemas: number, own: string, referred: readonly number[] = []): TableMetadata {
  const all = Array.from({ length: schemas }, (_, n) => schemaOf(n, n + 1));
  const table = tableOf(2, { [OWN_SCHEMAS]: own });
  const snapshots = referred.map(
    (schemaId) => ({ schemaId }) as TableMetadata["snapshots"][number],
  );
  return { ...table, schemas: all, currentSchemaId: schemas - 1, snapshots };
}

function removed(updates: readonly TableUpdate[]): readonly number[] {
  return updates.flatMap((each) => (each.action === "remove-schemas" ? each.schemaIds : []));
}

function marked(updates: readonly TableUpdate[]): string | undefined {
  return updates.flatMap((each) =>
    each.action === "set-properties" ? [each.properties[OWN_SCHEMAS]] : [],
  )[0];
}

test("ours that no snapshot was written with go, but for the one that is current until now", () => {
  const updates = ownSchemaUpdates(tableWith(5, "1,2,3,4", [2]), schemaOf(5, 6), true);
  expect([removed(updates), marked(updates)]).toEqual([[1, 3], "2,4,5"]);
});

test("those of other engines stay, whoever made the table", () => {
  const updates = ownSchemaUpdates(tableWith(5, "3"), schemaOf(5, 6), true);
  expect([removed(updates), marked(updates)]).toEqual([[3], "5"]);
});

test("one with a column that the table has no longer stays: it is the memory of what was dropped", () => {
  const next = { ...schemaOf(5, 6), fields: [1, 3, 4, 5, 6].map(column) };
  const updates = ownSchemaUpdates(tableWith(5, "0,1,2,3"), next, true);
  expect(removed(updates)).toEqual([0]);
});

test("a catalog that may not know the update gets none, and the mark all the same", () => {
  const updates = ownSchemaUpdates(tableWith(4, "1,2"), schemaOf(4, 5), false);
  expect([removed(updates), marked(updates)]).toEqual([[], "1,2,4"]);
});

test("a mark of schemas that are gone, or that is no list, names nothing", () => {
  const updates = ownSchemaUpdates(tableWith(3, "1,9,x,-1,"), schemaOf(3, 4), true);
  expect([removed(updates), marked(updates)]).toEqual([[1], "3"]);
});

test("a schema that comes a second time, with partitions only, is not marked under an id of its own", () => {
  expect(ownSchemaUpdates(tableWith(3, "1"), schemaOf(3, 3), true)).toEqual([]);
});

test("a table whose records bring a new field each time keeps the schemas of its snapshots, not all", async () => {
  const thinning = { branch: "main", retentionMs: 1, keepAllMs: 1, snapshotsMax: 2 };
  const rig = await new AppRig({}, { thinning }, {}, { onUnknownField: "evolve" }).start();
  for (let n = 0; n < 12; n++) {
    rig.consumer.give(0, BigInt(n), [`{"a":1,"f${n}":${n}}`]);
    await rig.pass(500);
  }
  const { schemas, snapshots, properties } = rig.world.metadata;
  const referred = new Set(snapshots.map(({ schemaId }) => schemaId));
  expect(snapshots.at(-1)?.summary["total-records"]).toBe("12");
  expect(schemas.length).toBeLessThan(12);
  for (const id of referred) expect(schemas.some(({ schemaId }) => schemaId === id)).toBe(true);
  expect(properties[OWN_SCHEMAS]?.split(",").length).toBeLessThan(12);
});

/**
 * A table whose schema its owner changes while we write: nothing that fits the newest schema is given
 * up, and nothing that is the owner's is changed by our data.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { typeName } from "#columns/evolve.ts";
import type { Field, Type } from "#columns/schema.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { AppRig } from "../../support/appRig.ts";

const field = (name: string, kind: "int" | "long" | "string", required = false): Field => {
  return { id: 0, name, required, type: { kind } };
};

/** A running table with a first row, whose bad records are skipped. */
async function running(first: string, decoding: Partial<DecoderOptions> = {}): Promise<AppRig> {
  const options = { schemaMismatch: "evolve" } as const;
  const rig = new AppRig({ rejects: { action: "skip" } }, options, {}, decoding);
  await rig.start();
  rig.consumer.give(0, 0n, [first]);
  await rig.pass(600);
  expect(await rowsOf(rig)).toEqual([0]);
  return rig;
}

/** Delivers records until they are committed: rows of an old schema are dropped, to be read again. */
async function deliver(rig: AppRig, offset: bigint, values: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 3 && (await rig.committed(0)) === offset; tries++) {
    rig.consumer.give(0, offset, values);
    await rig.pass(1000);
  }
}

async function rowsOf(rig: AppRig): Promise<number[]> {
  return [...(await rig.rows(0))].sort((a, b) => a - b);
}

async function columns(rig: AppRig): Promise<string[]> {
  const { fields } = await rig.writer();
  const data = fields.filter(({ name }) => !/^(_kafka_.*|topic|partition|offset)$/.test(name));
  return data.map((each) => `${each.name} ${typeName(each.type)}${each.required ? "!" : ""}`);
}

const retype =
  (name: string, type: Type, more: Partial<Field> = {}) =>
  (fields: readonly Field[]): Field[] =>
    fields.map((each) => (each.name === name ? { ...each, type, ...more } : each));

test("a value that fits only the newest schema is a row, however stale the decoder was", async () => {
  const rig = await running('{"id":1}', { fields: [field("id", "int")] });
  rig.consumer.give(0, 1n, ['{"id":2}']);
  await rig.settle();
  await rig.changeSchema(retype("id", { kind: "long" }));
  rig.consumer.give(0, 2n, ['{"id":3000000000}', '{"id":4}']);
  await rig.pass(600);
  expect([await rowsOf(rig), await rig.committed(0)]).toEqual([[0, 1, 2, 3], 4n]);
  expect(rig.observations.filter(({ type }) => type === "rejected")).toEqual([]);
  expect(await columns(rig)).toEqual(["id long"]);
});

test("a new field that its owner has just made a column goes there, under dead_letter too", async () => {
  const rig = await running('{"id":1}', {
    fields: [field("id", "int")],
    onUnknownField: "dead_letter",
  });
  await rig.changeSchema((fields, id) => [...fields, { ...field("new", "string"), id }]);
  rig.consumer.give(0, 1n, ['{"id":2,"new":"x"}', '{"id":3,"other":1}']);
  await rig.pass(600);
  expect(await rowsOf(rig)).toEqual([0, 1]);
  expect(rig.observations.filter(({ type }) => type === "rejected")).toHaveLength(1);
});

test("a column that another engine adds is neither widened nor made optional by our data", async () => {
  const rig = await running('{"id":1}');
  await rig.changeSchema((fields, id) => [...fields, { ...field("k", "int", true), id }]);
  await deliver(rig, 1n, ['{"id":2,"k":1}', '{"id":3,"k":3000000000}', '{"id":4}']);
  expect(await columns(rig)).toEqual(["id long", "k int!"]);
  expect([await rowsOf(rig), await rig.committed(0)]).toEqual([[0, 1], 4n]);
});

test("a column that its owner drops stays away, while its field is still sent", async () => {
  const rig = await running('{"id":1,"gone":1,"s":{"gone":1,"kept":1}}');
  await rig.changeSchema((fields) =>
    fields
      .filter(({ name }) => name !== "gone")
      .map((each) => {
        const { type } = each;
        if (type.kind !== "struct") return each;
        const kept = type.fields.filter(({ name }) => name === "kept");
        return { ...each, type: { kind: "struct", fields: kept } };
      }),
  );
  for (let n = 1n; n < 4n; n++) {
    await deliver(rig, n, [`{"id":${n},"gone":2,"s":{"gone":2,"kept":2}}`]);
  }
  expect(await columns(rig)).toEqual(["id long", "s struct<kept: long>"]);
  expect(await rowsOf(rig)).toEqual([0, 1, 2, 3]);
});

test("a column dropped and added again with another type takes what fits it", async () => {
  const rig = await running('{"id":1,"v":1}');
  await rig.changeSchema((fields, id) => [
    ...fields.filter(({ name }) => name !== "v"),
    { ...field("v", "string"), id },
  ]);
  await deliver(rig, 1n, ['{"id":2,"v":"x"}', '{"id":3,"v":7}']);
  expect([await rowsOf(rig), await rig.committed(0)]).toEqual([[0, 1], 3n]);
  expect(await columns(rig)).toEqual(["id long", "v string"]);
});

test("while the head cannot be loaded no record is given up: its feed is read again", async () => {
  const away = { load: false };
  const rig = await running('{"id":1}', { fields: [field("id", "int")] });
  const { catalog } = rig.parts;
  const load = catalog.load.bind(catalog);
  catalog.load = (name) =>
    away.load ? Promise.reject(fail("catalog_unreachable", "away")) : load(name);
  await rig.changeSchema(retype("id", { kind: "long" }));
  away.load = true;
  rig.consumer.give(0, 1n, ['{"id":3000000000}']);
  await rig.pass(500);
  expect(rig.observations.filter(({ type }) => type === "rejected")).toEqual([]);
  away.load = false;
  await rig.pass(6000);
  rig.consumer.give(0, 1n, ['{"id":3000000000}']);
  await rig.pass(1000);
  expect([await rowsOf(rig), await rig.committed(0)]).toEqual([[0, 1], 2n]);
});

test("one load of the head judges all batches that had arrived before it, a later batch asks anew", async () => {
  const rig = await running('{"id":1}', {
    fields: [field("id", "int")],
    onUnknownField: "dead_letter",
  });
  const before = rig.world.loads;
  for (let n = 1; n <= 20; n++) rig.consumer.give(0, BigInt(n), [`{"id":${n},"unknown":${n}}`]);
  await rig.settle();
  expect(rig.observations.filter(({ type }) => type === "rejected")).toHaveLength(20);
  expect(rig.world.loads - before).toBe(1);
  await rig.pass(1);
  const later = rig.world.loads;
  rig.consumer.give(0, 21n, ['{"id":21,"unknown":21}']);
  await rig.settle();
  expect(rig.world.loads - later).toBe(1);
});

/**
 * A table at run time: opened once, flushed one flush at a time.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import type { Catalog } from "#catalog/catalog.ts";
import { AppRig } from "../../support/appRig.ts";

/** The rig's catalog, whose loads are counted and may fail. */
function counted(catalog: Catalog): {
  catalog: Catalog;
  loads: () => number;
  failNext: () => void;
} {
  let loads = 0;
  let fails = false;
  const load: Catalog["load"] = async (name) => {
    loads++;
    await Promise.resolve();
    if (fails) {
      fails = false;
      throw fail("catalog_unreachable", "away");
    }
    return catalog.load(name);
  };
  const failNext = (): void => {
    fails = true;
  };
  return { catalog: { ...catalog, load }, loads: () => loads, failNext };
}

test("a table is opened once, whoever asks for it meanwhile", async () => {
  const { catalog, loads } = counted(new AppRig().parts.catalog);
  const { table } = new AppRig({}, {}, { catalog });
  const writers = await Promise.all([table.open(), table.open(), table.open()]);
  expect(new Set(writers).size).toBe(1);
  expect(loads()).toBe(1);
});

test("a commit that a service holds up counts as an error of that service, so that alerts see it", async () => {
  const rig = await new AppRig().start();
  const { catalog } = rig.parts;
  const away = (): Promise<never> => Promise.reject(fail("catalog_unreachable", "away"));
  const { load } = catalog;
  Object.assign(catalog, { load: away });
  rig.consumer.give(0, 0n, ['{"n":1}']);
  await rig.pass(1000);
  const kinds = rig.observations.flatMap((each) => (each.type === "error" ? [each.kind] : []));
  expect(new Set(kinds)).toEqual(new Set(["catalog_unreachable"]));
  Object.assign(catalog, { load });
});

test("a table that could not be opened is opened by the next who asks", async () => {
  const { catalog, failNext } = counted(new AppRig().parts.catalog);
  const { table } = new AppRig({}, {}, { catalog });
  failNext();
  const first = await Promise.allSettled([table.open(), table.open()]);
  expect(first.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await table.open()).toBe(table.writer as never);
});

test("a flush that ends before its writer has it lets go of what was written ahead of it", async () => {
  const options = { preserveKafkaPartitions: true, aheadBytes: 1 };
  const rig = await new AppRig({}, options).start();
  rig.consumer.give(0, 0n, ['{"n":1}']);
  await rig.pass(1000);
  const { append } = rig.txlog;
  rig.txlog.append = (entry) =>
    entry.type === "BufferSnapshot"
      ? Promise.reject(fail("internal", "not known"))
      : append.call(rig.txlog, entry);
  for (let n = 1n; n < 4n; n++) rig.consumer.give(0, n, ['{"n":1}']);
  await rig.settle();
  const { buffer, state } = rig.table;
  expect([buffer.rows, state.kind]).toEqual([3, "running"]);
  await rig.pass(1000);
  expect([rig.table.state.kind, buffer.rows, buffer.lentBytes]).toEqual(["stopped", 0, 0]);
});

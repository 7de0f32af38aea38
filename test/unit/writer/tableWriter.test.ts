/**
 * One table's writer: its files, its table's identity, schema changes, groups in each other's way.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { AppError, fail } from "#base/errors.ts";
import { feedKey } from "#base/offsets.ts";
import type { Catalog } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import { droppedPaths } from "#iceberg/metadata/droppedColumns.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { type Flush, TableWriter } from "#writer/tableWriter.ts";
import { onStore } from "../../fakes/onStore.ts";
import { AppRig } from "../../support/appRig.ts";

/** Files of one Kafka partition, of row groups of three rows. */
const APART = { preserveKafkaPartitions: true, rowGroupRows: 3 };

async function opened(
  options: Partial<WriterOptions> = {},
  parts: (rig: AppRig) => Partial<WriterParts> = () => ({}),
): Promise<{ rig: AppRig; writer: TableWriter }> {
  const rig = new AppRig({}, options);
  const writer = await TableWriter.open({ ...rig.parts, ...parts(rig) }, rig.options, []);
  const feeds = rig.world.partitions.map((partition) => rig.world.feed(partition));
  await writer.claim(feeds.map((feed) => ({ feed, offset: 0n })));
  return { rig, writer };
}

function flushOf(rig: AppRig, writer: TableWriter, partitions = [0, 1], more: Field[] = []): Flush {
  return writer.newFlush(
    partitions.map((partition) => {
      const range = { feed: rig.world.feed(partition), start: 0n, end: 20n };
      return { range, batch: rig.world.batch(range.feed, 0n, 20n, more) };
    }),
  );
}

async function thrown(running: Promise<unknown>): Promise<AppError> {
  const error: unknown = await running.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

const live = async (rig: AppRig): Promise<readonly string[]> =>
  (await rig.world.law.content(rig.world.metadata.currentSnapshotId ?? 0n)).files;

test("a file holds one Kafka partition and says so in its path, or all of them share a file", async () => {
  const apart = await opened({ preserveKafkaPartitions: true });
  await apart.writer.flush(flushOf(apart.rig, apart.writer));
  const names = (await live(apart.rig)).map((path) =>
    path.replace(/[0-9a-f]{8}(-[0-9a-f]+){4}\.parquet$/, "UUID.parquet"),
  );
  expect(names.sort()).toEqual([
    "/wh/db/t/data/kafka_partition=0/00000-0-19-UUID.parquet",
    "/wh/db/t/data/kafka_partition=1/00001-0-19-UUID.parquet",
  ]);
  const together = await opened({ preserveKafkaPartitions: false });
  await together.writer.flush(flushOf(together.rig, together.writer));
  expect(await live(together.rig)).toHaveLength(1);
  expect(await together.rig.world.law.violations()).toEqual([]);
});

test("a file that is full takes no more rows: the flush goes on in the next one, and no row is lost or doubled", async () => {
  const { rig, writer } = await opened({ ...APART, fileBytesTarget: 30 });
  await writer.flush(flushOf(rig, writer));
  const files = (await live(rig)).map((path) => path.replace(/[^/]+$/, ""));
  expect(files.length).toBeGreaterThan(4);
  expect(new Set(files).size).toBe(2);
  expect(await rig.world.law.violations()).toEqual([]);
  const whole = await opened(APART);
  await whole.writer.flush(flushOf(whole.rig, whole.writer));
  expect(await live(whole.rig)).toHaveLength(2);
});

test("a full file that the store altered is written again from its own first row", async () => {
  let writers = 0;
  const { rig, writer } = await opened({ ...APART, fileBytesTarget: 30 }, (each) => ({
    catalog: onStore(each.parts.catalog, (store) => ({
      ...store,
      writer: async (path) => {
        const real = await store.writer(path);
        if (!path.endsWith(".parquet") || ++writers !== 2) return real;
        return { ...real, close: () => Promise.reject(fail("storage_corrupt", "short")) };
      },
    })),
  }));
  expect((await writer.flush(flushOf(rig, writer, [0]))).kind).toBe("committed");
  expect(writers).toBeGreaterThan(3);
  expect(await rig.world.law.violations()).toEqual([]);
});

test("five commits of one offset range at once: one snapshot holds it", async () => {
  const { rig, writer } = await opened();
  const writers = await Promise.all([1, 2, 3, 4].map(() => rig.writer()));
  const flushing = [writer, ...writers].map((each) => each.flush(flushOf(rig, each)));
  await rig.pass(3000);
  const results = await Promise.all(flushing);
  const kinds = results.map(({ kind }) => kind).sort();
  expect(kinds).toEqual(["committed", "dropped", "dropped", "dropped", "dropped"]);
  expect(rig.world.metadata.snapshots).toHaveLength(2);
  expect(await rig.world.law.violations()).toEqual([]);
});

test("a repeated identical commit answers the same snapshot, and is counted", async () => {
  const { rig, writer } = await opened();
  const flush = flushOf(rig, writer);
  const first = await writer.flush(flush);
  const again = await writer.flush(flush);
  expect(again).toMatchObject({ kind: "committed" });
  expect(again.kind === "committed" && first.kind === "committed" && again.snapshotId).toBe(
    first.kind === "committed" ? first.snapshotId : false,
  );
  expect(rig.observations.filter(({ type }) => type === "idempotent_retry")).toHaveLength(1);
});

test("an upload that the store altered is repeated under a new name", async () => {
  let altered = 0;
  const { rig, writer } = await opened({}, ({ parts: { catalog } }) => ({
    catalog: onStore(catalog, (store) => ({
      ...store,
      writer: async (path) => {
        const real = await store.writer(path);
        if (altered > 0) return real;
        altered++;
        return { ...real, close: () => Promise.reject(fail("storage_corrupt", "short")) };
      },
    })),
  }));
  const result = await writer.flush(flushOf(rig, writer, [0]));
  expect([result.kind, altered]).toEqual(["committed", 1]);
  expect(await rig.world.law.violations()).toEqual([]);
});

test("while the store is away a flush is held, and the same flush ends later", async () => {
  const { rig, writer } = await opened();
  rig.world.fault = { kind: "before", calls: 0 };
  const flush = flushOf(rig, writer);
  expect((await writer.flush(flush)).kind).toBe("held");
  expect((await writer.flush(flush)).kind).toBe("committed");
  expect(await rig.world.law.violations()).toEqual([]);
});

test("a flush that is given up leaves no file behind", async () => {
  const { rig, writer } = await opened();
  rig.world.onRequest = (request) =>
    queueMicrotask(() => {
      if (request.answer !== null) rig.world.giveUp(request, "dropped");
    });
  const files = rig.world.storage.objects.size;
  const flush = flushOf(rig, writer);
  const flushing = writer.flush(flush);
  await rig.pass(20_000);
  expect((await flushing).kind).toBe("held");
  await writer.giveUp(flush);
  expect(rig.world.storage.objects.size).toBeGreaterThan(files);
  // Only when something else has passed the request may its files go.
  rig.heal();
  await writer.flush(flushOf(rig, writer, [0]));
  const { paths } = await rig.world.law.content(rig.world.metadata.currentSnapshotId ?? 0n);
  const named = flush.ledger.names.filter((path) => rig.world.storage.objects.has(path));
  expect([named, paths.size > 0]).toEqual([[], true]);
});

test("a dropped table stops its writer, a replaced one too, and both say what a restart does", async () => {
  for (const load of [
    () => Promise.resolve(null),
    async (rig: AppRig) => {
      const table = rig.world.loaded();
      return { ...table, metadata: { ...table.metadata, tableUuid: "another" } };
    },
  ]) {
    let gone = false;
    const { rig, writer } = await opened({}, (each) => ({
      catalog: {
        ...each.parts.catalog,
        load: (name) => (gone ? load(each) : each.parts.catalog.load(name)),
      } satisfies Catalog,
    }));
    gone = true;
    const error = await thrown(writer.flush(flushOf(rig, writer)));
    expect(error.kind).toBe("table_gone");
    expect(error.message).toContain("db.t");
    expect(error.message).toContain("restart");
  }
});

test("a missing table is made with its columns, or refused where that is not allowed", async () => {
  const rig = new AppRig();
  const { catalog } = rig.parts;
  let made: unknown = null;
  const missing: Catalog = {
    ...catalog,
    load: () => Promise.resolve(null),
    create: (request) => {
      made = request
        .metadataAt("/wh/db/t")
        .schemas[0]?.fields.map((field) => [field.id, field.name]);
      return Promise.resolve({ kind: "committed", table: rig.world.loaded() });
    },
  };
  const fields: Field[] = [{ id: 0, name: "a", required: false, type: { kind: "int" } }];
  await TableWriter.open({ ...rig.parts, catalog: missing }, rig.options, fields);
  expect(made).toEqual([[1, "a"]]);
  const refused = { ...rig.options, create: { ...rig.options.create, allowed: false } };
  const error = await thrown(TableWriter.open({ ...rig.parts, catalog: missing }, refused, fields));
  expect([error.kind, error.message]).toEqual([
    "table_missing",
    expect.stringContaining("auto_create_if_missing is false"),
  ]);
});

test("a table that somebody else makes at the same moment is used", async () => {
  const rig = new AppRig();
  let loads = 0;
  const racing: Catalog = {
    ...rig.parts.catalog,
    load: (name) => (loads++ === 0 ? Promise.resolve(null) : rig.parts.catalog.load(name)),
  };
  const writer = await TableWriter.open({ ...rig.parts, catalog: racing }, rig.options, []);
  expect(writer.name).toBe("db.t");
  const never: Catalog = { ...rig.parts.catalog, load: () => Promise.resolve(null) };
  const error = await thrown(TableWriter.open({ ...rig.parts, catalog: never }, rig.options, []));
  expect(error.kind).toBe("catalog_unreachable");
});

const extra = (kind: "int" | "long" | "string"): Field[] => [
  { id: 0, name: "x", required: false, type: { kind } },
];

test("two writers that add the same column at once make one column, which neither widens", async () => {
  const { rig, writer } = await opened();
  const other = await rig.writer();
  const flushes = [
    writer.flush(flushOf(rig, writer, [0], extra("int"))),
    other.flush(flushOf(rig, other, [1], extra("long"))),
  ];
  await rig.pass(3000);
  const kinds = (await Promise.all(flushes)).map(({ kind }) => kind);
  const added = (await rig.writer()).fields.filter((field) => field.name === "x");
  // An int fits a long column; a long is read again where the int came first.
  const isInt = added[0]?.type.kind === "int";
  expect(kinds).toEqual(isInt ? ["committed", "dropped"] : ["committed", "committed"]);
  expect(added).toHaveLength(1);
  expect(await rig.world.law.violations()).toEqual([]);
});

test("rows decoded before another writer gave their new column its type are read again", async () => {
  const { rig, writer } = await opened();
  await writer.flush(flushOf(rig, writer, [0], extra("int")));
  const result = await writer.flush(flushOf(rig, writer, [1], extra("string")));
  expect(result).toMatchObject({ kind: "dropped", fenced: [rig.world.feed(1)] });
});

test("rows that never fit the table's schema stop it, after they were read again", async () => {
  const { rig, writer } = await opened();
  await writer.flush(flushOf(rig, writer, [0], extra("int")));
  const known = (await rig.writer()).fields.filter((field) => field.name === "x");
  const other = known.map((field): Field => ({ ...field, type: { kind: "string" } }));
  let flushes = 0;
  const conflict = await thrown(
    (async () => {
      for (; flushes < 20; flushes++) {
        const result = await writer.flush(flushOf(rig, writer, [1], other));
        expect(result).toMatchObject({ kind: "dropped", fenced: [rig.world.feed(1)] });
      }
    })(),
  );
  expect(flushes).toBeGreaterThan(1);
  expect([conflict.kind, conflict.message]).toEqual([
    "table_schema",
    expect.stringContaining("column x"),
  ]);
});

test("a column that its owner dropped does not come back with rows that were begun before", async () => {
  const { rig, writer } = await opened();
  await writer.flush(flushOf(rig, writer, [0], extra("int")));
  const known = (await rig.writer()).fields.filter((field) => field.name === "x");
  await rig.changeSchema((fields) => fields.filter(({ name }) => name !== "x"));
  for (const stale of [known, extra("int")]) {
    expect(await writer.flush(flushOf(rig, writer, [1], stale))).toMatchObject({ kind: "dropped" });
  }
  expect(droppedPaths(writer.lastSeen.metadata)).toEqual(["x"]);
  expect((await writer.flush(flushOf(rig, writer, [1]))).kind).toBe("committed");
  expect(writer.fields.map(({ name }) => name)).not.toContain("x");
  await rig.changeSchema((fields, id) => [...fields, ...known.map((field) => ({ ...field, id }))]);
  await writer.lookAtHead();
  expect(droppedPaths(writer.lastSeen.metadata)).toEqual([]);
});

test("a schema change that is refused again and again is tried later", async () => {
  const { rig, writer } = await opened();
  rig.world.onRequest = (request) =>
    queueMicrotask(() => {
      request.answer?.({ kind: "conflict", cause: "busy" });
    });
  const flushing = writer.flush(flushOf(rig, writer, [0], extra("int")));
  await rig.pass(60_000);
  expect((await flushing).kind).toBe("held");
}, 60_000);

test("the third fence by another group in a minute stops the table and names both", async () => {
  const { rig, writer } = await opened();
  const rival = await TableWriter.open(rig.parts, { ...rig.options, group: "rival" }, []);
  const feed = rig.world.feed(0);
  const at = (each: TableWriter, start: bigint): Flush =>
    each.newFlush([{ range: { feed, start, end: start + 1n }, batch: null }]);
  const step = async (start: bigint) => {
    await rival.flush(at(rival, start));
    return await writer.flush(at(writer, start));
  };
  expect((await step(0n)).kind).toBe("dropped");
  expect((await step(1n)).kind).toBe("dropped");
  const error = await thrown(step(2n));
  expect(error.kind).toBe("fenced");
  expect(error.message).toContain("Consumer groups g and rival both write");
});

/** A writer whose log has no room for entries of `full.type`. */
async function withFullLog() {
  const full: { type: string | null } = { type: null };
  const made = await opened({}, ({ parts }) => ({
    txlog: {
      ...parts.txlog,
      append: (entry, sync) =>
        entry.type === full.type
          ? Promise.reject(fail("storage_full", "no room"))
          : parts.txlog.append(entry, sync),
    },
  }));
  return { ...made, full };
}

/** Everybody's snapshots but the head go, as another engine's expiry does. */
function expireAllButHead({ world }: AppRig): void {
  const head = world.metadata.currentSnapshotId;
  const ids = world.metadata.snapshots.map((each) => each.snapshotId).filter((id) => id !== head);
  world.foreign([{ action: "remove-snapshots", snapshotIds: ids }], "expiry of all but the head");
}

test("a flush that landed and could not be logged stays committed when its snapshot has expired", async () => {
  const { rig, writer, full } = await withFullLog();
  const flush = flushOf(rig, writer, [0]);
  full.type = "IcebergSnapshotCreated";
  expect((await writer.flush(flush)).kind).toBe("held");
  full.type = null;
  await (await rig.writer()).flush(flushOf(rig, await rig.writer(), [1]));
  expireAllButHead(rig);
  expect((await writer.flush(flush)).kind).toBe("committed");
  expect(await rig.world.law.violations()).toEqual([]);
});

test("a flush that landed and is given up keeps its files when its snapshot has expired", async () => {
  const { rig, writer, full } = await withFullLog();
  const flush = flushOf(rig, writer, [0]);
  full.type = "IcebergSnapshotCreated";
  expect((await writer.flush(flush)).kind).toBe("held");
  full.type = null;
  await (await rig.writer()).flush(flushOf(rig, await rig.writer(), [1]));
  expireAllButHead(rig);
  await writer.giveUp(flush);
  // What is given up is looked through after every commit.
  const range = { feed: rig.world.feed(0), start: 20n, end: 30n };
  const batch = rig.world.batch(range.feed, range.start, range.end);
  expect((await writer.flush(writer.newFlush([{ range, batch }]))).kind).toBe("committed");
  expect(await rig.world.law.violations()).toEqual([]);
});

test("a flush that was held is committed under the owner of when its rows were read, or not at all", async () => {
  const { rig, writer } = await opened();
  const feed = rig.world.feed(0);
  const position = { feed, offset: 0n, isKnown: true };
  await writer.own([position], "first");
  const owners = new Map([[feedKey(feed), "first"]]);
  const range = { feed, start: 0n, end: 20n };
  const batch = rig.world.batch(feed, 0n, 20n);
  const held = writer.newFlush([{ range, batch }], owners);
  rig.world.loadFails = true;
  expect((await writer.flush(held)).kind).toBe("held");
  // The feed begins anew: what was put aside meanwhile was judged by another reading of its records.
  await writer.own([position], "second");
  owners.set(feedKey(feed), "second");
  expect((await writer.flush(held)).kind).toBe("dropped");
  expect(await rig.rows(0)).toEqual([]);
});

/** The index of a table against a scan of each head, which knows no history. */
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { type Random, seededRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet, RowIndex } from "#keyindex/port.ts";
import { openKeyStore, volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable, type WasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { createLossyDisk } from "../../fakes/lossyDisk.ts";
import { type Key, KeyedTable, type Listed } from "../../support/keyedTable.ts";
import { movedRows } from "../../support/movedRows.ts";
import { rejection } from "../../support/rejection.ts";

const SECRET = { k0: 1n, k1: 2n };
const HASHER = new KeyHasher([{ id: 1, name: "id", type: { kind: "long" } }], SECRET);
const DAYS = [20_000, 20_001];

function keySet(keys: readonly Key[]): KeySet {
  const words = BigInt64Array.from(keys, (key) => key ?? 0n);
  const nulls = Uint8Array.from(keys, (key) => (key === null ? 1 : 0));
  return HASHER.hashAll([{ values: { kind: "word", words }, nulls }], keys.length);
}

function newIndex(store = volatileKeyStore(smallTable())): RowIndex {
  return createTableIndex({ store, secret: SECRET, keyColumns: ["id"] });
}

function smallTable(): WasmKeyTable {
  return createWasmKeyTable({ slotsFirst: 8 });
}

async function places(index: RowIndex, keys: readonly Key[]): Promise<string[]> {
  const located = await index.locate(keySet(keys));
  const names = located.flatMap(({ file, rows }) =>
    Array.from(rows, (row) => `${file.path}:${row}`),
  );
  expect(new Set(located.map(({ file }) => file.path)).size).toBe(located.length);
  return names.sort();
}

/** A table that people, other engines and we change, and the index that follows it. */
class Walk {
  readonly table = new KeyedTable();
  index = newIndex();
  readonly #random: Random;
  listed: Listed[] = [];
  readonly #past: Listed[][] = [[]];
  #sequence = 1n;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  int(below: number): number {
    return Math.floor(this.#random.unit() * below);
  }

  /** One of thirty keys, or none. */
  key(): Key {
    return this.int(30) === 0 ? null : BigInt(this.int(30));
  }

  keys(most: number): Key[] {
    return Array.from({ length: this.int(most) }, () => this.key());
  }

  /** What other engines and people do to a head. */
  async change(): Promise<void> {
    this.#sequence++;
    const data = this.listed.filter(({ file }) => file.content === "data");
    const target = data[this.int(data.length)];
    switch (this.int(8)) {
      case 0:
      case 1:
        return this.#add(await this.table.dataFile(this.keys(14), this.#day()));
      case 2:
        return this.#drop(this.listed[this.int(this.listed.length)]);
      case 3:
        return target && this.#add(await this.table.equalityDeletes(this.keys(3), this.#day()));
      case 4:
        return target && this.#positions(data);
      case 5:
        return target && this.#vector(target, this.int(3) > 0);
      case 6: {
        const [key] = this.keys(14);
        this.listed = this.#past[this.int(this.#past.length)] ?? [];
        return key === undefined
          ? undefined
          : this.#add(await this.table.dataFile([key], this.#day()));
      }
      default:
        return target && this.#compact(target);
    }
  }

  /** The snapshot is there: a rollback may come back to it. */
  remember(): void {
    this.#past.push(this.listed);
  }

  /** A commit of ours on the head that the index was brought to. */
  async upsert(base: LoadedTable, lands: boolean): Promise<void> {
    const changed = [...new Set(this.keys(6))];
    const located = await this.index.locate(keySet(changed));
    const sequenceNumber = ++this.#sequence;
    const removed: DataFile[] = [];
    const added: DataFile[] = [];
    for (const { file, deletes, rows } of located) {
      const target = this.listed.find((each) => each.file.filePath === file.path);
      if (target === undefined) throw new Error("a located file is in the head");
      if (deletes.vector !== null) removed.push(deletes.vector.file);
      const positions = { ...target, sequenceNumber: target.sequenceNumber };
      const all = new Set([...this.#byPosition(positions), ...rows]);
      added.push(await this.table.vector(target.file, [...all]));
    }
    const kept = changed.filter(() => this.int(4) > 0);
    const file = await this.table.dataFile(kept, this.#day());
    const placed = kept.length === 0 ? [] : [{ file, keys: keySet(kept) }];
    if (!lands) return;
    const gone = new Set(removed.map(fileKey));
    this.listed = this.listed.filter((each) => !gone.has(fileKey(each.file)));
    for (const each of added) this.listed = [...this.listed, { file: each, sequenceNumber }];
    for (const each of placed) this.listed = [...this.listed, { file: each.file, sequenceNumber }];
    const landed = await this.table.head(this.listed);
    const snapshotId = landed.metadata.refs["main"]?.snapshotId ?? 0n;
    const change = { keys: keySet(changed), placed, addedDeletes: added, removedDeletes: removed };
    const baseId = base.metadata.refs["main"]?.snapshotId ?? null;
    await this.index.apply({ base: baseId, ...change }, { snapshotId, sequenceNumber });
  }

  #byPosition(target: Listed): Set<number> {
    const byPosition = this.listed.filter(({ file }) => file.content !== "equality-deletes");
    return this.table.hidden(byPosition, target);
  }

  #day(): number {
    return DAYS[this.int(DAYS.length)] ?? 0;
  }

  #add(file: DataFile): void {
    this.listed = [...this.listed, { file, sequenceNumber: this.#sequence }];
  }

  #drop(one: Listed | undefined): void {
    this.listed = this.listed.filter((each) => each !== one);
  }

  /** Position deletes of one partition; files that have a vector ignore them. */
  async #positions(data: readonly Listed[]): Promise<void> {
    const day = this.#day();
    const rows = data
      .filter(({ file }) => file.partition[0] === day)
      .map(({ file }): [string, number[]] => [file.filePath, this.#rows(file)]);
    if (rows.length > 0) this.#add(await this.table.positionDeletes(new Map(rows), day));
  }

  async #vector(target: Listed, grows: boolean): Promise<void> {
    const rows = [...(grows ? this.#byPosition(target) : []), ...this.#rows(target.file)];
    this.listed = this.listed.filter(
      ({ file }) => file.referencedDataFile !== target.file.filePath,
    );
    this.#add(await this.table.vector(target.file, rows));
  }

  /** The live rows of a file, or of two of a partition, in a new one, in another order; the index may be told where they went. */
  async #compact(target: Listed): Promise<void> {
    const [day] = target.file.partition;
    const others = this.listed.filter(
      ({ file }) => file.content === "data" && file.partition[0] === day && file !== target.file,
    );
    const inputs = [target, ...others.slice(0, this.int(2))];
    const live = [...this.table.scan(this.listed)].flatMap(([key, found]) =>
      found.map((place) => ({ key, place })),
    );
    const isInput = ({ place }: { place: string }): boolean =>
      inputs.some(({ file }) => place.startsWith(`${file.filePath}:`));
    const rows = live.filter(isInput);
    const output = await this.table.dataFile(
      rows.map(({ key }) => key),
      Number(day),
    );
    const numbers = new Map(rows.map(({ place }, n) => [place, n]));
    const moved = inputs.map(({ file }) => movedRows(file, numbers));
    for (const input of inputs) this.#drop(input);
    this.#add(output);
    if (this.int(4) === 0) return;
    await this.index.rewritten([{ path: output.filePath, rows: rows.length, inputs: moved }]);
  }

  #rows(file: DataFile): number[] {
    const count = Number(file.recordCount);
    return Array.from({ length: count === 0 ? 0 : this.int(4) }, () => this.int(count));
  }
}

async function expectExact(walk: Walk): Promise<void> {
  const scan = walk.table.scan(walk.listed);
  const keys: Key[] = [null, ...Array.from({ length: 31 }, (_, n) => BigInt(n))];
  for (const key of keys) expect(await places(walk.index, [key])).toEqual(scan.get(key) ?? []);
  expect(await places(walk.index, keys)).toEqual([...scan.values()].flat().sort());
}

test("for every head the index knows all live rows of each key: appends, all kinds of deletes, compaction, rollback, own commits", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const walk = new Walk(seed);
    for (let step = 0; step < 20; step++) {
      for (let n = walk.int(3); n >= 0; n--) await walk.change();
      const head = await walk.table.head(walk.listed);
      await walk.index.bringTo(head, "main");
      await expectExact(walk);
      walk.remember();
      if (walk.int(2) === 0) continue;
      await walk.upsert(head, walk.int(5) > 0);
      walk.remember();
    }
  }
}, 300_000);

test("a comparison that fails half-way is made good by the next one", async () => {
  for (let seed = 100; seed <= 110; seed++) {
    const walk = new Walk(seed);
    for (let step = 0; step < 15; step++) {
      for (let n = walk.int(4); n >= 0; n--) await walk.change();
      const head = await walk.table.head(walk.listed);
      let left = walk.int(12);
      const getRange: typeof head.storage.getRange = (...range) => {
        if (left-- === 0) throw fail("storage_unreachable", "the store does not answer");
        return walk.table.storage.getRange(...range);
      };
      const failing = { ...head, storage: { ...walk.table.storage, getRange } };
      await walk.index.bringTo(failing, "main").catch(() => undefined);
      if (walk.int(2) === 0) await walk.change();
      await walk.index.bringTo(await walk.table.head(walk.listed), "main");
      await expectExact(walk);
      walk.remember();
    }
  }
}, 300_000);

test("after a loss of power, a full disk and a restart the index is exact again, from what was kept or from the table", async () => {
  let restored = 0;
  for (let seed = 200; seed < 205; seed++) {
    const walk = new Walk(seed);
    const random = seededRandom(seed);
    let isFull = false;
    const disk = createLossyDisk({
      random,
      fault: ({ operation }) => (isFull && operation === "write" ? "ENOSPC" : null),
    });
    await disk.mount().mkdir("/state");
    const warnings: unknown[] = [];
    const start = async (): Promise<void> => {
      const [folder, table] = ["/state/keys", smallTable()];
      // A handful of changes fills a log, and all ranges are dumped every few commits.
      const sizes = { pending: 2000, log: 3000, cycle: 4000 };
      const warn = (error: unknown): void => void warnings.push(error);
      const store = await openKeyStore({ disk: disk.mount(), folder, table, warn, sizes });
      if (store.restored !== null) restored++;
      walk.index = newIndex(store);
    };
    await start();
    for (let step = 0; step < 20; step++) {
      for (let n = walk.int(3); n >= 0; n--) await walk.change();
      isFull = walk.int(5) === 0;
      const head = await walk.table.head(walk.listed);
      await walk.index.bringTo(head, "main");
      await expectExact(walk);
      walk.remember();
      await walk.upsert(head, true);
      if (walk.int(2) === 0) continue;
      isFull = false;
      if (walk.int(2) === 0) disk.crash();
      await start();
    }
    expect(warnings.every((error) => error instanceof Error)).toBe(true);
  }
  expect(restored).toBeGreaterThan(15);
}, 300_000);

test("a change is applied only to the snapshot that it was built on", async () => {
  const table = new KeyedTable();
  const index = newIndex();
  const file = await table.dataFile([1n, 2n], 20_000);
  const listed = [{ file, sequenceNumber: 1n }];
  await index.bringTo(await table.head(listed), "main");
  const change = { keys: keySet([1n]), placed: [], addedDeletes: [], removedDeletes: [] };
  await index.apply({ base: 77n, ...change }, { snapshotId: 78n, sequenceNumber: 2n });
  await index.bringTo(await table.head(listed), "main");
  expect(await places(index, [1n])).toEqual([`${file.filePath}:0`]);
});

test("a file that is gone while it is read asks for another head; a head that lacks it twice is damaged", async () => {
  const table = new KeyedTable();
  const index = newIndex();
  const file = await table.dataFile([1n], 20_000);
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  await table.storage.remove([file.filePath]);
  expect(await rejection(index.bringTo(head, "main"))).toMatchObject({
    kind: "storage_unreachable",
  });
  expect(await rejection(index.bringTo(head, "main"))).toMatchObject({ kind: "storage_missing" });
  await index.bringTo(await table.head([]), "main");
  expect(await places(index, [1n])).toEqual([]);
});

test("manifests that two heads share are read once, and a file that stays is not read again", async () => {
  const table = new KeyedTable();
  const index = newIndex();
  const file = await table.dataFile([1n], 20_000);
  const first = [{ file, sequenceNumber: 1n }];
  await index.bringTo(await table.head(first), "main");
  const later = [...first, { file: await table.dataFile([2n], 20_000), sequenceNumber: 2n }];
  const head = await table.head(later);
  const before = { ...table.storage.calls };
  await index.bringTo(head, "main");
  // The manifest list and one manifest.
  expect((table.storage.calls["get"] ?? 0) - (before["get"] ?? 0)).toBe(2);
  const ranges = (table.storage.calls["getRange"] ?? 0) - (before["getRange"] ?? 0);
  await newIndex().bringTo(head, "main");
  const whole = (table.storage.calls["getRange"] ?? 0) - (before["getRange"] ?? 0) - ranges;
  expect(whole).toBe(2 * ranges);
});

test("each file of equality deletes is read once for a head, however many data files it applies to, and hides rows of older files only", async () => {
  const table = new KeyedTable();
  const count = 30;
  const listed: Listed[] = [];
  // As `delete_mode = "equality"` writes them: each commit changes the keys of the last one, and 40 of its own.
  for (let n = 0; n < count; n++) {
    const own = Array.from({ length: 40 }, (_, at) => BigInt(40 * (n + 1) + at));
    const sequenceNumber = BigInt(n + 1);
    const keys = [...own, ...own.map((key) => key - 40n)];
    listed.push({ file: await table.dataFile(keys, 20_000), sequenceNumber });
    listed.push({ file: await table.equalityDeletes(keys, 20_000), sequenceNumber });
  }
  const head = await table.head(listed);
  const reads = new Map<string, number>();
  const getRange: typeof head.storage.getRange = (location, ...range) => {
    reads.set(location, (reads.get(location) ?? 0) + 1);
    return table.storage.getRange(location, ...range);
  };
  const index = newIndex();
  await index.bringTo({ ...head, storage: { ...table.storage, getRange } }, "main");
  const scan = table.scan(listed);
  const keys = [...scan.keys()];
  expect(await places(index, keys)).toEqual([...scan.values()].flat().sort());
  expect(keys).toHaveLength(40 * (count + 1));
  const deletes = listed.filter(({ file }) => file.content === "equality-deletes");
  const most = Math.max(...deletes.map(({ file }) => reads.get(file.filePath) ?? 0));
  const leastOfData = Math.min(
    ...listed.flatMap(({ file }) =>
      file.content === "data" ? [reads.get(file.filePath) ?? 0] : [],
    ),
  );
  expect(most).toBeLessThanOrEqual(leastOfData);
});

test("room is asked for live rows only, as far as the deletes say how many are gone", async () => {
  const reserved: number[] = [];
  const store = volatileKeyStore(smallTable());
  const index = newIndex({ ...store, reserve: (rows) => void reserved.push(rows) });
  const table = new KeyedTable();
  const [one, two] = [
    await table.dataFile([1n, 2n, 3n, 4n], 20_000),
    await table.dataFile([5n], 20_000),
  ];
  const vector = await table.vector(one, [0, 1, 2]);
  const listed = [one, two, vector].map((file) => ({ file, sequenceNumber: 1n }));
  await index.bringTo(await table.head(listed), "main");
  expect(reserved).toEqual([2]);
});

test("an index of a million files is taken up again", async () => {
  const table = new KeyedTable();
  const head = await table.head([]);
  let identity = "";
  const first = newIndex({
    ...volatileKeyStore(smallTable()),
    commit: (label) => {
      identity = label.identity;
      return Promise.resolve();
    },
  });
  await first.bringTo(head, "main");
  const names = new Map(Array.from({ length: 1_000_000 }, (_, n) => [n + 1, `/${n}`] as const));
  const snapshotId = head.metadata.refs["main"]?.snapshotId ?? null;
  const restored = { label: { identity, snapshotId }, names, rows: new Map() };
  let forgotten = 0;
  const store = { ...volatileKeyStore(smallTable()), restored, forget: () => void forgotten++ };
  await newIndex(store).bringTo(head, "main");
  expect(forgotten).toBe(1_000_000);
}, 60_000);

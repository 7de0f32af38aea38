/** Indexes in their Worker: the same answers, with the owner's storage and errors. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync } from "node:fs";
import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemDisk } from "#base/disk.ts";
import { seededRandom } from "#base/random.ts";
import { createIndexThread } from "#keyindex/indexThread.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet, RowIndex } from "#keyindex/port.ts";
import type { Reply, Request } from "#keyindex/protocol.ts";
import { openKeySecret } from "#keyindex/secret.ts";
import { createLossyDisk } from "../../fakes/lossyDisk.ts";
import { KeyedTable } from "../../support/keyedTable.ts";
import { rejection } from "../../support/rejection.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "keyindex-"));
});
afterAll(() => rm(folder, { recursive: true }));

const SECRET = { k0: 3n, k1: 4n };
const HASHER = new KeyHasher([{ id: 1, name: "id", type: { kind: "long" } }], SECRET);

function keySet(...keys: bigint[]): KeySet {
  const words = BigInt64Array.from(keys);
  return HASHER.hashAll([{ values: { kind: "word", words }, nulls: null }], keys.length);
}

async function places(index: RowIndex, ...keys: bigint[]): Promise<string[]> {
  const located = await index.locate(keySet(...keys));
  return located.flatMap(({ file, rows }) => Array.from(rows, (row) => `${file.path}:${row}`));
}

test("an index in the Worker reads through the owner's storage, takes changes, and is restored by the next Worker", async () => {
  const warnings: string[] = [];
  const warn = (sentence: string): void => void warnings.push(sentence);
  const options = { folder: join(folder, "a"), secret: SECRET, keyColumns: ["id"] };
  const table = new KeyedTable();
  const file = await table.dataFile([1n, 2n], 20_000);
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  const thread = createIndexThread({ warn });
  const index = thread.open(options);
  await index.bringTo(head, "main");
  expect((await index.rowIds(table.storage, keySet(0n, 1n))).length).toBe(2);
  expect(await places(index, 2n)).toEqual([`${file.filePath}:1`]);

  const placed = await table.dataFile([2n], 20_000);
  const vector = await table.vector(file, [1]);
  const listed = [file, placed, vector].map((each, n) => ({
    file: each,
    sequenceNumber: n === 0 ? 1n : 2n,
  }));
  const next = await table.head(listed);
  const snapshotId = next.metadata.refs["main"]?.snapshotId ?? 0n;
  const change = {
    base: head.metadata.refs["main"]?.snapshotId ?? null,
    ...{ keys: keySet(2n), placed: [{ file: placed, keys: keySet(2n) }] },
    ...{ addedDeletes: [vector], removedDeletes: [] },
  };
  await index.apply(change, { snapshotId, sequenceNumber: 2n });
  // One that was let go of goes on from what is kept.
  await index.close();
  await index.bringTo(next, "main");
  expect(await places(index, 2n)).toEqual([`${placed.filePath}:0`]);
  await index.bringTo(next, "main");
  expect(await places(index, 1n, 2n)).toEqual([`${file.filePath}:0`, `${placed.filePath}:0`]);
  await index.close();
  await thread.close();

  const again = createIndexThread({ warn });
  const restored = again.open(options);
  const ranges = table.storage.calls["getRange"] ?? 0;
  await restored.bringTo(next, "main");
  expect(await places(restored, 1n, 2n)).toEqual([`${file.filePath}:0`, `${placed.filePath}:0`]);
  // Nothing of a data file or vector was read again.
  expect(table.storage.calls["getRange"] ?? 0).toBe(ranges);
  await again.close();
  expect(warnings).toEqual([]);
});

test("the owner knows what the tables of all indexes take, while they grow, and that a Worker that ended takes nothing", async () => {
  const thread = createIndexThread({ warn: () => undefined });
  const options = { secret: SECRET, keyColumns: ["id"] };
  const [small, large] = ["m", "n"].map((name) =>
    thread.open({ ...options, folder: join(folder, name) }),
  );
  if (small === undefined || large === undefined) throw new Error("two indexes");
  const table = new KeyedTable();
  const keys = Array.from({ length: 10_000 }, (_, key) => BigInt(key));
  const [few, many] = [await table.dataFile([1n], 20_000), await table.dataFile(keys, 20_000)];
  const first = await table.head([{ file: few, sequenceNumber: 1n }]);
  const all = await table.head([{ file: many, sequenceNumber: 2n }]);
  expect(thread.bytes).toBe(0);
  await small.bringTo(first, "main");
  const empty = thread.bytes;
  expect(empty).toBeGreaterThan(0);
  await large.bringTo(all, "main");
  // 24 bytes a key; an empty table has room for 3,000.
  expect(thread.bytes - 2 * empty).toBeGreaterThan(7000 * 24 - 65_536);
  await large.close();
  expect(thread.bytes).toBe(empty);
  await thread.close();
  expect(thread.bytes).toBe(0);
});

test("what a call that failed has taken is told too", async () => {
  const thread = createIndexThread({ warn: () => undefined });
  const options = { folder: join(folder, "f"), secret: SECRET, keyColumns: ["id"] };
  const index = thread.open(options);
  const table = new KeyedTable();
  const orc = { ...(await table.dataFile([1n], 20_000)), fileFormat: "ORC", recordCount: 100_000n };
  const head = await table.head([{ file: orc, sequenceNumber: 1n }]);
  expect(await rejection(index.bringTo(head, "main"))).toMatchObject({ kind: "table_unsupported" });
  // Room was made for all keys, at 24 bytes each, before the first was read.
  expect(thread.bytes).toBeGreaterThan(24 * 100_000);
  await thread.close();
});

test("what is told of a compaction is handed over without waiting, and counts as memory until it has no use", async () => {
  const thread = createIndexThread({ warn: () => undefined });
  const index = thread.open({ folder: join(folder, "r"), secret: SECRET, keyColumns: ["id"] });
  const table = new KeyedTable();
  const [before, after] = [
    await table.dataFile([1n, 2n], 20_000),
    await table.dataFile([2n, 1n], 20_000),
  ];
  await index.bringTo(await table.head([{ file: before, sequenceNumber: 1n }]), "main");
  const { bytes } = thread;
  const inputs = [
    {
      ...{ path: before.filePath, firstRowId: null, rows: 2 },
      ...{ places: Uint32Array.of(1, 0), hidden: new Uint32Array(25_000) },
    },
  ];
  let isOver = false;
  const told = index.rewritten([{ path: after.filePath, rows: 2, inputs }]);
  void told.then(() => {
    isOver = true;
  });
  // No answer of a Worker comes between these two.
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  expect(isOver).toBe(true);
  await index.locate(keySet(1n));
  expect(thread.bytes - bytes).toBeWithin(100_000, 110_000);
  const gone = await table.dataFile([3n], 20_000);
  await index.bringTo(await table.head([{ file: gone, sequenceNumber: 2n }]), "main");
  expect(thread.bytes).toBe(bytes);
  await thread.close();
});

test("what is restored is told when it is there, before anything is asked", async () => {
  const options = { folder: join(folder, "g"), secret: SECRET, keyColumns: ["id"] };
  const keys = Array.from({ length: 10_000 }, (_, key) => BigInt(key));
  const table = new KeyedTable();
  const head = await table.head([{ file: await table.dataFile(keys, 20_000), sequenceNumber: 1n }]);
  const thread = createIndexThread({ warn: () => undefined });
  const index = thread.open(options);
  await index.bringTo(head, "main");
  await index.close();
  await thread.close();

  const worker = new Worker(new URL("../../../src/keyindex/worker.ts", import.meta.url));
  const isTold = new Promise<void>((told) => {
    worker.onmessage = ({ data }: MessageEvent<Reply>): void => {
      if (data.type === "memory" && data.bytes > 24 * keys.length) told();
    };
  });
  const open: Request = { type: "open", index: 1, options };
  worker.postMessage(open);
  await isTold;
  worker.terminate();
});

test("an index that cannot be closed takes no memory any more, and its folder is free", async () => {
  const warnings: string[] = [];
  const thread = createIndexThread({ warn: (sentence) => void warnings.push(sentence) });
  const options = { folder: join(folder, "h"), secret: SECRET, keyColumns: ["id"] };
  const index = thread.open(options);
  const table = new KeyedTable();
  const file = await table.dataFile([1n], 20_000);
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  await index.bringTo(head, "main");
  closeSync(await descriptorIn(options.folder));
  expect(await rejection(index.close())).toMatchObject({ kind: "internal" });
  expect(thread.bytes).toBe(0);
  const again = thread.open(options);
  await again.bringTo(head, "main");
  expect(await places(again, 1n)).toEqual([`${file.filePath}:0`]);
  expect(warnings).toEqual([]);
  await thread.close();
});

/** The process's descriptor of a file in a folder. */
async function descriptorIn(of: string): Promise<number> {
  for (const name of await readdir("/proc/self/fd")) {
    const path = await readlink(`/proc/self/fd/${name}`).catch(() => "");
    if (path.startsWith(`${of}/`)) return Number(name);
  }
  throw new Error(`nothing in ${of} is open`);
}

test("what the store says comes back with its kind, and a Worker that ended is followed by another", async () => {
  const workers: Worker[] = [];
  const startWorker = (): Worker => {
    const worker = new Worker(new URL("../../../src/keyindex/worker.ts", import.meta.url));
    workers.push(worker);
    return worker;
  };
  const thread = createIndexThread({ warn: () => undefined, startWorker });
  const index = thread.open({ folder: join(folder, "b"), secret: SECRET, keyColumns: ["id"] });
  const table = new KeyedTable();
  const file = await table.dataFile([1n], 20_000);
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  await table.storage.remove([file.filePath]);
  expect(await rejection(index.bringTo(head, "main"))).toMatchObject({
    kind: "storage_unreachable",
  });
  const keyless = thread.open({ folder: join(folder, "c"), secret: SECRET, keyColumns: ["no"] });
  expect(await rejection(keyless.bringTo(head, "main"))).toMatchObject({ kind: "table_schema" });

  const other = await table.dataFile([5n], 20_000);
  const healthy = await table.head([{ file: other, sequenceNumber: 2n }]);
  await index.bringTo(healthy, "main");
  const pending = index.locate(keySet(5n));
  const refused = rejection(pending);
  workers[0]?.terminate();
  expect(await refused).toMatchObject({ kind: "key_index" });
  await index.bringTo(healthy, "main");
  // Between the two calls of one attempt: the new Worker has not been brought to the head.
  workers[1]?.terminate();
  await new Promise((ended) => workers[1]?.addEventListener("close", ended));
  expect(await rejection(index.locate(keySet(5n)))).toMatchObject({ kind: "key_index" });
  await index.bringTo(healthy, "main");
  expect(await places(index, 5n)).toEqual([`${other.filePath}:0`]);
  await thread.close();
});

test("a folder that cannot be used costs a warning, not the index", async () => {
  const warnings: string[] = [];
  const thread = createIndexThread({ warn: (sentence) => void warnings.push(sentence) });
  const index = thread.open({ folder: "/proc/none", secret: SECRET, keyColumns: ["id"] });
  const open = { folder: join(folder, "d"), secret: SECRET, keyColumns: ["id"] };
  const table = new KeyedTable();
  const file = await table.dataFile([1n], 20_000);
  await index.bringTo(await table.head([{ file, sequenceNumber: 1n }]), "main");
  expect(await places(index, 1n)).toEqual([`${file.filePath}:0`]);
  expect(warnings).toHaveLength(1);

  // Nor may two write into one.
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  const [first, second] = [thread.open(open), thread.open(open)];
  for (const each of [first, second]) {
    await each.bringTo(head, "main");
    expect(await places(each, 1n)).toEqual([`${file.filePath}:0`]);
  }
  expect(warnings[1]).toContain("is still open");
  await first.close();
  await thread.open(open).bringTo(head, "main");
  expect(warnings).toHaveLength(2);
  await thread.close();
});

test("the secret is made once, is the same after a loss of power at any step, and is nobody else's", async () => {
  const kept = await openKeySecret(systemDisk, join(folder, "s"), seededRandom(1));
  expect(await openKeySecret(systemDisk, join(folder, "s"), seededRandom(2))).toEqual(kept);
  for (let step = 0; step < 25; step++) {
    const disk = createLossyDisk({ random: seededRandom(step) });
    disk.crashAt(step);
    const open = async (seed: number): Promise<string> => {
      const { k0, k1 } = await openKeySecret(disk.mount(), "/s", seededRandom(seed));
      return `${k0} ${k1}`;
    };
    const first = await open(1).catch(() => null);
    disk.crashAt(null);
    disk.crash();
    const second = await open(2);
    if (first !== null) expect(second).toBe(first);
    disk.crash();
    expect(await open(3)).toBe(second);
  }
});

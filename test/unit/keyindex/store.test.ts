/** What is kept of a key table, after pieces of it are lost: a state that some label names, or nothing. */
import { expect, test } from "bun:test";
import { type Random, seededRandom } from "#base/random.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import { RANGES, type RangedKeyTable } from "#keyindex/keyTable.ts";
import type { KeySet } from "#keyindex/port.ts";
import { type KeyStore, openKeyStore } from "#keyindex/store.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { createLossyDisk, type LossyDisk } from "../../fakes/lossyDisk.ts";

const FOLDER = "/state/keys";
const ONE_LOG = { pending: 4000, log: 100_000, cycle: 1_000_000 };
const SIZES = { pending: 4000, log: 2500, cycle: 3000 };

function keysOf(random: Random, count: number): KeySet {
  const words = BigUint64Array.from({ length: 2 * count }, () =>
    BigInt(Math.floor(random.unit() * 4)),
  );
  for (let key = 0; key < count; key++)
    words[2 * key] = BigInt(Math.floor(random.unit() * 40)) << 58n;
  return { count, words };
}

/** All rows of a table, as text. */
function contentOf(table: RangedKeyTable): string {
  const all = Array.from({ length: RANGES }, (_, range) => {
    const { keys, files, rows } = table.range(range);
    return Array.from(files, (file, n) => {
      return `${keys.words[2 * n]} ${keys.words[2 * n + 1]} ${file}:${rows[n]}`;
    });
  });
  return all.flat().sort().join("\n");
}

/** A store after some commits, and what the table was after each. */
async function written(
  seed: number,
  sizes = SIZES,
): Promise<{ disk: LossyDisk; states: Map<bigint, string> }> {
  const random = seededRandom(seed);
  const disk = createLossyDisk({ random });
  await disk.mount().mkdir("/state");
  const table = createWasmKeyTable();
  const warn = (error: unknown): void => expect(error).toBeNull();
  const store = await openKeyStore({
    disk: disk.mount(),
    folder: FOLDER,
    table,
    warn,
    sizes,
  });
  const states = new Map<bigint, string>();
  let row = 0;
  for (let commit = 1n; commit <= 12n; commit++) {
    for (let n = 0; n < 4; n++) change(store, random, row++);
    await store.commit({ identity: "t", snapshotId: commit });
    states.set(commit, contentOf(table));
  }
  await store.close();
  return { disk, states };
}

function change(store: KeyStore, random: Random, first: number): void {
  const file = 1 + Math.floor(random.unit() * 3);
  const keys = keysOf(random, 1 + Math.floor(random.unit() * 6));
  const what = random.unit();
  store.name(file, `file ${file}`);
  if (what < 0.6) {
    store.add(
      keys,
      file,
      Uint32Array.from({ length: keys.count }, (_, n) => first * 10 + n),
    );
  } else if (what < 0.85) {
    store.remove(keys);
  } else {
    const rows = new RowSet(2000);
    for (let n = 0; n < 300; n++) rows.add(Math.floor(random.unit() * 1000));
    store.drop(new Map([[file, rows]]));
  }
}

/** The label that is restored, whose state it must be; null: nothing counts. */
async function reopened(disk: LossyDisk, states: Map<bigint, string>): Promise<bigint | null> {
  const table = createWasmKeyTable();
  const warn = (error: unknown): void => expect(error).toBeNull();
  const { restored } = await openKeyStore({ disk: disk.mount(), folder: FOLDER, table, warn });
  if (restored === null) {
    expect(table.size).toBe(0);
    return null;
  }
  const { snapshotId } = restored.label;
  expect(contentOf(table)).toBe(states.get(snapshotId ?? 0n) ?? "");
  return snapshotId;
}

async function filesIn(disk: LossyDisk): Promise<string[]> {
  const names: string[] = [];
  for await (const name of disk.mount().list(FOLDER)) names.push(name);
  return names.sort();
}

async function lastLog(disk: LossyDisk): Promise<string> {
  const logs = (await filesIn(disk)).filter((name) => name.startsWith("log-"));
  logs.sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
  return `${FOLDER}/${logs.at(-1)}`;
}

test("a store that was closed is restored as of its last commit, and again after that", async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const { disk, states } = await written(seed);
    const names = await filesIn(disk);
    expect(names.some((name) => name.startsWith("range-"))).toBe(true);
    expect(names).not.toContain("log-1");
    expect(await reopened(disk, states)).toBe(12n);
    expect(await reopened(disk, states)).toBe(12n);
  }
});

test("a log that ends anywhere is cut at its last whole commit, and nothing of the tail is left for the next start", async () => {
  const { disk: first } = await written(6, ONE_LOG);
  const file = await first.mount().open(await lastLog(first), "read");
  const size = await file.size();
  const seen = new Set<bigint | null>();
  for (let cut = 0; cut < size; cut += 311) {
    const { disk, states } = await written(6, ONE_LOG);
    const log = await disk.mount().open(await lastLog(disk), "write");
    await log.truncate(size - cut);
    const label = await reopened(disk, states);
    expect(await reopened(disk, states)).toBe(label);
    seen.add(label);
  }
  expect(seen.size).toBeGreaterThan(2);
}, 180_000);

test("a bit that flipped in any file gives an older state or nothing, never a wrong one", async () => {
  const random = seededRandom(9);
  for (let round = 0; round < 12; round++) {
    const { disk, states } = await written(7);
    const names = await filesIn(disk);
    const name = names[Math.floor(random.unit() * names.length)] ?? "";
    const size = await (await disk.mount().open(`${FOLDER}/${name}`, "read")).size();
    disk.flipBit(`${FOLDER}/${name}`, Math.floor(random.unit() * 8 * size));
    await reopened(disk, states);
  }
});

test("without one of its files a store counts as nothing, or is the state that a label names", async () => {
  const names = await filesIn((await written(8)).disk);
  for (const name of names.filter((_, n) => n % 40 === 0)) {
    const { disk, states } = await written(8);
    await disk.mount().unlink(`${FOLDER}/${name}`);
    await reopened(disk, states);
  }
});

test("a full disk ends the writing with one warning; once there is room all is written, and restored", async () => {
  const random = seededRandom(11);
  let isFull = false;
  const fault = ({ operation }: { operation: string }): string | null =>
    isFull && operation === "write" ? "ENOSPC" : null;
  const disk = createLossyDisk({ random, fault });
  await disk.mount().mkdir("/state");
  const table = createWasmKeyTable();
  const warnings: unknown[] = [];
  const warn = (error: unknown): void => void warnings.push(error);
  const store = await openKeyStore({
    disk: disk.mount(),
    folder: FOLDER,
    table,
    warn,
    sizes: SIZES,
  });
  const states = new Map<bigint, string>();
  for (let commit = 1n; commit <= 60n; commit++) {
    isFull = commit > 5n && commit < 20n;
    change(store, random, Number(commit));
    await store.commit({ identity: "t", snapshotId: commit });
    states.set(commit, contentOf(table));
    if (commit === 12n) {
      isFull = false;
      expect(await reopened(disk, states)).toBe(5n);
      isFull = true;
    }
  }
  expect(warnings).toHaveLength(1);
  await store.close();
  expect(await reopened(disk, states)).toBe(60n);
});

test("whoever collects garbage is told of it while a commit is written, and while what it wrote is read", async () => {
  const disk = createLossyDisk({ random: seededRandom(8) });
  await disk.mount().mkdir("/state");
  const left: number[] = [];
  const parts = (): Parameters<typeof openKeyStore>[0] => ({
    ...{ disk: disk.mount(), folder: FOLDER, table: createWasmKeyTable() },
    warn: (error) => expect(error).toBeNull(),
    leave: (bytes) => void left.push(bytes),
  });
  const sum = (): number => left.splice(0).reduce((all, bytes) => all + bytes, 0);
  const random = seededRandom(9);
  const store = await openKeyStore({ ...parts(), sizes: { ...ONE_LOG, cycle: 1000 } });
  const words = BigUint64Array.from({ length: 200 }, () => random.id63());
  const rows = Uint32Array.from({ length: 100 }, (_, row) => row);
  store.add({ count: 100, words }, 1, rows);
  expect(sum()).toBe(0);
  await store.commit({ identity: "t", snapshotId: 1n });
  // All was logged, and then dumped: 24 bytes an entry, a dump beside its entries, one call for each range.
  expect(left.length).toBeGreaterThan(RANGES);
  expect(sum()).toBeGreaterThan(3 * 24 * 100);
  await store.close();
  await openKeyStore(parts());
  expect(sum()).toBeGreaterThanOrEqual(24 * 100);
});

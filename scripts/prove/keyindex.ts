/**
 * `bun scripts/prove/keyindex.ts WHAT`: the key index at sizes and counts that tests have no time for.
 *
 * ```text
 * operations [MILLIONS]   random operations against a map: small tables that grow by any factor, and a large one
 * kills [COUNT]           kill -9 of a process that writes a store; what is restored is what its label says
 * hostile [THOUSANDS]     sets of keys that are alike, or were sought out: each is found, none crowds the table
 * rebuild [MILLIONS]      a table of so many keys: read, restarted from the store, flushes of 500,000 changes
 * ```
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom, systemRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { type CatalogOptions, openCatalog } from "#catalog/open.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import { createIndexThread } from "#keyindex/indexThread.ts";
import { type KeyColumn, KeyHasher } from "#keyindex/keyHasher.ts";
import { RANGES, type RangedKeyTable } from "#keyindex/keyTable.ts";
import type { KeySet, RowIndex } from "#keyindex/port.ts";
import { type KeyStore, openKeyStore } from "#keyindex/store.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { createLocalStorage } from "#storage/local.ts";
import { crowding, hashed, hostileKeys, troubles } from "../../test/support/hostileKeys.ts";
import { KeyTableWalk, type Spread } from "../../test/support/keyTableWalk.ts";
import { fileOf } from "../../test/support/tableOf.ts";
import { FEED, openWriters } from "./writers.ts";

const SECRET = { k0: 0x0123_4567_89ab_cdefn, k1: 0xfedc_ba98_7654_3210n };
/** Rows of a file of the table that is rebuilt. */
const ROWS_PER_FILE = 1_000_000;

const [what = "", amount = "", folder = ""] = Bun.argv.slice(2);
switch (what) {
  case "operations":
    proveOperations(Number(amount || 10));
    break;
  case "hostile":
    proveHostile(Number(amount || 2000));
    break;
  case "kills":
    await proveKills(Number(amount || 200));
    break;
  case "kills-child":
    await writeForever(amount);
    break;
  case "rebuild":
    await proveRebuild(Number(amount || 10));
    break;
  case "rebuild-child":
    await measureIndex(Number(amount), folder);
    break;
  default:
    console.error("operations, hostile, kills or rebuild");
    process.exitCode = 2;
}

/** Under two secrets; the time of a set is that of the others, about. */
function proveHostile(thousands: number): void {
  for (const set of hostileKeys(1000 * thousands)) {
    const began = performance.now();
    const wrong = [SECRET, { k0: SECRET.k1, k1: SECRET.k0 }].flatMap((each) => troubles(set, each));
    const perKey = ((performance.now() - began) * 1e6) / (2 * set.count);
    const fullest = crowding(hashed(set, SECRET), 16).toFixed(3);
    const what = `${set.what}: ${set.count} keys, ${perKey.toFixed(0)} ns each, fullest part ${fullest}`;
    console.log(wrong.length === 0 ? what : wrong.join("\n"));
    if (wrong.length > 0) process.exitCode = 1;
  }
}

/** Half of them in small tables of all spreads, half in one of two million keys. */
function proveOperations(millions: number): void {
  const spreads: readonly Spread[] = ["even", "clustered", "one home"];
  let operations = 0;
  let tables = 0;
  for (let seed = 1; operations < millions * 500_000; seed++, tables++) {
    const walk = new KeyTableWalk(seed, spreads[seed % 3] ?? "even");
    for (let step = 1; step <= 400; step++) {
      walk.step();
      if (step % 100 === 0) walk.compare();
    }
    operations += walk.operations;
  }
  console.log(`${operations} operations in ${tables} small tables: as a map`);
  console.log(
    `${walkLarge(millions * 500_000)} operations in a table of two million keys: as a map`,
  );
}

/** Upserts, deletes and look-ups in batches; the model is an array. */
function walkLarge(least: number): number {
  const keysMax = 2_000_000;
  const random = seededRandom(4);
  const rows = new Int32Array(keysMax).fill(-1);
  const table = createWasmKeyTable({ slotsFirst: 100, growth: 1.05 });
  const batch = 5000;
  let operations = 0;
  for (let row = 0; operations < least; operations += batch) {
    const numbers = new Set<number>();
    while (numbers.size < batch) numbers.add(Math.floor(random.unit() * keysMax));
    const list = [...numbers];
    const keys = keysOf(list);
    const known = list.map((number) => rows[number] ?? -1).filter((each) => each >= 0);
    const found = random.unit() < 0.2 ? table.locate(keys) : table.remove(keys);
    const isRemoved = table.locate(keys).rows.length === 0;
    same([...found.rows].sort(byNumber), known.sort(byNumber));
    if (!isRemoved) continue;
    const isPut = random.unit() < 0.8;
    for (const number of list) rows[number] = isPut ? row++ : -1;
    if (isPut)
      table.add(
        keys,
        1,
        Uint32Array.from(list, (number) => rows[number] ?? 0),
      );
  }
  same([table.size], [rows.filter((row) => row >= 0).length]);
  if (!table.isSound()) throw new Error("an entry stands where it must not");
  return operations;
}

function keysOf(numbers: readonly number[]): KeySet {
  const words = BigInt64Array.from(numbers, BigInt);
  return hasherOf("id").hashAll([{ values: { kind: "word", words }, nulls: null }], numbers.length);
}

function hasherOf(column: "id" | "name"): KeyHasher {
  const type = { kind: column === "id" ? "long" : "string" } as const;
  return new KeyHasher([{ id: column === "id" ? 1 : 2, name: column, type }], SECRET);
}

function same(found: readonly number[], expected: readonly number[]): void {
  const isSame = found.length === expected.length && found.every((row, n) => row === expected[n]);
  if (!isSame) throw new Error(`found ${found.length} rows that are not the ${expected.length}`);
}

function byNumber(a: number, b: number): number {
  return a - b;
}

/** What commit `n` of the child does, whatever was before. */
function change(store: Pick<KeyStore, "add" | "remove" | "drop" | "name">, commit: number): void {
  const random = seededRandom(commit);
  const numbers = Array.from({ length: 4000 }, () => Math.floor(random.unit() * 100_000));
  const keys = keysOf([...new Set(numbers)]);
  const file = 1 + (commit % 50);
  store.drop(new Map([[file, null]]));
  store.name(file, `file ${file}`);
  store.remove(keys);
  const kept = { count: Math.floor(keys.count * 0.8), words: keys.words };
  store.add(
    kept,
    file,
    Uint32Array.from({ length: kept.count }, (_, row) => row),
  );
}

async function writeForever(path: string): Promise<void> {
  const table = createWasmKeyTable();
  const store = await openKeyStore({ disk: systemDisk, folder: path, table, warn: console.error });
  for (let commit = Number(store.restored?.label.snapshotId ?? 0n) + 1; ; commit++) {
    change(store, commit);
    await store.commit({ identity: "t", snapshotId: BigInt(commit) });
  }
}

async function proveKills(count: number): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "keyindex-kills-"));
  const model = createWasmKeyTable();
  const into = { ...tableOnly(model), name: () => undefined };
  let applied = 0;
  let slowest = 0;
  for (let kill = 0; kill < count; kill++) {
    const child = Bun.spawn([process.execPath, import.meta.path, "kills-child", path], {
      stdout: "inherit",
      stderr: "inherit",
    });
    await Bun.sleep(150 + systemRandom.unit() * 500);
    child.kill("SIGKILL");
    await child.exited;
    const began = performance.now();
    const table = createWasmKeyTable();
    const store = await openKeyStore({
      disk: systemDisk,
      folder: path,
      table,
      warn: console.error,
    });
    slowest = Math.max(slowest, performance.now() - began);
    const label = Number(store.restored?.label.snapshotId ?? 0n);
    if (label < applied) throw new Error(`commit ${applied} was there, now ${label} is`);
    for (; applied < label; applied++) change(into, applied + 1);
    if (checksum(table) !== checksum(model)) throw new Error(`not what commit ${label} left`);
    await store.close();
  }
  console.log(
    `${count} kills: each time exactly what the label says, at last ${applied} commits, ${model.size} rows; opened within ${slowest.toFixed(0)} ms`,
  );
  await rm(path, { recursive: true });
}

function tableOnly(table: RangedKeyTable): Pick<KeyStore, "add" | "remove" | "drop"> {
  return {
    add: (keys, file, rows) => table.add(keys, file, rows),
    remove: (keys) => table.remove(keys),
    drop: (files) => table.drop(files),
  };
}

/** Of all rows with their keys, whatever their order. */
function checksum(table: RangedKeyTable): string {
  let sum = BigInt(table.size);
  for (let range = 0; range < RANGES; range++) {
    const { keys, files, rows } = table.range(range);
    for (let n = 0; n < files.length; n++) {
      const [hi = 0n, lo = 0n] = keys.words.subarray(2 * n, 2 * n + 2);
      const place = (BigInt(files[n] ?? 0) << 32n) | BigInt(rows[n] ?? 0);
      sum = BigInt.asUintN(64, sum + Bun.hash.wyhash(`${hi} ${lo} ${place}`));
    }
  }
  return String(sum);
}

/** A table in a folder, and then processes that index it. */
async function proveRebuild(millions: number): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "keyindex-rebuild-"));
  for (const column of ["id", "name"]) {
    for (const round of ["rebuilt", "restarted"]) {
      const env = { ...process.env, KEY_COLUMN: column, ROUND: round };
      const args = [process.execPath, import.meta.path, "rebuild-child", `${millions}`, path];
      const child = Bun.spawn(args, { stdout: "inherit", stderr: "inherit", env });
      if ((await child.exited) !== 0) throw new Error("the child failed");
    }
  }
  await rm(path, { recursive: true });
}

/** Makes the table when it is missing, then brings an index to its head. */
async function measureIndex(millions: number, path: string): Promise<void> {
  const catalogOptions = {
    ...({ type: "sql", uri: `sqlite:${path}/catalog.db`, name: "proof" } as const),
    ...{ warehouse: join(path, "warehouse"), readOnly: false },
  };
  if (!(await Bun.file(`${path}/catalog.db`).exists()))
    await makeTable(millions, path, catalogOptions);
  const parts = { disk: systemDisk, random: systemRandom, clock: systemClock, log: silentLogger };
  const storage = createLocalStorage(parts);
  const catalog = openCatalog(catalogOptions, { ...parts, storage, observe: () => undefined });
  await catalog.open();
  const table = await catalog.load({ namespace: ["default"], table: "numbers" });
  if (table === null) throw new Error("the table was made");
  const column = process.env["KEY_COLUMN"] === "name" ? "name" : "id";
  const round = process.env["ROUND"] ?? "";
  const thread = createIndexThread({ warn: console.error });
  const options = { folder: join(path, `index-${column}`), secret: SECRET, keyColumns: [column] };
  const index = thread.open(options);
  const lag = watchLag();
  const before = process.cpuUsage();
  const began = performance.now();
  await index.bringTo(table, "main");
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  const cpu = ((user + system) / 1e6).toFixed(1);
  console.log(
    `${column}: ${millions} million keys ${round} in ${seconds.toFixed(1)} s, ${cpu} s of CPU, ${residentMb()} MB resident; the main loop stood for at most ${lag()} ms`,
  );
  if (round === "restarted") await flushes(index, table, millions, column);
  await index.close();
  await thread.close();
  await catalog.close();
}

/** Flushes of half a million changes of existing keys, uniformly drawn. */
async function flushes(
  index: RowIndex,
  table: LoadedTable,
  millions: number,
  column: "id" | "name",
): Promise<void> {
  const random = seededRandom(5);
  let base = table.metadata.refs["main"]?.snapshotId ?? null;
  for (let flush = 1n; flush <= 4n; flush++) {
    const numbers = new Set<number>();
    while (numbers.size < 500_000) numbers.add(Math.floor(random.unit() * millions * 1e6));
    const keys = hasherOf(column).hashAll(keyColumns([...numbers], column), numbers.size);
    const began = performance.now();
    const located = await index.locate(keys);
    const found = performance.now();
    const rows = located.reduce((sum, each) => sum + each.rows.length, 0);
    if (rows !== keys.count) throw new Error(`${rows} rows of ${keys.count} keys`);
    const file = { ...fileOf(`flush-${flush}`, []), recordCount: 500_000n };
    const change = { keys, placed: [{ file, keys }], addedDeletes: [], removedDeletes: [] };
    await index.apply({ base, ...change }, { snapshotId: flush, sequenceNumber: 1000n + flush });
    const done = performance.now();
    base = flush;
    console.log(
      `${column}: flush of 500,000 changes: located in ${(found - began).toFixed(0)} ms, applied and kept in ${(done - found).toFixed(0)} ms; ${residentMb()} MB resident`,
    );
  }
}

function keyColumns(numbers: readonly number[], column: "id" | "name"): KeyColumn[] {
  if (column === "id") {
    return [{ values: { kind: "word", words: BigInt64Array.from(numbers, BigInt) }, nulls: null }];
  }
  const { offsets, data } = textsOf(numbers);
  return [{ values: { kind: "bytes", offsets, data }, nulls: null }];
}

async function makeTable(millions: number, path: string, catalog: CatalogOptions): Promise<void> {
  const fields: readonly Field[] = [
    { id: 0, name: "id", required: true, type: { kind: "long" } },
    { id: 0, name: "name", required: true, type: { kind: "string" } },
  ];
  const { writers, close } = await openWriters({ folder: path, catalog, count: 1, fields });
  const [writer] = writers;
  if (writer === undefined) throw new Error("no writer");
  await writer.claim([{ feed: FEED, offset: 0n }]);
  for (let start = 0; start < millions * 1e6; start += ROWS_PER_FILE) {
    const range = { feed: FEED, start: BigInt(start), end: BigInt(start + ROWS_PER_FILE) };
    const batch = batchFrom(start, fields);
    const result = await writer.flush(writer.newFlush([{ range, batch }]));
    if (result.kind !== "committed") throw new Error(result.kind);
  }
  await close();
}

function batchFrom(start: number, fields: readonly Field[]): ColumnBatch {
  const numbers = Array.from({ length: ROWS_PER_FILE }, (_, n) => start + n);
  const { offsets, data } = textsOf(numbers);
  const ids = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
  const columns = fields.map((field) => ({
    ...{ field, length: ROWS_PER_FILE, nullCount: 0, validity: null, children: [] },
    offsets: field.name === "id" ? null : offsets,
    data: field.name === "id" ? ids : data,
  }));
  return { fields, rowCount: ROWS_PER_FILE, columns, byteCount: ids.length + data.length };
}

function textsOf(numbers: readonly number[]): { offsets: Int32Array; data: Uint8Array } {
  const texts = numbers.map((number) => `customer-${number}-order-${7 * number}`);
  const offsets = new Int32Array(numbers.length + 1);
  for (const [n, text] of texts.entries()) offsets[n + 1] = (offsets[n] ?? 0) + text.length;
  return { offsets, data: new Uint8Array(Buffer.from(texts.join(""))) };
}

function residentMb(): number {
  return Math.round(process.memoryUsage.rss() / 1e6);
}

/** The longest that the event loop stood still, ms. */
function watchLag(): () => number {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 5);
    last = now;
  }, 5);
  timer.unref();
  return () => Math.round(longest);
}

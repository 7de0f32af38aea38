/**
 * Compaction of many small files, in one process of the program: time, CPU, memory, size, and the same rows before
 * and after. `bun scripts/prove/compact.ts [--files 2000] [--rows 5000]`: the executable in dist/ when it is there.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import type { Field } from "#columns/schema.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { openStorage } from "#storage/open.ts";
import { dataFile } from "#writer/dataFile.ts";
import { storeOptions } from "../../test/fakes/storeOptions.ts";
import { batchOf, bytesOf, encodeWhole } from "../../test/unit/parquet/rows.ts";
import { temporaryFolder } from "../services/process.ts";

const { values } = parseArgs({
  options: { files: { type: "string" }, rows: { type: "string" } },
});
const FILES = Number(values.files ?? 2000);
const ROWS = Number(values.rows ?? 5000);
/** Files that differ; the others are copies of them, in number enough for the figures. */
const DISTINCT = 20;
const CODEC = { codec: "zstd", level: null, rowGroupRows: 100_000, metadata: {} } as const;

const FIELDS: readonly Field[] = [
  { id: 1, name: "id", required: false, type: { kind: "long" } },
  { id: 2, name: "at", required: false, type: { kind: "timestamp", zone: true } },
  { id: 3, name: "user", required: false, type: { kind: "uuid" } },
  { id: 4, name: "kind", required: false, type: { kind: "string" } },
  { id: 5, name: "path", required: false, type: { kind: "string" } },
  { id: 6, name: "price", required: false, type: { kind: "decimal", precision: 12, scale: 2 } },
  { id: 7, name: "score", required: false, type: { kind: "double" } },
];

const root = await temporaryFolder("prove-compact");
const parts = { clock: systemClock, random: systemRandom, disk: systemDisk, log: silentLogger };
const storage = openStorage(storeOptions, { ...parts, observe: ignoreObservations });
const catalog = createFileCatalog({ warehouse: root, readOnly: false }, { storage, ...parts });
const name = { namespace: ["db"], table: "t" };

try {
  await makeTable();
  const before = await query();
  const run = await compact();
  const after = await query();
  if (before !== after) throw new Error(`rows differ: ${before} before, ${after} after`);
  console.log(JSON.stringify({ files: FILES, rows: FILES * ROWS, ...run }));
} finally {
  rmSync(root, { recursive: true, force: true });
}

async function makeTable(): Promise<void> {
  const created = await catalog.create({
    name,
    metadataAt: (location) =>
      newTableMetadata({
        ...{ uuid: systemRandom.uuid(), location, formatVersion: 2, properties: {} },
        ...{ fields: FIELDS, spec: () => ({ specId: 0, fields: [] }), timestampMs: Date.now() },
      }),
  });
  if (created.kind !== "committed") throw new Error(created.kind);
  const { metadata } = created.table;
  mkdirSync(join(metadata.location, "data"), { recursive: true });
  const files: DataFile[] = [];
  for (let n = 0; n < DISTINCT; n++) {
    const encoded = await encodeWhole(FIELDS, [batchOf(FIELDS, rowsOf(n))], CODEC);
    for (let copy = n; copy < FILES; copy += DISTINCT) {
      const path = join(metadata.location, "data", `${copy}.parquet`);
      await Bun.write(path, bytesOf(encoded));
      files.push({ ...dataFile(path, encoded, 0, [], new Map()) });
    }
  }
  const staged = await stageAppend({
    ...{ storage, metadata, files, branch: "main", summary: {}, nameSuffix: "x" },
    ...{ snapshotId: systemRandom.id63(), timestampMs: Date.now() },
  });
  const committed = await catalog.commit(name, [], staged.updates);
  if (committed.kind !== "committed") throw new Error(committed.kind);
}

function rowsOf(file: number): unknown[][] {
  return Array.from({ length: ROWS }, (_, row) => {
    const n = file * ROWS + row;
    const user = crypto.getRandomValues(new Uint8Array(16));
    const path = `/shop/${n % 97}/item/${systemRandom.uuid().slice(0, 13)}?page=${n % 31}`;
    const at = 1_767_225_600_000_000n + BigInt(n * 1000);
    return [BigInt(n), at, user, `kind-${n % 12}`, path, BigInt(n % 99_999), Math.random()];
  });
}

function command(words: readonly string[]): string[] {
  const executable = resolve("dist/kafka-iceberg");
  const program = existsSync(executable)
    ? [executable]
    : [process.execPath, resolve("src/main.ts")];
  return [...program, ...words, "--config", join(root, "config.toml")];
}

async function query(): Promise<string> {
  await Bun.write(
    join(root, "config.toml"),
    `[kafka]\ntopic = "t"\n[state]\ndir = "${root}/state"\n[iceberg]\ndatabase_name = "db"\nwarehouse_path = "${root}"\n[iceberg.write]\ncompression = "zstd"\n`,
  );
  const sql =
    'select count(*) n, sum(id) i, max("at") a, min("user") u, sum(length(kind)) k, count(distinct path) p, ' +
    "sum(price) s, max(score) x, sum(id * price) ip from db.t";
  const child = Bun.spawn(command(["query", sql, "--format", "json"]), { stderr: "inherit" });
  const answer = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error("the query failed");
  return answer;
}

async function compact(): Promise<Record<string, unknown>> {
  const began = performance.now();
  const child = Bun.spawn(command(["maintenance", "compact", "db.t", "--json"]), {
    stderr: "inherit",
  });
  let [own, engine] = [0, 0];
  const look = setInterval(() => {
    own = Math.max(own, residentMb(child.pid));
    for (const pid of childrenOf(child.pid)) engine = Math.max(engine, residentMb(pid));
  }, 100);
  const report = JSON.parse(await new Response(child.stdout).text());
  clearInterval(look);
  await child.exited;
  const seconds = (performance.now() - began) / 1000;
  return { seconds: Number(seconds.toFixed(1)), own_mb: own, engine_mb: engine, ...report };
}

function residentMb(pid: number): number {
  try {
    const [, kb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Math.round(Number(kb ?? 0) / 1024);
  } catch {
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text.trim().split(/\s+/).filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

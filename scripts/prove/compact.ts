/**
 * Compaction of many small files, in one process of the program: time, CPU, memory, size, and the same rows before
 * and after. `bun scripts/prove/compact.ts [--files 2000] [--rows 5000] [--target 512] [--jobs 4]`: the executable in
 * dist/ when it is there. Against one raw file of pyarrow's, and with `--ingest 50000` beside a load test of that rate; with
 * `--spark` against Spark's `rewrite_data_files` of the same files.
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
import { listDataFiles } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { linesOf } from "#loadtest/child.ts";
import { readFooter } from "#parquet/footer.ts";
import { localPath } from "#storage/location.ts";
import { openStorage } from "#storage/open.ts";
import { dataFile } from "#writer/dataFile.ts";
import { storeOptions } from "../../test/fakes/storeOptions.ts";
import { hadoopCatalog, startSparkSql } from "../../test/support/sparkSql.ts";
import { batchOf, bytesOf, encodeWhole } from "../../test/unit/parquet/rows.ts";
import { readersPython } from "../services/cache.ts";
import { startKafka } from "../services/kafka.ts";
import { temporaryFolder } from "../services/process.ts";

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "2000" },
    rows: { type: "string", default: "5000" },
    target: { type: "string", default: "512" },
    jobs: { type: "string", default: "4" },
    ingest: { type: "string", default: "0" },
    spark: { type: "boolean", default: false },
  },
});
const INGEST = Number(values.ingest);
/** Of progress of a load test, one every few seconds. */
const FLOWING_LINES = 3;
const [FILES, ROWS] = [Number(values.files), Number(values.rows)];
/**
 * Files that differ; the others are copies of them. A million rows are more than any writer's dictionary takes: with
 * fewer Spark would write columns that never repeat as indexes, which no table would have.
 */
const DISTINCT = Math.ceil(1_000_000 / ROWS);
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
const python = await readersPython();

try {
  const location = await makeTable("t");
  const files = dataFilesOf(location);
  const before = await query();
  const alone = INGEST === 0 ? null : await ingest().figures;
  const load = INGEST === 0 ? null : ingest();
  await load?.flows;
  const [run, beside] = await Promise.all([compact(), load?.figures ?? null]);
  const after = await query();
  if (before !== after) throw new Error(`rows differ: ${before} before, ${after} after`);
  const ours = compactedOf(location);
  console.log(JSON.stringify({ files: FILES, rows: FILES * ROWS, ...run, ...shapeOf(ours) }));
  if (alone !== null) console.log(JSON.stringify({ ingest_alone: alone, ingest_beside: beside }));
  const raw = await ask("raw", { files, out: join(root, "raw.parquet") });
  const overhead = Number(run["bytesAfter"]) / Number(raw["bytes"]) - 1;
  const scan = await ask("scan", { files: ours });
  console.log(JSON.stringify({ raw_bytes: raw["bytes"], overhead, scan_seconds: scan["seconds"] }));
  if (values.spark) console.log(JSON.stringify(await bySpark(Number(run["rows_per_cpu_second"]))));
} finally {
  rmSync(root, { recursive: true, force: true });
}

/** Makes a table of small files; its folder. */
async function makeTable(table: string): Promise<string> {
  const name = { namespace: ["db"], table };
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
  return metadata.location;
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

function command(
  words: readonly string[],
  config: string | null = join(root, "config.toml"),
): string[] {
  const executable = resolve("dist/kafka-iceberg");
  const program = existsSync(executable)
    ? [executable]
    : [process.execPath, resolve("src/main.ts")];
  return [...program, ...words, ...(config === null ? [] : ["--config", config])];
}

async function query(): Promise<string> {
  await Bun.write(
    join(root, "config.toml"),
    `[kafka]\ntopic = "t"\n[state]\ndir = "${root}/state"\n[iceberg]\ndatabase_name = "db"\nwarehouse_path = "${root}"\n[iceberg.write]\ncompression = "zstd"\n[maintenance]\ncompact_target_mb = ${values.target}\ncompact_threshold_mb = ${Math.floor(Number(values.target) * 0.8)}\ncompact_parallel_jobs = ${values.jobs}\n`,
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
  let [own, engines, all, atOnce] = [0, 0, 0, 0];
  const look = setInterval(() => {
    const [process, ...others] = [child.pid, ...childrenOf(child.pid)].map(residentMb);
    const sum = others.reduce((total, each) => total + each, 0);
    own = Math.max(own, process ?? 0);
    engines = Math.max(engines, sum);
    all = Math.max(all, (process ?? 0) + sum);
    atOnce = Math.max(atOnce, others.length);
  }, 50);
  const report = JSON.parse(await new Response(child.stdout).text());
  clearInterval(look);
  await child.exited;
  const seconds = (performance.now() - began) / 1000;
  // Children that it has waited for are counted in.
  const cpu = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  return {
    ...{ seconds: Number(seconds.toFixed(1)), cpu_seconds: Number(cpu.toFixed(1)) },
    ...{ rows_per_cpu_second: Math.round((FILES * ROWS) / cpu) },
    ...{ own_mb: own, engines_mb: engines, all_mb: all, engines_at_once: atOnce, ...report },
  };
}

function dataFilesOf(location: string): string[] {
  const glob = new Bun.Glob("data/*.parquet");
  return [...glob.scanSync({ cwd: location, absolute: true })];
}

function compactedOf(location: string): string[] {
  return dataFilesOf(location).filter((path) => path.includes("/compacted-"));
}

/** Sizes of files and row groups, in MB. */
function shapeOf(files: readonly string[]): Record<string, unknown> {
  const sizes = files.map((path) => {
    const bytes = new Uint8Array(readFileSync(path));
    const length = new DataView(bytes.buffer).getUint32(bytes.length - 8, true);
    const { rowGroups } = readFooter(bytes.subarray(bytes.length - 8 - length));
    const sizeOf = ({ chunks }: (typeof rowGroups)[number]): number =>
      chunks.reduce((sum, { compressedBytes }) => sum + Number(compressedBytes), 0);
    return {
      file: megabytes(bytes.length),
      groups: rowGroups.map((each) => megabytes(sizeOf(each))),
    };
  });
  return { sizes_mb: sizes };
}

function megabytes(bytes: number): number {
  return Number((bytes / 2 ** 20).toFixed(1));
}

/** A load test: what it found, and when rows have been flowing for some seconds. */
interface Load {
  readonly figures: Promise<Record<string, unknown>>;
  readonly flows: Promise<void>;
}

/** A steady load of a topic and table of its own, by a process of its own: ages of rows when they are committed. */
function ingest(): Load {
  const { promise: flows, resolve: begin, reject } = Promise.withResolvers<void>();
  const figures = measured(begin);
  figures.catch(reject);
  return { figures, flows };
}

async function measured(begin: () => void): Promise<Record<string, unknown>> {
  const kafka = await startKafka();
  try {
    const config = join(root, "ingest.toml");
    await Bun.write(
      config,
      `[kafka]\nbootstrap_servers = "${kafka.bootstrap}"\ntopic = "t"\n[state]\ndir = "${root}/ingest"\n[iceberg]\nwarehouse_path = "${root}/ingest-wh"\n`,
    );
    const words = ["load-test", "--rate", `${INGEST}`, "--seconds", "30", "--json"];
    const child = Bun.spawn(command([...words, "--config", config], null), { stderr: "pipe" });
    const answer = new Response(child.stdout).text();
    let lines = 0;
    for await (const line of linesOf(child.stderr)) {
      console.error(line);
      if (++lines === FLOWING_LINES) begin();
    }
    begin();
    const {
      ingesting_rows_per_second: rate,
      committed_ms,
      queryable_ms,
    } = JSON.parse(await answer);
    return { rate, committed_ms, queryable_ms };
  } finally {
    await kafka.stop();
  }
}

async function ask(word: string, job: object): Promise<Record<string, unknown>> {
  const child = Bun.spawn([python, join(import.meta.dir, "compact.py"), word], {
    ...{ stdin: new Blob([JSON.stringify(job)]), stderr: "inherit" },
  });
  return JSON.parse(await new Response(child.stdout).text());
}

/** The same files by Spark's own procedure, on one core; the start of the JVM is not counted. */
async function bySpark(ours: number): Promise<Record<string, unknown>> {
  const location = await makeTable("s");
  const spark = await startSparkSql({
    ...hadoopCatalog("wh", root),
    "spark.driver.memory": "3g",
  });
  try {
    await spark.sql("select count(*) as n from wh.db.s where id < 0");
    const before = cpuSeconds(spark.pid);
    const bytes = Number(values.target) * 2 ** 20;
    const options = `map('target-file-size-bytes','${bytes}','min-input-files','2')`;
    const [answer = {}] = await spark.sql(
      `call wh.system.rewrite_data_files(table => 'db.s', options => ${options})`,
    );
    const cpu = cpuSeconds(spark.pid) - before;
    const loaded = await catalog.load({ namespace: ["db"], table: "s" });
    const head = loaded?.metadata.currentSnapshotId ?? null;
    if (loaded === null || head === null) throw new Error("Spark has a snapshot");
    const { metadata } = loaded;
    const files: string[] = [];
    for await (const { file } of listDataFiles(storage, metadata, head))
      files.push(localPath(file.filePath));
    const scan = await ask("scan", { files });
    const rate = Math.round((FILES * ROWS) / cpu);
    return {
      ...{
        spark: answer,
        spark_cpu_seconds: Number(cpu.toFixed(1)),
        spark_rows_per_cpu_second: rate,
      },
      ...{ times: Number((ours / rate).toFixed(1)), spark_scan_seconds: scan["seconds"] },
      ...{ spark_files: files.length, location },
    };
  } finally {
    await spark.stop();
  }
}

/** Of a process and all below it. */
function cpuSeconds(pid: number): number {
  const [, rest = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
  const fields = rest.split(" ").map(Number);
  const own = ((fields[11] ?? 0) + (fields[12] ?? 0)) / 100;
  return childrenOf(pid).reduce((sum, child) => sum + cpuSeconds(child), own);
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

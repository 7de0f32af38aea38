/**
 * Page copying against decoding, judged by pyarrow, which wrote the files: both ways have to give the rows that went in, and
 * statistics that are true. `bun scripts/prove/pages.ts [--files 100000] [--seconds 0] [--seed 1]`; with `--seconds` it
 * ends then, whatever it has done.
 *
 * Each group has 2 to 300 files of one schema, of some writers: all types, nested ones too, codecs, dictionaries that are cut off,
 * pages of a few rows, columns that some files lack. Files of page version 2 have to be refused by the one, and decoded by the other.
 * What DuckDB cannot write (`fixed`) is copied only.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { kindOf } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import { linesOf } from "#loadtest/child.ts";
import { copyFiles } from "#parquet/copy/copyFiles.ts";
import { readSource, type SourceBytes } from "#parquet/copy/source.ts";
import type { ParquetCodec } from "#parquet/encoder.ts";
import type { FloatSummary } from "#parquet/floats.ts";
import { pageCompression } from "#parquet/kernel/compress.ts";
import { PAGE_LIMITS } from "#parquet/kernel/memory.ts";
import { unwritable } from "#sql/rewrite/copyStatement.ts";
import type { RewriteTask } from "#sql/rewrite/protocol.ts";
import { rewriteFiles } from "#sql/rewrite/rewriteFiles.ts";
import { NO_FILES } from "#sql/snapshotFiles.ts";
import { readersPython } from "../services/cache.ts";

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "100000" },
    seconds: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
  },
});
/** Groups of one process of pyarrow. */
const BLOCK = 100;
const [FILES, SECONDS] = [Number(values.files), Number(values.seconds) || Infinity];

/** What the judge wrote. */
interface Case {
  readonly dir: string;
  readonly files: readonly string[];
  readonly rows: readonly number[];
  readonly fields: readonly Field[];
  readonly codec: ParquetCodec;
  readonly rowGroupBytes: number;
  readonly dictionaryEntries: number;
}

/** What became of a group. */
interface Written {
  /** By field id. */
  readonly nans: Readonly<Record<string, number>>;
  /** Of each file, where its first row is, or each; null: one behind the other. */
  readonly places: readonly (number | readonly number[])[] | null;
}

const totals = { groups: 0, files: 0, copied: 0, decoded: 0, cpuSeconds: 0 };
const refused = new Map<string, number>();
/** Column chunks by type and encoding. */
const chunks = new Map<string, number>();
const python = await readersPython();
const seconds = (): number => Math.round(performance.now() / 1000);
for (let seed = Number(values.seed); totals.files < FILES && seconds() < SECONDS; seed++) {
  if (!(await block(seed))) process.exit(1);
  console.log(JSON.stringify({ seed, seconds: seconds(), ...totals }));
}
console.log(JSON.stringify({ refused: Object.fromEntries(refused) }));
console.log(JSON.stringify(Object.fromEntries([...chunks].toSorted())));

/** Some groups, by a process of their own; false: one is wrong. */
async function block(seed: number): Promise<boolean> {
  const folder = mkdtempSync("/dev/shm/prove-pages-");
  const words = [python, join(import.meta.dir, "pages.py"), folder, `${seed}`, `${BLOCK}`];
  const judge = Bun.spawn(words, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  for await (const line of linesOf(judge.stdout)) {
    const said = JSON.parse(line) as Partial<Case> & { readonly written?: Record<string, number> };
    if (said.files !== undefined) {
      void judge.stdin.write(`${JSON.stringify(await bothWays(said as Case))}\n`);
      void judge.stdin.flush();
    } else if (said.written === undefined) console.log(line);
    else for (const [key, n] of Object.entries(said.written)) add(chunks, key, n);
  }
  const isRight = (await judge.exited) === 0;
  totals.cpuSeconds += Math.round(Number(judge.resourceUsage()?.cpuTime.total ?? 0) / 1e6);
  if (isRight) rmSync(folder, { recursive: true });
  return isRight;
}

async function bothWays(one: Case): Promise<Record<string, unknown>> {
  totals.groups++;
  totals.files += one.files.length;
  const before = process.cpuUsage();
  const answer = { ...copied(one), decoded: await decoded(one) };
  const { user, system } = process.cpuUsage(before);
  totals.cpuSeconds = Math.round(1e6 * totals.cpuSeconds + user + system) / 1e6;
  return answer;
}

function copied(one: Case): { readonly copied: Written | null; readonly reason: string } {
  const parts: Uint8Array[] = [];
  const output = {
    position: 0,
    write(bytes: Uint8Array): void {
      parts.push(bytes.slice());
      this.position += bytes.length;
    },
  };
  const compression = pageCompression({ codec: one.codec, level: null });
  if (compression === null) throw new Error(`no codec ${one.codec}`);
  try {
    const sources = one.files.map((path) => ({
      ...{ file: readSource(bytesOf(path)), firstRowId: null, sequence: 1n, partitionColumns: [] },
    }));
    const task = { fields: one.fields, lineage: null, sources, compression };
    const { floats } = copyFiles({ ...task, bloomFilters: [], keys: {} }, output, {
      groupRowsMin: 0,
      rowGroupBytes: one.rowGroupBytes,
      pages: { ...PAGE_LIMITS, dictionaryEntries: one.dictionaryEntries },
    });
    writeFileSync(join(one.dir, "copied.parquet"), Buffer.concat(parts));
    totals.copied += one.files.length;
    return { copied: { nans: nansOf(floats), places: null }, reason: "" };
  } catch (error) {
    if (kindOf(error) !== "table_unsupported") throw error;
    const reason = (error as Error).message.replaceAll(/column \w+/g, "a column");
    add(refused, reason, one.files.length);
    return { copied: null, reason };
  }
}

function bytesOf(path: string): SourceBytes {
  const bytes = readFileSync(path);
  return { bytes: bytes.length, read: (start, end) => new Uint8Array(bytes.subarray(start, end)) };
}

async function decoded({ dir, files, rows, fields, codec }: Case): Promise<Written | null> {
  if (unwritable(fields) !== null) return null;
  const data = files.map((path) => ({ path, location: path, sequence: 1n, partition: "" }));
  const output = join(dir, "scratch.parquet");
  const task: RewriteTask = {
    ...{
      libraryFolder: null,
      memoryBytesMax: 256e6,
      folders: [dir],
      scratch: dir,
      output,
      fields,
      rows,
    },
    ...{ files: { ...NO_FILES, data }, lineage: false, latest: null, codec, level: null },
    ...{ rowGroupRows: 100_000, bloomFilters: [], commitId: "x", sort: [], spillBytesMax: 0 },
  };
  const { kept, footer, floats, moved } = await rewriteFiles(task);
  const bytes = readFileSync(output);
  const parts = kept.map(({ start, end }) => bytes.subarray(start, end));
  writeFileSync(join(dir, "decoded.parquet"), Buffer.concat([...parts, footer]));
  totals.decoded += files.length;
  if (moved === null) throw new Error("nobody knows where the rows went");
  const places = moved.map((each) =>
    typeof each.places === "number" ? each.places : [...each.places],
  );
  return { nans: nansOf(new Map(floats.map(({ fieldId, ...each }) => [fieldId, each]))), places };
}

function nansOf(floats: ReadonlyMap<number, FloatSummary>): Written["nans"] {
  return Object.fromEntries([...floats].map(([id, { nanCount }]) => [id, nanCount]));
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

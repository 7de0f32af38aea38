/**
 * Pages of generated Parquet files are copied into one file, and pyarrow, which wrote them, reads it: the same values, and
 * statistics that are true. `bun scripts/prove/pages.ts [--groups 10000] [--seed 1]`.
 *
 * Each group has one to six files of one schema: all types, nested ones too, codecs, dictionaries that are cut off, pages of a few rows,
 * columns that some files lack. Files of page version 2 have to be refused.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { kindOf } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import { copyFiles } from "#parquet/copy/copyFiles.ts";
import { readSource, type SourceBytes } from "#parquet/copy/source.ts";
import type { ParquetCodec } from "#parquet/encoder.ts";
import { pageCompression } from "#parquet/kernel/compress.ts";
import { PAGE_LIMITS } from "#parquet/kernel/memory.ts";
import { readersPython } from "../services/cache.ts";

const { values } = parseArgs({
  options: {
    groups: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
  },
});
/** Groups of one process of pyarrow. */
const BLOCK = 1000;

/** What the judge wrote. */
interface Case {
  readonly dir: string;
  readonly files: readonly string[];
  readonly fields: readonly Field[];
  readonly codec: ParquetCodec;
  readonly rowGroupBytes: number;
  readonly dictionaryEntries: number;
}

const totals = { groups: 0, files: 0, refused: new Map<string, number>() };
const python = await readersPython();
const began = performance.now();
for (let seed = Number(values.seed); totals.groups < Number(values.groups); seed++) {
  if (!(await block(seed, Math.min(BLOCK, Number(values.groups) - totals.groups)))) process.exit(1);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const { groups, files, refused } = totals;
  console.log(
    JSON.stringify({ seed, groups, files, seconds, refused: Object.fromEntries(refused) }),
  );
}

/** Some groups, by a process of their own; false: one is wrong. */
async function block(seed: number, groups: number): Promise<boolean> {
  const folder = mkdtempSync("/dev/shm/prove-pages-");
  const words = [python, join(import.meta.dir, "pages.py"), folder, `${seed}`, `${groups}`];
  const judge = Bun.spawn(words, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  let isRight = true;
  let rest = "";
  for await (const chunk of judge.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const said = JSON.parse(line) as Case & { readonly fault?: string };
      if (said.fault !== undefined) {
        console.log(line);
        isRight = false;
        continue;
      }
      void judge.stdin.write(`${JSON.stringify(copied(said))}\n`);
      void judge.stdin.flush();
    }
  }
  isRight = (await judge.exited) === 0 && isRight;
  if (isRight) rmSync(folder, { recursive: true });
  return isRight;
}

function copied(one: Case): Record<string, unknown> {
  totals.groups++;
  totals.files += one.files.length;
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
    writeFileSync(join(one.dir, "out.parquet"), Buffer.concat(parts));
    const nans = [...floats].map(([id, { nanCount }]) => [id, nanCount]);
    return { ok: true, floats: Object.fromEntries(nans) };
  } catch (error) {
    if (kindOf(error) !== "table_unsupported") throw error;
    const reason = (error as Error).message.replaceAll(/column \w+/g, "a column");
    totals.refused.set(reason, (totals.refused.get(reason) ?? 0) + 1);
    return { ok: false, reason };
  }
}

function bytesOf(path: string): SourceBytes {
  const bytes = readFileSync(path);
  return { bytes: bytes.length, read: (start, end) => new Uint8Array(bytes.subarray(start, end)) };
}

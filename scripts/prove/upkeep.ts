/**
 * Maintenance of a table beside a proof: the runs of `maintenance OPERATION`, killed by chance, and what must hold of
 * the table's files: all that are listed are there, and of what is old nothing else is.
 */
import { existsSync, readdirSync, statSync, utimesSync } from "node:fs";
import { basename, join } from "node:path";
import type { Random } from "#base/random.ts";
import { startProduct, type TomlValue } from "../services/product.ts";
import type { Course, Say } from "./course.ts";

/** Beside ingest, in this order. */
export const OPERATIONS = ["compact", "manifests", "expire"] as const;
/** Snapshots may be so old, by {@link EXPIRY}. */
export const AGE_MS = 8000;
/** Of the table: snapshots expire within a cycle or two. */
export const EXPIRY: Readonly<Record<string, string>> = {
  "history.expire.max-snapshot-age-ms": String(AGE_MS),
  "history.expire.min-snapshots-to-keep": "2",
  "write.delete.mode": "merge-on-read",
  "write.merge.mode": "merge-on-read",
};
/** Of `run`: nothing but the proof begins maintenance. */
export const NO_MAINTENANCE: Readonly<Record<string, TomlValue>> = {
  compact_enabled: false,
  orphan_cleanup_enabled: false,
  statistics_enabled: false,
  snapshot_keep_all_seconds: 5,
};

const AGED_MS = 4 * 86_400_000;
/** Told, and done by the next run: others came first, or removed what was about to be read; the catalog's file was locked. */
const LATER = /came first|locked|did not answer|does not exist|no longer/;

/** Counts by name. */
export class Tally {
  readonly counts: Record<string, number> = {};

  /** One more, or `by` more. */
  add(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by;
  }
}

/** Keeps the table of a course. */
export class Upkeep {
  /** Runs that were killed. */
  readonly kills: Tally = new Tally();
  /** Runs that came to their end, and what they did in all. */
  readonly done: Tally = new Tally();
  readonly violations: string[] = [];
  readonly #course: Course;
  readonly #random: Random;
  readonly #say: Say;
  /** How long the last whole run of an operation took: a kill falls within it. */
  readonly #tookMs = new Map<string, number>();
  #isAged = false;

  constructor(course: Course, random: Random, say: Say) {
    this.#course = course;
    this.#random = random;
    this.#say = say;
  }

  /** Most of the operations, one after the other. */
  async beside(): Promise<void> {
    for (const operation of OPERATIONS) {
      if (this.#random.unit() < 0.8) await this.run(operation, 0.4);
    }
  }

  /** Alone with the table: whatever is not listed is old, and goes. */
  async clean(): Promise<void> {
    const past = new Date(Date.now() - AGED_MS);
    for (const file of filesIn(this.#folder)) utimesSync(file, past, past);
    this.#isAged = true;
    await this.run("orphans", 0.3);
    await this.run("orphans", 0);
  }

  /** One run. @param kills how likely it is killed */
  async run(operation: string, kills: number): Promise<void> {
    const { config, topic, folder } = this.#course;
    const began = performance.now();
    const product = await startProduct({
      ...{ config, folder: join(folder, "upkeep") },
      command: ["maintenance", operation, `default.${topic}`, "--json", "--yes"],
    });
    if (this.#random.unit() < kills) {
      await Bun.sleep((this.#tookMs.get(operation) ?? 1500) * this.#random.unit());
      if (!product.ended()) {
        await product.kill();
        return this.kills.add(operation);
      }
    }
    const code = await product.exited;
    const text = product.log();
    if (code !== 0) return this.#failed(operation, text);
    this.#tookMs.set(operation, performance.now() - began);
    this.done.add(operation);
    for (const [name, value] of Object.entries(reportIn(text))) {
      if (typeof value === "number") this.done.add(`${operation} ${name}`, value);
    }
  }

  #failed(operation: string, text: string): void {
    const tail = text.slice(-600);
    this.done.add(`${operation} failed`);
    this.#say(`${operation}: ${tail}`);
    if (!LATER.test(tail)) this.violations.push(`${operation} failed: ${tail}`);
  }

  /** Whether all that is listed is there, and, of what is old, nothing else. */
  judgeFiles(listed: readonly string[]): void {
    const wanted = new Set(listed.map((file) => file.replace(/^file:(\/\/)?/, "")));
    for (const file of wanted) {
      if (!existsSync(file)) this.violations.push(`${file} is listed and not there`);
    }
    if (!this.#isAged) return;
    const old = Date.now() - AGED_MS / 2;
    for (const file of filesIn(this.#folder)) {
      // Hidden files are other programs' (Hadoop's checksums): orphans leaves them.
      const isHidden = basename(file).startsWith(".");
      if (isHidden || wanted.has(file) || statSync(file).mtimeMs > old) continue;
      this.violations.push(`${file} is old, and in no snapshot`);
    }
  }

  get #folder(): string {
    return this.#course.tableFolder;
  }
}

/** What `--json` has written, among lines of the log. */
function reportIn(text: string): Record<string, unknown> {
  const [report = "{}"] = /^\{$[\s\S]*?^\}$/m.exec(text) ?? [];
  return JSON.parse(report) as Record<string, unknown>;
}

function filesIn(folder: string): string[] {
  const all = readdirSync(folder, { recursive: true, withFileTypes: true });
  return all.flatMap((each) => (each.isFile() ? [join(each.parentPath, each.name)] : []));
}

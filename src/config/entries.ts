/**
 * A parsed TOML document as a flat list of entries: one per known key that it sets, with references
 * put in; unknown keys and sections become problems.
 */
import type { Environment } from "./environment.ts";
import { ALIASES, ALL_KEYS, PIPELINE_TABLE } from "./keys.ts";
import { nearest, type Problem } from "./problems.ts";
import type { ConfigValue } from "./spec.ts";
import { substitute } from "./substitute.ts";
import { isTable } from "./value.ts";

/** One key that is set. */
export interface Entry {
  /** As written: a key or an alias, without `pipelines.N`. */
  readonly path: string;
  readonly value: ConfigValue;
  /** The value came from `${...}` or a flag. */
  readonly foreign: boolean;
  /** `config.toml:12` or the flag. */
  readonly where: string;
}

/** One element of `[[pipelines]]`. */
export interface PipelineEntries {
  readonly name: string;
  readonly where: string;
  readonly entries: readonly Entry[];
}

/** What a document sets. */
export interface Document {
  readonly entries: readonly Entry[];
  readonly pipelines: readonly PipelineEntries[];
}

/** Tells where a path of the document stands, e.g. `config.toml:12`. */
export type Locate = (path: readonly string[]) => string;

interface Walk {
  readonly environment: Environment;
  readonly locate: Locate;
  readonly problems: Problem[];
}

/** Reads the entries of a parsed document; problems are appended. */
export async function readDocument(
  raw: Readonly<Record<string, unknown>>,
  environment: Environment,
  locate: Locate,
  problems: Problem[],
): Promise<Document> {
  const walk: Walk = { environment, locate, problems };
  const { pipelines, ...rest } = raw;
  const entries = await collect(walk, rest, [], [], Object.keys(ALL_KEYS));
  return { entries, pipelines: await readPipelines(walk, pipelines) };
}

async function readPipelines(walk: Walk, raw: unknown): Promise<PipelineEntries[]> {
  if (raw === undefined) return [];
  if (!Array.isArray(raw) || !raw.every(isTable)) {
    report(walk, ["pipelines"], "pipelines", "must be an array of tables: [[pipelines]]");
    return [];
  }
  const pipelines: PipelineEntries[] = [];
  for (const [index, element] of raw.entries()) {
    const base = ["pipelines", String(index)];
    const { name, ...rest } = element;
    if (typeof name !== "string" || !/^[A-Za-z0-9_-]+$/.test(name)) {
      report(
        walk,
        base,
        "pipelines.name",
        "every pipeline needs a name of letters, digits, _ and -",
      );
    }
    const shown = typeof name === "string" ? name : String(index);
    const entries = await collect(walk, rest, base, [], Object.keys(PIPELINE_TABLE));
    pipelines.push({ name: shown, where: walk.locate(base), entries });
  }
  return pipelines;
}

/** Entries below `path`; `base` is `pipelines.N` or empty. */
async function collect(
  walk: Walk,
  table: Readonly<Record<string, unknown>>,
  base: readonly string[],
  path: readonly string[],
  known: readonly string[],
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const [name, raw] of Object.entries(table)) {
    const here = [...path, name];
    const key = here.join(".");
    if (known.includes(ALIASES[key] ?? key)) {
      const entry = await readEntry(walk, [...base, ...here], key, raw);
      if (entry !== null) entries.push(entry);
    } else if (!isSection(key, known)) {
      reportUnknown(walk, [...base, ...here], key, known);
    } else if (isTable(raw)) {
      entries.push(...(await collect(walk, raw, base, here, known)));
    } else {
      report(walk, [...base, ...here], key, "is a section, not a value");
    }
  }
  return entries;
}

async function readEntry(
  walk: Walk,
  at: readonly string[],
  path: string,
  raw: unknown,
): Promise<Entry | null> {
  const found = { foreign: false, problems: [] as string[] };
  const value = await putIn(raw, walk.environment, found);
  for (const problem of found.problems) report(walk, at, path, problem);
  if (found.problems.length > 0) return null;
  return { path, value, foreign: found.foreign, where: walk.locate(at) };
}

/** The value with references put in and dates as text. */
async function putIn(
  raw: unknown,
  environment: Environment,
  found: { foreign: boolean; problems: string[] },
): Promise<ConfigValue> {
  if (typeof raw === "string") {
    const { text, foreign, problems } = await substitute(raw, environment);
    found.foreign ||= foreign;
    found.problems.push(...problems);
    return text;
  }
  if (Array.isArray(raw)) {
    const items: ConfigValue[] = [];
    for (const item of raw) items.push(await putIn(item, environment, found));
    return items;
  }
  if (typeof raw !== "object" || raw === null) return raw as ConfigValue;
  // Dates and times come as Temporal objects.
  if (Object.getPrototypeOf(raw) !== Object.prototype) return String(raw);
  const table: Record<string, ConfigValue> = {};
  for (const [key, item] of Object.entries(raw)) table[key] = await putIn(item, environment, found);
  return table;
}

function isSection(path: string, known: readonly string[]): boolean {
  const isBelow = (key: string): boolean => key.startsWith(`${path}.`);
  return (
    known.some(isBelow) ||
    Object.entries(ALIASES).some(([alias, key]) => isBelow(alias) && known.includes(key))
  );
}

function reportUnknown(
  walk: Walk,
  at: readonly string[],
  path: string,
  known: readonly string[],
): void {
  if (ALL_KEYS[path] !== undefined || isSection(path, Object.keys(ALL_KEYS))) {
    report(walk, at, path, "belongs to the process, not to one pipeline: move it to the top level");
    return;
  }
  const sections = known.map((key) => key.slice(0, key.lastIndexOf(".")));
  const problem = "unknown key";
  const near = nearest(path, [...known, ...sections, "pipelines"]);
  walk.problems.push({ where: walk.locate(at), key: path, problem, near });
}

function report(walk: Walk, at: readonly string[], key: string, problem: string): void {
  walk.problems.push({ where: walk.locate(at), key, problem, near: null });
}

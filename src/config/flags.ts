/**
 * Command-line flags that override the file: `--set section.key=value` and the three short forms.
 */

import type { Entry } from "./entries.ts";
import { ALIASES, ALL_KEYS, PIPELINE_TABLE } from "./keys.ts";
import { nearest, type Problem } from "./problems.ts";
import type { ConfigValue } from "./spec.ts";

/** Flags of the command line; undefined where not given. */
export interface ConfigFlags {
  readonly bootstrapServers?: string | undefined;
  readonly topic?: string | undefined;
  readonly warehousePath?: string | undefined;
  /** Each `section.key=value`; one pipeline's: `pipelines.NAME.section.key=value`. */
  readonly set?: readonly string[] | undefined;
}

/** An entry of a flag; `pipeline` null: of all. */
export interface FlagEntry extends Entry {
  readonly pipeline: string | null;
}

/** The entries that flags set; problems are appended. */
export function readFlags(flags: ConfigFlags, problems: Problem[]): FlagEntry[] {
  const entries: FlagEntry[] = [];
  const short: readonly (readonly [string, string, string | undefined])[] = [
    ["--kafka-bootstrap-servers", "kafka.bootstrap_servers", flags.bootstrapServers],
    ["--kafka-topic", "kafka.topic", flags.topic],
    ["--warehouse-path", "iceberg.warehouse_path", flags.warehousePath],
  ];
  for (const [where, path, value] of short) {
    if (value !== undefined) entries.push({ path, value, foreign: true, where, pipeline: null });
  }
  for (const text of flags.set ?? []) {
    const entry = readSet(text, problems);
    if (entry !== null) entries.push(entry);
  }
  return entries;
}

function readSet(text: string, problems: Problem[]): FlagEntry | null {
  const equals = text.indexOf("=");
  const where = "--set";
  if (equals <= 0) {
    problems.push({ where, key: "", problem: "wants section.key=value", near: null });
    return null;
  }
  const full = text.slice(0, equals).trim();
  const scoped = /^pipelines\.([A-Za-z0-9_-]+)\.(.+)$/.exec(full);
  const path = scoped?.[2] ?? full;
  const pipeline = scoped?.[1] ?? null;
  const table = pipeline === null ? ALL_KEYS : PIPELINE_TABLE;
  const spec = table[ALIASES[path] ?? path];
  if (spec === undefined) {
    const near = nearest(path, Object.keys(table));
    problems.push({ where, key: full, problem: "unknown key", near });
    return null;
  }
  const value = readValue(text.slice(equals + 1).trim(), spec.type === "string");
  return { path, value, foreign: true, where, pipeline };
}

/** TOML where it is TOML, else plain text. Numbers of string keys stay text. */
function readValue(text: string, wantsString: boolean): ConfigValue {
  if (wantsString && !/^["']/.test(text)) return text;
  try {
    return (Bun.TOML.parse(`value = ${text}`) as { value: ConfigValue }).value;
  } catch {
    return text;
  }
}

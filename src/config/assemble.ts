/**
 * Entries into values: aliases resolved, defaults filled in, every value checked.
 *
 * Sections at the top level are the defaults of every pipeline; a pipeline's own entries come before
 * them, flags before both. Without `[[pipelines]]` there is one pipeline, `default`.
 */
import type { AppConfig, PipelineConfig } from "./config.ts";
import type { Document, Entry } from "./entries.ts";
import type { FlagEntry } from "./flags.ts";
import {
  ALIASES,
  PIPELINE_TABLE,
  type PipelineValues,
  PROCESS_TABLE,
  type ProcessValues,
} from "./keys.ts";
import type { Problem } from "./problems.ts";
import type { ConfigValue, KeyTable } from "./spec.ts";
import { checkValue } from "./value.ts";

/** Builds the configuration; problems are appended, keys with a problem keep their default. */
export function assemble(
  file: string,
  document: Document,
  flags: readonly FlagEntry[],
  problems: Problem[],
): AppConfig {
  const top = resolveAliases(document.entries, problems);
  const allFlags = resolveAliases(
    flags.filter((flag) => flag.pipeline === null),
    problems,
  );
  const shared = new Map([...top, ...allFlags]);
  // Checked once here, so that a wrong value at the top level is reported once for all pipelines.
  const process = fill(PROCESS_TABLE, shared, problems);
  fill(PIPELINE_TABLE, shared, problems);
  const elements =
    document.pipelines.length > 0 ? document.pipelines : [{ name: "default", entries: [] }];
  const pipelines = elements.map(({ name, entries }): PipelineConfig => {
    const own = resolveAliases(entries, problems);
    const ownFlags = resolveAliases(
      flags.filter((flag) => flag.pipeline === name),
      problems,
    );
    fill(PIPELINE_TABLE, new Map([...own, ...ownFlags]), problems);
    const all = new Map([...top, ...own, ...allFlags, ...ownFlags]);
    const { values, origins } = fill(PIPELINE_TABLE, withOneTopicKey(all, own), []);
    return { name, values: values as unknown as PipelineValues, origins };
  });
  for (const flag of flags) {
    if (flag.pipeline !== null && !pipelines.some(({ name }) => name === flag.pipeline)) {
      const problem = `there is no pipeline ${flag.pipeline}`;
      problems.push({ where: flag.where, key: flag.path, problem, near: null });
    }
  }
  return {
    file,
    values: process.values as unknown as ProcessValues,
    origins: process.origins,
    pipelines,
  };
}

/** A pipeline that names its own topics does not inherit another form of them. */
function withOneTopicKey(
  all: ReadonlyMap<string, Entry>,
  own: ReadonlyMap<string, Entry>,
): ReadonlyMap<string, Entry> {
  const forms = ["kafka.topic", "kafka.topics", "kafka.topic_pattern"];
  const overriding = forms.filter(
    (form) => own.has(form) || all.get(form)?.where === "--kafka-topic",
  );
  if (overriding.length === 0) return all;
  const dropped = forms.filter((form) => !overriding.includes(form));
  return new Map([...all].filter(([path]) => !dropped.includes(path)));
}

/** Entries by key. An alias and its key (or two aliases) that differ are a problem. */
function resolveAliases(entries: readonly Entry[], problems: Problem[]): Map<string, Entry> {
  const byKey = new Map<string, Entry>();
  for (const entry of entries) {
    const key = ALIASES[entry.path] ?? entry.path;
    const earlier = byKey.get(key);
    const isFlag = entry.where.startsWith("--");
    if (earlier !== undefined && !isFlag && !sameValue(earlier.value, entry.value)) {
      const problem = `is another name of ${earlier.path === entry.path ? key : earlier.path} (${earlier.where}) and has another value`;
      problems.push({ where: entry.where, key: entry.path, problem, near: null });
    }
    byKey.set(key, entry);
  }
  return byKey;
}

function sameValue(a: ConfigValue, b: ConfigValue): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function fill(
  table: KeyTable,
  entries: ReadonlyMap<string, Entry>,
  problems: Problem[],
): { values: Record<string, ConfigValue | null>; origins: Map<string, string> } {
  const values: Record<string, ConfigValue | null> = {};
  const origins = new Map<string, string>();
  for (const [key, spec] of Object.entries(table)) {
    const entry = entries.get(key);
    values[key] = spec.default;
    if (entry === undefined) continue;
    const checked = checkValue(spec, entry.value, entry.foreign);
    if ("problem" in checked) {
      const { where, path } = entry;
      problems.push({ where, key: path, problem: checked.problem, near: null });
    } else {
      values[key] = checked.value;
      origins.set(key, entry.where);
    }
  }
  return { values, origins };
}

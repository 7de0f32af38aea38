/**
 * The second pass over a configuration: can this release run it? Keys of features that
 * are not built yet are refused as such, and a pipeline needs topics. `run` and `check` ask;
 * inspection commands do not.
 */
import type { AppConfig, Origins } from "./config.ts";
import { type Feature, UNBUILT } from "./features.ts";
import { PIPELINE_TABLE, PROCESS_TABLE } from "./keys.ts";
import type { Problem } from "./problems.ts";
import type { ConfigValue, KeySpec, KeyTable } from "./spec.ts";

/** Everything that keeps this release from running `config`; empty: it can. */
export function requireBuilt(config: AppConfig): Problem[] {
  const problems = unbuiltKeys(PROCESS_TABLE, config.values, config.origins);
  for (const { name, values, origins } of config.pipelines) {
    problems.push(...unbuiltKeys(PIPELINE_TABLE, values, origins));
    if (values["kafka.topic"] ?? values["kafka.topics"] ?? values["kafka.topic_pattern"]) continue;
    const problem = `the pipeline ${name} reads nothing: set kafka.topic, kafka.topics or kafka.topic_pattern`;
    problems.push({ where: config.file, key: "kafka.topic", problem, near: null });
  }
  return problems.filter(isFirst);
}

/** Top-level sections are inherited by every pipeline; a problem of theirs is told once. */
function isFirst(problem: Problem, index: number, all: readonly Problem[]): boolean {
  const same = (other: Problem): boolean =>
    other.where === problem.where && other.key === problem.key && other.problem === problem.problem;
  return all.findIndex(same) === index;
}

function unbuiltKeys(
  table: KeyTable,
  values: { readonly [key: string]: unknown },
  origins: Origins,
): Problem[] {
  const problems: Problem[] = [];
  for (const [key, where] of origins) {
    const spec = table[key];
    const problem = spec === undefined ? null : unbuiltProblem(spec, values[key] as ConfigValue);
    if (problem !== null) problems.push({ where, key, problem, near: null });
  }
  return problems;
}

function unbuiltProblem(spec: KeySpec, value: ConfigValue): string | null {
  if (spec.unbuilt === undefined) return null;
  const asksForNothing = JSON.stringify(value) === JSON.stringify(spec.default);
  return asksForNothing ? null : notBuilt(spec.unbuilt);
}

function notBuilt(feature: Feature): string {
  const { name, instead } = UNBUILT[feature];
  return `${name} not built yet (${instead})`;
}

/**
 * Loads configurations from text, as if they stood in `config.toml`.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppConfig } from "#config/config.ts";
import { type LoadArguments, loadConfig } from "#config/load.ts";
import { formatProblem } from "#config/problems.ts";

/** What a text loads to: the configuration, or its problems as lines with `config.toml` as path. */
export interface Result {
  readonly config: AppConfig | null;
  readonly problems: readonly string[];
}

/** Loads a text; `files` stand beside it. */
export async function load(
  text: string,
  args: Partial<LoadArguments> & { files?: Record<string, string> } = {},
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "config-"));
  try {
    const { files = {}, ...others } = args;
    const file = join(folder, "config.toml");
    writeFileSync(file, text);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const loaded = await loadConfig({
      file,
      envFile: null,
      flags: {},
      purpose: "inspect",
      variables: {},
      ...others,
    });
    if ("config" in loaded) return { config: loaded.config, problems: [] };
    const lines = loaded.problems.map((each) => formatProblem(each).replaceAll(`${folder}/`, ""));
    return { config: null, problems: lines };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Loads a text that must be right. */
export async function loadRight(
  text: string,
  args: Partial<LoadArguments> & { files?: Record<string, string> } = {},
): Promise<AppConfig> {
  const { config, problems } = await load(text, args);
  if (config === null) throw new Error(problems.join("\n"));
  return config;
}

/** The first pipeline's values. */
export function values(config: AppConfig): AppConfig["pipelines"][number]["values"] {
  const [pipeline] = config.pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  return pipeline.values;
}

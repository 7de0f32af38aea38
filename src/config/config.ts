/**
 * The configuration as the rest of `config/` sees it: values by key, typed by the key tables.
 *
 * Keys keep their names and units of the configuration file, so that a key is found in the code by
 * its name; `build.ts` converts units and maps to the options of each folder.
 */
import type { PipelineValues, ProcessValues } from "./keys.ts";

/** Where each key was set: `config.toml:12`, a flag; keys at their default are absent. */
export type Origins = ReadonlyMap<string, string>;

/** One pipeline. */
export interface PipelineConfig {
  readonly name: string;
  readonly values: PipelineValues;
  readonly origins: Origins;
}

/** The whole configuration of a process. */
export interface AppConfig {
  /** Shown in messages; `(flags)` without a file. */
  readonly file: string;
  readonly values: ProcessValues;
  readonly origins: Origins;
  /** At least one. */
  readonly pipelines: readonly PipelineConfig[];
}

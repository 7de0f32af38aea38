/**
 * The configuration read again while the process runs (SIGHUP): what can change without
 * loss changes at once, everything else is named and waits for the next start.
 *
 * A file that is wrong changes nothing. Values are compared, never shown: some are secrets.
 */
import { describe } from "#base/errors.ts";
import type { LogLevel } from "#base/log.ts";
import { type MaintenanceOptions, maintenanceOptions } from "#config/buildMaintenance.ts";
import { fileCodecOf } from "#config/buildWriter.ts";
import type { AppConfig, PipelineConfig } from "#config/config.ts";
import type { PipelineValues, ProcessValues } from "#config/keys.ts";
import type { AppLogger } from "#server/log.ts";

/**
 * What maintenance does, and how often. Not what commits do as well, whose options stay as their tables were made
 * with: how long orphans are kept (`filesAgeMsMax`), and which snapshots (`thinning`).
 */
const MAINTENANCE = [
  "maintenance.compact_enabled",
  "maintenance.compact_interval_seconds",
  "maintenance.compact_threshold_mb",
  "maintenance.compact_target_mb",
  "maintenance.compact_delete_ratio",
  "maintenance.compact_trigger_files",
  "maintenance.compact_closed_after_seconds",
  "maintenance.windows",
  "maintenance.snapshot_check_interval_seconds",
  "maintenance.orphan_cleanup_enabled",
  "maintenance.orphan_check_interval_seconds",
  "maintenance.statistics_enabled",
  "maintenance.statistics_update_interval_seconds",
] as const satisfies (keyof PipelineValues)[];

/** Keys of `[logging]` and of pipelines that a running process takes over. */
const LIVE: ReadonlySet<string> = new Set([
  "logging.level",
  "iceberg.commit.interval_ms",
  "iceberg.commit.max_rows",
  ...MAINTENANCE,
] satisfies (keyof ProcessValues | keyof PipelineValues)[]);

/** A pipeline that takes new settings over. */
interface LivePipeline {
  readonly name: string;
  /** When commits are due, from the next one on. */
  pace(intervalMs: number, rowsMax: number): void;
  /** What is maintained, and how often. */
  maintain(options: MaintenanceOptions): void;
}

/** Reads the configuration again when it is asked to. */
export class Reload {
  readonly #load: () => Promise<AppConfig>;
  readonly #pipelines: readonly LivePipeline[];
  readonly #logger: AppLogger;
  /** What is in force. */
  #config: AppConfig;
  #underWay: Promise<void> = Promise.resolve();

  /** @param load reads and checks it; its errors are for a person */
  constructor(
    config: AppConfig,
    load: () => Promise<AppConfig>,
    pipelines: readonly LivePipeline[],
    logger: AppLogger,
  ) {
    this.#config = config;
    this.#load = load;
    this.#pipelines = pipelines;
    this.#logger = logger;
  }

  /** Reads it, after what is under way; never fails. */
  again(): Promise<void> {
    this.#underWay = this.#underWay.then(() => this.#once());
    return this.#underWay;
  }

  async #once(): Promise<void> {
    let next: AppConfig;
    try {
      next = await this.#load();
    } catch (error) {
      const sentence = `The configuration is wrong, and nothing of it was taken over: ${describe(error)}`;
      this.#logger.log("error", sentence);
      return;
    }
    const changed = differences(this.#config, next);
    const live = changed.filter(({ key }) => LIVE.has(key)).map(({ name }) => name);
    const later = changed.filter(({ key }) => !LIVE.has(key)).map(({ name }) => name);
    this.#logger.setLevel(next.values["logging.level"] as LogLevel);
    const old = this.#config;
    this.#config = merged(old, next);
    for (const pipeline of this.#pipelines) this.#apply(pipeline, old);
    this.#logger.log("info", "Configuration read again", { changed: live });
    if (later.length === 0) return;
    this.#logger.log(
      "warn",
      `These keys have changed, and count from the next start on: ${later.join(", ")}`,
    );
  }

  /** Maintenance begins anew where something of it has changed, and only there: its waits begin anew as well. */
  #apply(pipeline: LivePipeline, before: AppConfig): void {
    const named = ({ name }: PipelineConfig): boolean => name === pipeline.name;
    const [old, now] = [before.pipelines.find(named), this.#config.pipelines.find(named)];
    if (old === undefined || now === undefined) return;
    const { values } = now;
    pipeline.pace(values["iceberg.commit.interval_ms"], values["iceberg.commit.max_rows"]);
    if (MAINTENANCE.every((key) => Bun.deepEquals(old.values[key], values[key]))) return;
    pipeline.maintain(maintenanceOptions(now, fileCodecOf(now)));
  }
}

interface Difference {
  readonly key: string;
  /** With its pipeline, where there are several. */
  readonly name: string;
}

function differences(old: AppConfig, next: AppConfig): readonly Difference[] {
  const found: Difference[] = changedKeys(old.values, next.values).map((key) => ({
    key,
    name: key,
  }));
  const names = new Set([...old.pipelines, ...next.pipelines].map(({ name }) => name));
  for (const name of names) {
    const [before, after] = [valuesOf(old, name), valuesOf(next, name)];
    if (before === undefined || after === undefined) {
      found.push({ key: "pipelines", name: `pipelines.${name}` });
      continue;
    }
    const prefix = names.size === 1 ? "" : `pipelines.${name}.`;
    found.push(...changedKeys(before, after).map((key) => ({ key, name: prefix + key })));
  }
  return found;
}

function changedKeys(old: object, next: object): readonly string[] {
  const [before, after] = [new Map(Object.entries(old)), new Map(Object.entries(next))];
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => !Bun.deepEquals(before.get(key), after.get(key)),
  );
}

function valuesOf(config: AppConfig, name: string): PipelineValues | undefined {
  return config.pipelines.find((each) => each.name === name)?.values;
}

/** The old one with the keys of the new one that count now. */
function merged(old: AppConfig, next: AppConfig): AppConfig {
  const pipelines = old.pipelines.map((pipeline) => {
    const own = next.pipelines.find(({ name }) => name === pipeline.name) ?? pipeline;
    const origins = new Map([
      ...[...pipeline.origins].filter(([key]) => !LIVE.has(key)),
      ...[...own.origins].filter(([key]) => LIVE.has(key)),
    ]);
    return { ...pipeline, origins, values: withLive(pipeline.values, own.values) };
  });
  return { ...old, values: withLive(old.values, next.values), pipelines };
}

function withLive<Values extends object>(old: Values, next: Values): Values {
  const live = Object.entries(next).filter(([key]) => LIVE.has(key));
  return { ...old, ...Object.fromEntries(live) };
}

/**
 * The scratch place of a load test: a configuration that differs from the person's in where it reads from
 * and writes to, and in what the events are; and its removal.
 *
 * The table lies in a warehouse of its own below the configured one, with a catalog of its own beside it:
 * no topic, table, group, state or catalog of the person's is ever touched, and `run` may go on meanwhile.
 */
import { rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { warehouseOf } from "#catalog/open.ts";
import { isPostgresUri } from "#catalog/postgresUrl.ts";
import { sqlitePath } from "#catalog/sqlite.ts";
import { type Opened, systemParts, withPipeline } from "#cli/open.ts";
import { catalogOptions } from "#config/buildPipeline.ts";
import { folders } from "#config/buildProcess.ts";
import { requireBuilt } from "#config/built.ts";
import type { AppConfig, PipelineConfig } from "#config/config.ts";
import { formatProblem } from "#config/problems.ts";
import { localPath, schemeOf } from "#storage/location.ts";
import type { Storage } from "#storage/storage.ts";

/** Begins the name of everything that a load test makes. */
const PREFIX = "kafka-iceberg-load-test-";
const TABLE = "load_test";
/** Objects that are removed in one call. */
const REMOVED_AT_ONCE = 1000;

/** Where a load test happens. */
export interface Scratch extends Opened {
  /** Name of the topic, the group and the folders. */
  readonly name: string;
  readonly pipeline: PipelineConfig;
  /** The table's warehouse: all of it is the load test's. */
  readonly warehouse: string;
  /** The state directory, and for the SQL catalog its database; local paths. */
  readonly paths: readonly string[];
  /** Folders of the person's configuration that were not there: they go again when they are empty. */
  readonly madeFolders: readonly string[];
}

/**
 * Derives the scratch configuration from the first pipeline, or the one that is named.
 * @param id makes the name unique: letters and digits
 * Throws `usage` when there is no such pipeline, or this release cannot run it.
 */
export async function scratchOf(
  opened: Opened,
  pipelineName: string | null,
  id: string,
): Promise<Scratch> {
  const { config, environment } = opened;
  const given = config.pipelines.find(({ name }) => pipelineName === null || name === pipelineName);
  if (given === undefined) throw fail("usage", `There is no pipeline ${pipelineName}`);
  const name = `${PREFIX}${id}`;
  const stateDir = `${folders(config, environment).stateDir}/${name}`;
  const database = sqliteDatabase(given, name, stateDir);
  const place = warehouseOf(catalogOptions(given, true));
  if (place === null) {
    const type = given.values["iceberg.catalog_type"];
    const sentence = `load-test leaves nothing behind, so it runs with the catalogs file and sql, not ${type}`;
    throw fail("usage", sentence);
  }
  const warehouse = `${place.replace(/\/+$/, "")}/${name}`;
  const pipeline: PipelineConfig = {
    ...given,
    values: {
      ...given.values,
      ...sourceOf(name),
      ...TARGET,
      "iceberg.warehouse_path": warehouse,
      ...(database === null ? {} : { "iceberg.sql.uri": `sqlite:${database}` }),
    },
  };
  const scratch: AppConfig = {
    ...config,
    values: { ...config.values, ...processValues(config, stateDir) },
    origins: new Map([...config.origins].filter(([key]) => key !== "transaction_log.log_dir")),
    pipelines: [pipeline],
  };
  const problems = requireBuilt(scratch);
  if (problems.length > 0) throw fail("usage", problems.map(formatProblem).join("\n"));
  const paths = database === null ? [stateDir] : [stateDir, database, `${database}-journal`];
  const madeFolders = await missingFolders([stateDir, warehouse]);
  return { config: scratch, environment, name, pipeline, warehouse, paths, madeFolders };
}

/** The local folders around these places that are not there yet. */
async function missingFolders(places: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const place of places) {
    if (schemeOf(place) !== "file") continue;
    const folder = dirname(localPath(place));
    if ((await systemParts.disk.stat(folder)) === null) missing.push(folder);
  }
  return missing;
}

/** Beside the person's database; a server's database is left alone. */
function sqliteDatabase({ values }: PipelineConfig, name: string, stateDir: string): string | null {
  if (values["iceberg.catalog_type"] !== "sql") return null;
  if (isPostgresUri(values["iceberg.sql.uri"])) return `${stateDir}.catalog.db`;
  return `${sqlitePath(values["iceberg.sql.uri"])}.${name}`;
}

/** The events' columns: declared, so that no time goes by until they are learned. */
const FIELDS = [
  { name: "seq", type: "long" },
  { name: "user_id", type: "long" },
  { name: "amount", type: "double" },
  { name: "type", type: "string" },
  { name: "country", type: "string" },
  { name: "text", type: "string" },
];

/** What is read: the scratch topic from its beginning, as JSON. */
function sourceOf(name: string): Partial<PipelineConfig["values"]> {
  return {
    "kafka.topic": name,
    "kafka.topics": null,
    "kafka.topic_pattern": null,
    "kafka.consumer_group": name,
    // Without static membership it leaves the group at its end, which can then be removed.
    "kafka.group_instance_id": "",
    "kafka.auto_offset_reset": "earliest",
    "kafka.start_timestamp": null,
    "kafka.start_from": "table",
    "source.format": "json",
    "source.event_time_field": null,
    "schema.fields": FIELDS,
    "schema.file": null,
    "schema.on_unknown_field": "evolve",
    "dead_letter.action": "fail",
  };
}

/** What is written: one new table, by the day, as a table without any settings is. */
const TARGET: Partial<PipelineConfig["values"]> = {
  "iceberg.table_name": TABLE,
  "iceberg.table_prefix": "",
  "iceberg.table_management.auto_create_if_missing": true,
  "iceberg.table_management.schema_mismatch_action": "evolve",
  "partitioning.partition_strategy": "daily",
  "partitioning.spec": null,
  "partitioning.time_based.field": null,
};

function processValues(config: AppConfig, stateDir: string): Partial<AppConfig["values"]> {
  const isLevelSet = config.origins.has("logging.level");
  return {
    "state.dir": stateDir,
    "server.health_address": "",
    "server.metrics_address": "",
    ...(isLevelSet ? {} : { "logging.level": "warn" }),
  };
}

/** Removes the table with its warehouse, its catalog and the state. */
export async function removeScratch(scratch: Scratch): Promise<void> {
  const { name, warehouse, paths } = scratch;
  for (const place of [warehouse, ...paths]) {
    assert(place.includes(PREFIX) && place.includes(name), "what is removed is a load test's own");
  }
  if (schemeOf(warehouse) === "file") {
    await rm(localPath(warehouse), { recursive: true, force: true });
  } else {
    await withPipeline(scratch.pipeline, true, ({ storage }) => empty(storage, `${warehouse}/`));
  }
  for (const path of paths) await rm(path, { recursive: true, force: true });
  for (const folder of scratch.madeFolders) await rmdir(folder).catch(() => undefined);
}

async function empty(storage: Storage, prefix: string): Promise<void> {
  const locations: string[] = [];
  for await (const { location } of storage.list(prefix)) locations.push(location);
  for (let at = 0; at < locations.length; at += REMOVED_AT_ONCE) {
    await storage.remove(locations.slice(at, at + REMOVED_AT_ONCE));
  }
}

/**
 * What commands share: the configuration by the flags, and a table found by its name.
 */
import { type Clock, systemClock } from "#base/clock.ts";
import { type Disk, systemDisk } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { type Random, systemRandom } from "#base/random.ts";
import type { Catalog, LoadedTable, TableName } from "#catalog/catalog.ts";
import { fullName, parseTableName } from "#catalog/names.ts";
import { type CatalogOptions, openCatalog } from "#catalog/open.ts";
import { isPostgresUri } from "#catalog/postgresUrl.ts";
import { sqlitePath } from "#catalog/sqlite.ts";
import { tablesBeside } from "#config/besideTables.ts";
import { catalogOptions } from "#config/buildPipeline.ts";
import type { AppConfig, PipelineConfig } from "#config/config.ts";
import type { Environment } from "#config/environment.ts";
import { loadConfig } from "#config/load.ts";
import { formatProblem } from "#config/problems.ts";
import { storageOptions } from "#config/storage.ts";
import { knownTableFor, namespaceOf } from "#config/tableNames.ts";
import { topicsOf } from "#config/topics.ts";
import { openStorage } from "#storage/open.ts";
import type { Storage } from "#storage/storage.ts";
import { type VendedStore, withVended } from "#storage/vended.ts";
import type { ParsedArguments } from "./arguments.ts";

/** A configuration with where its values come from. */
export interface Opened {
  readonly config: AppConfig;
  readonly environment: Environment;
}

/**
 * Loads the configuration that the flags name. Throws `usage` with one line per problem.
 * @param sets the `--set` values that are configuration keys
 */
export async function openConfig(
  parsed: ParsedArguments,
  purpose: "run" | "inspect",
  sets: readonly string[] = parsed.list("set"),
): Promise<Opened> {
  const loaded = await loadConfig({
    file: parsed.value("config") ?? null,
    envFile: parsed.value("env-file") ?? null,
    flags: {
      bootstrapServers: parsed.value("kafka-bootstrap-servers"),
      topic: parsed.value("kafka-topic"),
      warehousePath: parsed.value("warehouse-path"),
      set: sets,
    },
    purpose,
  });
  if ("config" in loaded) return loaded;
  throw fail("usage", loaded.problems.map(formatProblem).join("\n"));
}

/** A pipeline's catalog, and the store of its warehouse; a table's files go through the table's own. */
export interface OpenPipeline {
  readonly pipeline: PipelineConfig;
  readonly catalog: Catalog;
  readonly storage: Storage;
}

/** Opens a pipeline's catalog, hands it to `use`, and closes it. */
export async function withPipeline<T>(
  pipeline: PipelineConfig,
  readOnly: boolean,
  use: (open: OpenPipeline) => Promise<T>,
): Promise<T> {
  const parts = { ...systemParts, log: silentLogger, observe: ignoreObservations };
  const stores = storageOptions(pipeline.values);
  const storage = openStorage(stores, parts);
  const storageWith = (vended: VendedStore): Storage =>
    openStorage(withVended(stores, vended), parts);
  const options = catalogOptions(pipeline, readOnly);
  const opened = openCatalog(options, { ...parts, storage, storageWith });
  const catalog = readOnly && (await isToBeMade(options)) ? emptyCatalog(opened) : opened;
  try {
    await catalog.open();
    return await use({ pipeline, catalog, storage });
  } finally {
    await catalog.close();
    await storage.close();
  }
}

/** True for a catalog database that the first run will make; looking must not make it. */
async function isToBeMade(options: CatalogOptions): Promise<boolean> {
  if (options.type !== "sql" || isPostgresUri(options.uri)) return false;
  return (await systemParts.disk.stat(sqlitePath(options.uri))) === null;
}

/** What a catalog answers that is not there yet. */
function emptyCatalog(catalog: Catalog): Catalog {
  const refuse = (): Promise<never> =>
    Promise.reject(fail("catalog_refused", "The catalog database does not exist yet"));
  return {
    traits: catalog.traits,
    open: () => Promise.resolve(),
    load: () => Promise.resolve(null),
    list: () => Promise.resolve([]),
    locationOf: (name) => catalog.locationOf(name),
    create: refuse,
    commit: refuse,
    close: () => catalog.close(),
  };
}

/** The machine's clock, randomness and disk. */
export const systemParts: { readonly clock: Clock; readonly random: Random; readonly disk: Disk } =
  {
    clock: systemClock,
    random: systemRandom,
    disk: systemDisk,
  };

/** A table that was found. */
export interface FoundTable extends OpenPipeline {
  readonly table: LoadedTable;
}

/**
 * Finds `TABLE` or `DATABASE.TABLE` in the pipelines' catalogs and hands it to `use`. The pipeline is
 * the one that writes the table, where the configuration says so.
 * Throws `table_missing`.
 */
export async function withTable<T>(
  { config }: Opened,
  name: string,
  readOnly: boolean,
  use: (found: FoundTable) => Promise<T>,
): Promise<T> {
  const ordered = [...config.pipelines].sort(
    (a, b) => Number(writes(b, name)) - Number(writes(a, name)),
  );
  for (const pipeline of ordered) {
    const result = await withPipeline(pipeline, readOnly, async (open) => {
      for (const candidate of candidates(pipeline, name)) {
        const table = await open.catalog.load(candidate);
        if (table !== null) return { value: await use({ ...open, table }) };
      }
      return null;
    });
    if (result !== null) return result.value;
  }
  const databases = [
    ...new Set(config.pipelines.map((each) => each.values["iceberg.database_name"])),
  ];
  const sentence = `There is no table ${name} (database ${databases.join(", ")})`;
  throw fail("table_missing", `${sentence}; kafka-iceberg tables lists those that are`);
}

/** A table's dots need no backslash where the pipeline's own namespace is meant. */
function candidates({ values }: PipelineConfig, name: string): TableName[] {
  const namespace = namespaceOf(values);
  const prefix = `${values["iceberg.database_name"]}.`;
  const names = [
    parseTableName(name),
    name.startsWith(prefix) ? { namespace, table: name.slice(prefix.length) } : null,
    { namespace, table: name },
  ];
  return names.filter((each) => each !== null);
}

function writes({ values }: PipelineConfig, name: string): boolean {
  const fed = topicsOf(values).flatMap((topic) => knownTableFor(values, topic) ?? []);
  return [...fed, ...tablesBeside(values).map((each) => each.name)].some((own) => {
    const forms = [own.table, `${values["iceberg.database_name"]}.${own.table}`, fullName(own)];
    return forms.includes(name);
  });
}

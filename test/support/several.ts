/**
 * Several topics, pipelines and tables in one process: its configuration, its `/status`, the commands
 * that an operator gives it meanwhile, and the verdict of foreign readers.
 */

import { join } from "node:path";
import { fullName } from "#catalog/names.ts";
import { judgeTable, readTopic, type Verdict } from "../../scripts/judge/judge.ts";
import { temporaryFolder, until } from "../../scripts/services/process.ts";
import {
  type Config,
  type PipelineSections,
  type Product,
  type ProductOptions,
  startProduct,
} from "../../scripts/services/product.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const WAIT_MS = 30_000;

/** A folder with a file catalog, in which one configuration is run any number of times. */
export interface Place {
  readonly folder: string;
  readonly options: ProductOptions;
}

/** What {@link newPlace} takes. */
export interface PlaceOptions {
  readonly bootstrap: string;
  /** Over the shared sections, key by key. */
  readonly config?: Config;
  readonly pipelines?: readonly PipelineSections[];
}

/** A new folder; commits are due after 150 ms. */
export async function newPlace(name: string, wanted: PlaceOptions): Promise<Place> {
  const folder = await temporaryFolder(name);
  const shared: Config = {
    kafka: { bootstrap_servers: wanted.bootstrap, consumer_group: name },
    iceberg: { catalog_type: "file", warehouse_path: "warehouse" },
    "iceberg.commit": { interval_ms: 150 },
    state: { dir: "state" },
    logging: { format: "json" },
  };
  const config: Record<string, Config[string]> = { ...shared };
  for (const [section, values] of Object.entries(wanted.config ?? {})) {
    config[section] = { ...config[section], ...values };
  }
  return { folder, options: { folder, config, pipelines: wanted.pipelines ?? [] } };
}

/** Starts the product; with `env` for failpoints. */
export function start(place: Place, env: Readonly<Record<string, string>> = {}): Promise<Product> {
  return startProduct({ ...place.options, env });
}

/** Runs `run --until-end`; the exit code, or an error with the log's tail when it is not 0. */
export async function runToEnd(place: Place): Promise<void> {
  const product = await startProduct({ ...place.options, command: ["run", "--until-end"] });
  const code = await product.exited;
  if (code !== 0) throw new Error(`run --until-end: ${code}\n${product.log().slice(-3000)}`);
}

/** A command beside the running process, on its configuration. */
export async function command(
  place: Place,
  ...words: readonly string[]
): Promise<{ readonly code: number; readonly out: string }> {
  const config = join(place.folder, "config.toml");
  const child = Bun.spawn([process.execPath, MAIN, ...words, "--config", config], {
    cwd: place.folder,
    stdout: "pipe",
    stderr: "pipe",
  });
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()];
  const out = (await Promise.all(texts)).join("");
  return { code: await child.exited, out };
}

/** A table as `/status` shows it. */
export interface TableReport {
  readonly table: string;
  readonly state: string;
  readonly rowsCommitted: number;
  readonly lastError: string | null;
}

/** A pipeline as `/status` shows it. */
export interface PipelineReport {
  readonly name: string;
  readonly state: string;
  readonly tables: readonly TableReport[];
  readonly lastError: string | null;
}

/** The pipelines of a running process; none while its server is not there yet. */
export async function pipelines(product: Product): Promise<readonly PipelineReport[]> {
  const status = await product.status().catch(() => ({ pipelines: [] }));
  return (status as { readonly pipelines: readonly PipelineReport[] }).pipelines;
}

/** Rows that the process has committed to `default.<table>`, over its pipelines. */
export async function rowsCommitted(product: Product, table: string): Promise<number> {
  const tables = (await pipelines(product)).flatMap((each) => each.tables);
  const name = fullName({ namespace: ["default"], table });
  return tables
    .filter((each) => each.table === name)
    .reduce((sum, each) => sum + each.rowsCommitted, 0);
}

/** Waits until the process has committed exactly so many rows to `default.<table>`. */
export async function committed(
  product: Product,
  table: string,
  rows: number,
  timeoutMs: number = WAIT_MS,
): Promise<void> {
  let last = -1;
  const reached = async (): Promise<boolean> => {
    last = await rowsCommitted(product, table);
    return last >= rows;
  };
  try {
    await until(`${rows} rows in ${table}`, reached, timeoutMs);
  } catch (error) {
    throw new Error(`${last} of ${rows} rows in ${table}\n${product.log().slice(-3000)}`, {
      cause: error,
    });
  }
  if (last > rows) throw new Error(`${last} rows in ${table}, expected ${rows}`);
}

/** A topic, and its broker. */
export interface Source {
  readonly bootstrap: string;
  readonly topic: string;
}

/** Judges `default.<table>` against all topics that feed it, in every retained snapshot. */
export async function verdict(
  place: Place,
  table: string,
  sources: readonly Source[],
): Promise<Verdict> {
  const topics = await Promise.all(
    sources.map(({ bootstrap, topic }) => readTopic(bootstrap, topic)),
  );
  const folder = join(place.folder, "warehouse", "default", table);
  return judgeTable({ table: { folder }, topics, readers: ["duckdb"] });
}

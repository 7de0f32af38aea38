/**
 * The product under test, as a child process; the configuration that most conformance tests share.
 */
import { join } from "node:path";
import {
  type Config,
  type Product,
  type ProductOptions,
  startProduct,
} from "../../scripts/services/product.ts";

/** What {@link fileTable} needs. */
export interface FileTable {
  readonly bootstrap: string;
  readonly topic: string;
  /** Warehouse folder. */
  readonly warehouse: string;
  /** Merged over the shared configuration, section by section. */
  readonly config?: Config;
}

/** Configuration of a topic into a file catalog with a local warehouse: `default.<topic>`. */
export function fileTable({ bootstrap, topic, warehouse, config = {} }: FileTable): Config {
  const shared: Config = {
    kafka: { bootstrap_servers: bootstrap, topic, consumer_group: `group-${topic}` },
    iceberg: { catalog_type: "file", warehouse_path: warehouse },
    logging: { format: "json" },
  };
  const merged: Record<string, Config[string]> = { ...shared };
  for (const [name, section] of Object.entries(config)) {
    merged[name] = { ...merged[name], ...section };
  }
  return merged;
}

/** Folder of a file catalog's table, for {@link judgeTable}. */
export function tableFolder(warehouse: string, topic: string): string {
  return join(warehouse, "default", topic);
}

/** Runs `run --until-end` to its end; returns the ended process, whose exit code was `exitCode`. */
export async function runUntilEnd(
  options: ProductOptions,
): Promise<{ readonly product: Product; readonly exitCode: number }> {
  const product = await startProduct({ command: ["run", "--until-end"], ...options });
  return { product, exitCode: await product.exited };
}

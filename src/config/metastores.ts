/**
 * Configuration -> settings of the Glue catalog, and what keys it needs of each other.
 */
import type { GlueCatalogOptions } from "#catalog/glue/glue.ts";
import { metastoreForm, parseNamespace } from "#catalog/names.ts";
import type { PipelineValues } from "./keys.ts";

/** Longest wait for an answer of a metastore. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Of reads; the circuit breaker's waits come on top. */
const RETRY = { retriesMax: 3, baseDelayMs: 200, delayMsMax: 5000 } as const;

/**
 * `[iceberg.glue]`.
 * @param warehouse `iceberg.warehouse_path` where it was set; null: databases say where tables live
 */
export function glueOptions(values: PipelineValues, warehouse: string | null): GlueCatalogOptions {
  return {
    region: values["iceberg.glue.region"],
    endpoint: values["iceberg.glue.endpoint"],
    catalogId: values["iceberg.glue.catalog_id"],
    roleArn: values["iceberg.glue.role_arn"],
    skipArchive: values["iceberg.glue.skip_archive"],
    warehouse,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    connectionsMax: values["iceberg.catalog_manager.connection_pool_size"],
    retry: RETRY,
  };
}

type Key = keyof PipelineValues & string;

/** Reports names that Glue does not keep as they are, and addresses that are none. */
export function checkMetastore({
  values,
  report,
}: {
  readonly values: PipelineValues;
  readonly report: (key: Key, problem: string) => void;
}): void {
  if (values["iceberg.catalog_type"] !== "glue") return;
  const service = "Glue";
  const [database = "", ...further] = parseNamespace(values["iceberg.database_name"]) ?? [];
  if (further.length > 0) report("iceberg.database_name", `must be one level in ${service}`);
  const names = [
    ["iceberg.database_name", database],
    ["iceberg.table_name", values["iceberg.table_name"] ?? ""],
    ["iceberg.table_prefix", values["iceberg.table_prefix"]],
  ] as const;
  for (const [key, template] of names) {
    const name = template.replaceAll(/\{[^{}]*\}/g, "");
    if (metastoreForm(name) === name) continue;
    const nearest = JSON.stringify(metastoreForm(name));
    report(key, `may hold a-z, 0-9 and _ in ${service}; the nearest is ${nearest}`);
  }
  const endpoint = values["iceberg.glue.endpoint"];
  if (endpoint !== null && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    report("iceberg.glue.endpoint", "must be a URL that begins with https:// or http://");
  }
}

/**
 * Configuration -> settings of the Glue and Hive catalogs, and what keys they need of each other.
 */
import type { GlueCatalogOptions } from "#catalog/glue/glue.ts";
import type { MetastoreAddress } from "#catalog/hive/connection.ts";
import type { HiveCatalogOptions } from "#catalog/hive/hive.ts";
import { metastoreForm, parseNamespace } from "#catalog/names.ts";
import type { PipelineValues } from "./keys.ts";

const SECOND_MS = 1000;
const PORT_MAX = 65_535;
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
    requestTimeoutMs: values["iceberg.glue.request_timeout_seconds"] * SECOND_MS,
    connectionsMax: values["iceberg.catalog_manager.connection_pool_size"],
    retry: RETRY,
  };
}

/** `[iceberg.hive]`; that its addresses are some was checked when loading. */
export function hiveOptions(
  values: PipelineValues,
  warehouse: string | null,
  instanceId: string,
): HiveCatalogOptions {
  const user = values["iceberg.hive.username"];
  const password = values["iceberg.hive.password"] ?? "";
  return {
    addresses: hiveAddresses(values["iceberg.hive.metastore_uri"]) ?? [],
    login: user === null ? null : { user, password },
    instanceId,
    warehouse,
    requestTimeoutMs: values["iceberg.hive.request_timeout_seconds"] * SECOND_MS,
    connectionsMax: values["iceberg.catalog_manager.connection_pool_size"],
    retry: RETRY,
  };
}

/** `thrift://host:port`, several divided by commas; null when one is none. */
function hiveAddresses(text: string): MetastoreAddress[] | null {
  const addresses = text.split(",").map((each) => {
    const [, host, port] =
      /^thrift:\/\/(?:\[([^\]]+)\]|([^:/\s]+)):(\d{1,5})\/?$/
        .exec(each.trim())
        ?.filter((part) => part !== undefined) ?? [];
    return { host: host ?? "", port: Number(port ?? 0) };
  });
  return addresses.every(({ port }) => port > 0 && port <= PORT_MAX) ? addresses : null;
}

/** Whether the catalog is one of those that keep few characters of a name as they are. */
export function isMetastore(values: PipelineValues): boolean {
  return values["iceberg.catalog_type"] === "glue" || values["iceberg.catalog_type"] === "hive";
}

type Key = keyof PipelineValues & string;

/** Reports names that Glue and Hive do not keep as they are, and addresses that are none. */
export function checkMetastore({
  values,
  report,
}: {
  readonly values: PipelineValues;
  readonly report: (key: Key, problem: string) => void;
}): void {
  if (!isMetastore(values)) return;
  const isHive = values["iceberg.catalog_type"] === "hive";
  const service = isHive ? "the Hive Metastore" : "Glue";
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
  if (isHive && hiveAddresses(values["iceberg.hive.metastore_uri"]) === null) {
    report("iceberg.hive.metastore_uri", "must be thrift://host:port, several divided by commas");
  }
  if (values["iceberg.hive.password"] !== null && values["iceberg.hive.username"] === null) {
    report("iceberg.hive.password", "needs iceberg.hive.username");
  }
  const endpoint = values["iceberg.glue.endpoint"];
  if (endpoint !== null && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    report("iceberg.glue.endpoint", "must be a URL that begins with https:// or http://");
  }
}

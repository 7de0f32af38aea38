/**
 * The one table of configuration keys: joined from the sections, with aliases and look-ups.
 *
 * A key is declared once, in `keys*.ts`; validation, the typed result, `config.example.toml` and
 * docs/CONFIG.md come from there. Golden tests hold both files current.
 */
import { CATALOG_KEYS, ICEBERG_KEYS, WRITE_KEYS } from "./keysIceberg.ts";
import { KAFKA_KEYS } from "./keysKafka.ts";
import { PROCESS_KEYS } from "./keysProcess.ts";
import { REST_KEYS } from "./keysRest.ts";
import { DEAD_LETTER_KEYS, REGISTRY_KEYS, SCHEMA_KEYS, SOURCE_KEYS } from "./keysSource.ts";
import { MAINTENANCE_KEYS, PARTITIONING_KEYS, STORAGE_KEYS } from "./keysStorage.ts";
import type { KeyTable, ValuesOf } from "./spec.ts";

/** Keys that a pipeline has of its own. */
export type PipelineValues = ValuesOf<
  typeof KAFKA_KEYS &
    typeof SOURCE_KEYS &
    typeof REGISTRY_KEYS &
    typeof SCHEMA_KEYS &
    typeof ICEBERG_KEYS &
    typeof CATALOG_KEYS &
    typeof REST_KEYS &
    typeof WRITE_KEYS &
    typeof STORAGE_KEYS &
    typeof PARTITIONING_KEYS &
    typeof MAINTENANCE_KEYS &
    typeof DEAD_LETTER_KEYS
>;

/** Keys of the process. */
export type ProcessValues = ValuesOf<typeof PROCESS_KEYS>;

/** The key tables of a pipeline, in the order of the documentation. */
export const PIPELINE_TABLE: KeyTable = {
  ...KAFKA_KEYS,
  ...SOURCE_KEYS,
  ...REGISTRY_KEYS,
  ...SCHEMA_KEYS,
  ...ICEBERG_KEYS,
  ...CATALOG_KEYS,
  ...REST_KEYS,
  ...WRITE_KEYS,
  ...STORAGE_KEYS,
  ...PARTITIONING_KEYS,
  ...MAINTENANCE_KEYS,
  ...DEAD_LETTER_KEYS,
};

/** The key table of the process. */
export const PROCESS_TABLE: KeyTable = PROCESS_KEYS;

/** All keys. */
export const ALL_KEYS: KeyTable = { ...PIPELINE_TABLE, ...PROCESS_TABLE };

/** Other names of keys (SPEC section 3, from the requirement documents). */
export const ALIASES: Readonly<Record<string, string>> = {
  "iceberg.file.warehouse_path": "iceberg.warehouse_path",
  "iceberg.glue.warehouse_path": "iceberg.warehouse_path",
  "iceberg.hive.warehouse_path": "iceberg.warehouse_path",
  "iceberg.file.s3_access_key": "storage.s3.access_key_id",
  "iceberg.file.s3_secret_key": "storage.s3.secret_access_key",
  "iceberg.file.s3_endpoint": "storage.s3.endpoint",
  "iceberg.rest.s3_access_key": "storage.s3.access_key_id",
  "iceberg.rest.s3_secret_key": "storage.s3.secret_access_key",
  "iceberg.rest.s3_endpoint": "storage.s3.endpoint",
  "iceberg.table_management.partition_strategy": "partitioning.partition_strategy",
};

/** True when the value is shown to nobody. */
export function isSecret(path: string): boolean {
  return ALL_KEYS[ALIASES[path] ?? path]?.secret === true;
}

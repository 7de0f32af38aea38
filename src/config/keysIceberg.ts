/**
 * The keys of `[iceberg]`: catalog, table, files and commits (SPEC section 4).
 */

/** Keys of `[iceberg]` itself: catalog, names, and table management. */
export const ICEBERG_KEYS = {
  "iceberg.catalog_type": {
    type: "string",
    default: "file",
    values: ["file", "sql", "rest", "glue", "hive", "nessie"],
    doc: "Where tables are registered. `file` needs nothing but the warehouse.",
  },
  "iceberg.warehouse_path": {
    type: "string",
    default: "./warehouse",
    doc: "Where tables live: a local path, s3://, gs:// or abfss://: [STORAGE](STORAGE.md).",
  },
  "iceberg.database_name": {
    type: "string",
    default: "default",
    doc: "The namespace of the tables; its levels joined by dots, `\\.` for a dot within a level. May hold the placeholders of `table_name`, which never make a level of their own.",
  },
  "iceberg.table_name": {
    type: "string",
    default: null,
    example: '"events"',
    doc: "The table; may hold `{topic}`, the topic's name, and of one such as Debezium's `prefix.schema.table` `{schema}` and `{table}`, its last two parts. None: the topic's name as it is, dots included: two topics never meet in one table by their names. A name without `{topic}` may bring some together; `check` and a start say which. Of two names that differ by case only, one is not made. In glue and hive what a topic brings is put in lower case, with _ for all but letters and digits.",
  },
  "iceberg.table_prefix": {
    type: "string",
    default: "",
    doc: "Put before every table name.",
  },
  "iceberg.max_tables": {
    type: "integer",
    default: 2000,
    min: 1,
    max: 100_000,
    doc: "Tables of one pipeline, where topics come by `topic_pattern`: those beyond it are not read, and an error names them. Tables beside them (dead letters, late rows, logs of changes) are not counted. Where records name tables (`route_field`), the topic's own table stops in front of a record that names one too many. A thousand quiet tables take about 300 MiB.",
  },
  "iceberg.route_field": {
    type: "string",
    default: null,
    example: '"type"',
    doc: "Fans each topic out into a table per value of this field, a path with dots. Text, whole numbers, enums, `true` and `false` name tables; records without such a value stay in the topic's own table (`table_name`).",
  },
  "iceberg.route_table": {
    type: "string",
    default: null,
    example: '"{topic}_{route}"',
    doc: "The table of a value of `route_field`; holds `{route}`, the value, once, and may hold what `table_name` may. None: `{topic}_{route}`. A table is made with the first record that names it, `max_tables` at most.",
  },
  "iceberg.routes": {
    type: "map",
    default: {},
    doc: 'Only these values of `route_field` name tables, and these are their names: {"click" = "clicks", "view" = "views"}. Records with others stay in the topic\'s own table. Excludes `route_table`.',
  },
  "iceberg.branch": {
    type: "string",
    default: "main",
    doc: "The branch that is committed to.",
  },
  "iceberg.table_management.auto_create_if_missing": {
    type: "boolean",
    default: true,
    doc: "Create tables that are not there; false: a missing table is exit 2 at start.",
  },
  "iceberg.table_management.schema_mismatch_action": {
    type: "string",
    default: "fail",
    values: ["fail", "evolve", "warn"],
    doc: "The topic's declared schema against the table's: `fail` stops that table.",
  },
} as const;

/** Keys of `[iceberg.write]` and `[iceberg.commit]`. */
export const WRITE_KEYS = {
  "iceberg.write.target_file_size_mb": {
    type: "integer",
    default: 512,
    min: 1,
    max: 10_240,
    doc: "MiB after which a data file is closed within one flush; Iceberg's own default. The table's write.target-file-size-bytes comes first unless this is set.",
  },
  "iceberg.write.compression": {
    type: "string",
    default: "snappy",
    values: ["none", "snappy", "gzip", "lz4", "zstd", "brotli"],
    doc: "Codec of Parquet pages. The default costs the least CPU; zstd makes smaller files.",
  },
  "iceberg.write.compression_level": {
    type: "integer",
    default: null,
    example: "3",
    min: 0,
    max: 22,
    doc: "Level for gzip, zstd and brotli; none: the codec's default.",
  },
  "iceberg.write.format_version": {
    type: "integer",
    default: 2,
    min: 2,
    max: 3,
    doc: "Format of tables that we create; tables are never upgraded silently. The default is read by every engine.",
  },
  "iceberg.write.row_group_rows": {
    type: "integer",
    default: 122_880,
    min: 1,
    max: 10_000_000,
    doc: "Rows per row group: DuckDB's default, 60 of its vectors.",
  },
  "iceberg.write.row_group_size_mb": {
    type: "integer",
    default: 16,
    min: 1,
    max: 1024,
    doc: "MiB of encoded data after which a row group ends before it has its rows, so that memory is freed while a file is written: estimated from the row groups before it. The table's write.parquet.row-group-size-bytes comes first unless this is set.",
  },
  "iceberg.write.max_open_files": {
    type: "integer",
    default: 10,
    min: 1,
    max: 10_000,
    doc: "Data files of a flush open at once: begun and not yet durable. They are encoded one after the other, so memory does not grow with it; many small files on a distant store are faster with more.",
  },
  "iceberg.write.delete_mode": {
    type: "string",
    default: "auto",
    values: ["auto", "deletion-vector", "position", "equality", "copy-on-write", "append-dedupe"],
    doc: "ktable and cdc: how rows are deleted. `auto`: by deletion vectors in a table of format v3, by position delete files in one of v2, as the table is at each commit; both find rows in an index of the keys. `equality`: by files of keys, which need no index but cost every reader, and which some cannot read. `copy-on-write`: the files that hold them are written anew in the same commit, so that there are no deletes to read. `append-dedupe`: they stay, every change is a row; `<table>_latest` in `/query` and `query` shows the newest of each key, and compaction leaves overtaken ones out ([CHANGE_DATA](CHANGE_DATA.md#ways-to-delete)).",
  },
  "iceberg.write.sort_order": {
    type: "strings",
    default: [],
    doc: 'How rows are sorted within files of tables that we create, e.g. ["ts desc", "user_id", "name nulls last"]: the table\'s sort order. Files of any table are sorted by its order where that is of columns alone; rows of a flush are copied once for it. Files that a compaction writes are sorted by it as well, also where it has a transform that the engine can order by, and of tables with a key ([MAINTENANCE](MAINTENANCE.md#sorted-files)).',
  },
  "iceberg.write.bloom_filter_columns": {
    type: "strings",
    default: [],
    doc: 'Columns with a bloom filter in each row group, e.g. ["user_id", "device.id"], so that readers skip files that lack a value: 1.2 bytes for each distinct value, at most 1 MiB. Tables that we create say so in write.parquet.bloom-filter-enabled.column.*; files of any table have those that it names, too, of up to write.parquet.bloom-filter-max-bytes, at most 8 MiB. Files that a compaction writes have those that properties of the table name where it copies pages, else none.',
  },
  "iceberg.write.properties": {
    type: "map",
    default: {},
    doc: 'Iceberg properties of tables that we create, e.g. {"owner" = "team"}.',
  },
  "iceberg.commit.interval_ms": {
    type: "integer",
    default: 5000,
    min: 100,
    max: 86_400_000,
    doc: "A commit is due when the oldest buffered row is this old. 5 s keeps lag and the number of files low.",
  },
  "iceberg.commit.max_rows": {
    type: "integer",
    default: 0,
    min: 0,
    max: 1_000_000_000,
    doc: "A commit is also due at this many rows; 0: no such bound.",
  },
  "iceberg.commit.max_size_mb": {
    type: "integer",
    default: 128,
    min: 1,
    max: 65_536,
    doc: "A commit is also due at this many MiB of buffered columns.",
  },
  "iceberg.commit.together": {
    type: "boolean",
    default: false,
    doc: "Commit tables that are filled by the same topics in one request, where the catalog offers it (REST, Nessie): readers see the commits of all of them or of none. Each then waits for the slowest; dead letters and late rows come before, as ever.",
  },
  "iceberg.commit.max_retries": {
    type: "integer",
    default: 5,
    min: 0,
    max: 1000,
    doc: "Attempts after the first; then the segments stay sealed, /health says degraded, and it is tried again at the next interval.",
  },
} as const;

/** Keys of the catalogs. */
export const CATALOG_KEYS = {
  "iceberg.sql.uri": {
    type: "string",
    default: "sqlite:catalog.db",
    doc: "The catalog's database: sqlite:<path>, or postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=<file>; percent-encode the password. sslmode: disable, prefer (default), require, verify-ca, verify-full.",
  },
  "iceberg.sql.name": {
    type: "string",
    default: "default",
    doc: "The catalog's name in that database, as Java's JdbcCatalog and PyIceberg's SqlCatalog keep it.",
  },
  "iceberg.glue.region": {
    type: "string",
    default: null,
    example: '"us-east-1"',
    doc: "The Glue catalog's region; none: as the environment or profile says (AWS_REGION).",
  },
  "iceberg.glue.catalog_id": {
    type: "string",
    default: null,
    example: '"123456789012"',
    doc: "The account whose catalog it is; none: the login's own.",
  },
  "iceberg.glue.role_arn": {
    type: "string",
    default: null,
    example: '"arn:aws:iam::123456789012:role/IcebergRole"',
    doc: "A role to assume for calls to Glue, with the login of the AWS provider chain; the store keeps its own.",
  },
  "iceberg.glue.endpoint": {
    type: "string",
    default: null,
    example: '"http://localhost:5000"',
    doc: "Another address than AWS's: a VPC endpoint, a compatible service that enforces VersionId.",
  },
  "iceberg.glue.skip_archive": {
    type: "boolean",
    default: true,
    doc: "Do not keep old table versions in Glue, of which an account has a limited number.",
  },
  "iceberg.glue.request_timeout_seconds": {
    type: "integer",
    default: 30,
    min: 1,
    max: 3600,
    doc: "Longest wait for an answer of Glue.",
  },
  "iceberg.hive.metastore_uri": {
    type: "string",
    default: "thrift://localhost:9083",
    doc: "The Hive Metastore; several of one database, divided by commas: the first that answers is used.",
  },
  "iceberg.hive.username": {
    type: "string",
    default: null,
    example: '"ingest"',
    doc: "Sign in by SASL PLAIN; none: without.",
  },
  "iceberg.hive.password": {
    type: "string",
    default: null,
    example: '"${HIVE_PASSWORD}"',
    secret: true,
    doc: "The password.",
  },
  "iceberg.hive.request_timeout_seconds": {
    type: "integer",
    default: 30,
    min: 1,
    max: 3600,
    doc: "Longest wait for an answer of the metastore.",
  },
  "iceberg.nessie.uri": {
    type: "string",
    default: null,
    example: '"http://localhost:19120/iceberg"',
    doc: "Nessie's Iceberg REST address, without branch.",
  },
  "iceberg.nessie.ref": {
    type: "string",
    default: "main",
    doc: "The Nessie branch.",
  },
  "iceberg.nessie.auth": {
    type: "string",
    default: null,
    example: '"${NESSIE_TOKEN}"',
    secret: true,
    doc: "A bearer token.",
  },
  "iceberg.catalog_manager.connection_pool_size": {
    type: "integer",
    default: 5,
    min: 1,
    max: 1000,
    doc: "Connections to a catalog server, for each pipeline; file and SQLite hold none.",
  },
  "iceberg.catalog_manager.health_check_interval_seconds": {
    type: "integer",
    default: 60,
    min: 1,
    max: 86_400,
    doc: "Time between health checks of the catalog.",
  },
  "iceberg.catalog_manager.reconnect_backoff_ms": {
    type: "integers",
    default: [100, 500, 2000, 5000],
    min: 1,
    max: 3_600_000,
    doc: "Waits between tries while the catalog is away; the last one repeats.",
  },
  "iceberg.catalog_manager.circuit_breaker_failures": {
    type: "integer",
    default: 5,
    min: 1,
    max: 1000,
    doc: "Failures in a row that open the circuit breaker: the catalog is then left alone for a while.",
  },
  "iceberg.catalog_manager.circuit_breaker_reset_ms": {
    type: "integer",
    default: 30_000,
    min: 1,
    max: 3_600_000,
    doc: "How long it stays open before one trial call.",
  },
  "iceberg.metadata_cache.snapshot_ttl_ms": {
    type: "integer",
    default: 1000,
    min: 0,
    max: 86_400_000,
    doc: "How long a loaded head serves reads (GET /tables/NAME); never commits or seeks. A commit of ours replaces it.",
  },
  "iceberg.metadata_cache.manifest_ttl_ms": {
    type: "integer",
    default: 60_000,
    min: 0,
    max: 86_400_000,
    doc: "The same for manifests.",
  },
  "iceberg.metadata_cache.schema_ttl_ms": {
    type: "integer",
    default: 300_000,
    min: 0,
    max: 86_400_000,
    doc: "The same for schemas.",
  },
  "iceberg.encryption.key_id": {
    type: "string",
    default: null,
    example: '"alias/iceberg"',
    doc: "Parquet modular encryption.",
    unbuilt: "encryption",
  },
  "iceberg.encryption.kms": {
    type: "string",
    default: null,
    example: '"aws"',
    doc: "Where the key is kept.",
    unbuilt: "encryption",
  },
} as const;

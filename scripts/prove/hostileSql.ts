/**
 * Statements that want something that SQL may not do here (SPEC section 7), and what has to become of
 * each. `CANARY` is a file with a secret, `TARGET` a path that must not come into being, `URL` a server
 * that must not be asked; `t` is a small table.
 */

/**
 * What has to happen.
 * - `refused`: an error, before anything runs.
 * - `stopped`: an error, also where the statement runs for a while: a limit of memory, rows or time.
 * - `harmless`: an answer or an error, and no effect.
 */
export type Verdict = "refused" | "stopped" | "harmless";

/** Reads files, or lists them. */
const FILES = `
SELECT * FROM read_csv('CANARY')
SELECT * FROM read_csv_auto('CANARY')
SELECT * FROM READ_CSV('CANARY')
SELECT * FROM "read_csv"('CANARY')
SELECT * FROM main.read_csv('CANARY')
SELECT * FROM system.main.read_csv('CANARY')
SELECT * FROM read_text('CANARY')
SELECT * FROM read_blob('CANARY')
SELECT * FROM read_json('CANARY')
SELECT * FROM read_json_auto('CANARY')
SELECT * FROM read_json_objects('CANARY')
SELECT * FROM read_ndjson('CANARY')
SELECT * FROM read_ndjson_auto('CANARY')
SELECT * FROM read_ndjson_objects('CANARY')
SELECT * FROM read_parquet('CANARY')
SELECT * FROM parquet_scan('CANARY')
SELECT * FROM parquet_schema('CANARY')
SELECT * FROM parquet_metadata('CANARY')
SELECT * FROM parquet_file_metadata('CANARY')
SELECT * FROM parquet_kv_metadata('CANARY')
SELECT * FROM parquet_bloom_probe('CANARY', 'a', 1)
SELECT * FROM sniff_csv('CANARY')
SELECT * FROM glob('/*')
SELECT * FROM glob('CANARY')
SELECT * FROM 'CANARY'
SELECT * FROM 'CANARY' AS c
SELECT * FROM "CANARY"
FROM 'CANARY'
FROM '/etc/passwd'
FROM 'file:///etc/passwd'
TABLE 'CANARY'
SELECT * FROM t, read_text('CANARY')
SELECT * FROM t JOIN read_text('CANARY') ON true
SELECT * FROM t WHERE EXISTS (SELECT * FROM read_text('CANARY'))
SELECT (SELECT content FROM read_text('CANARY'))
SELECT (SELECT (SELECT content FROM read_text('CANARY')))
WITH a AS (SELECT * FROM read_text('CANARY')) SELECT * FROM a
WITH a AS MATERIALIZED (SELECT * FROM read_text('CANARY')) SELECT * FROM a
WITH RECURSIVE a AS (SELECT content FROM read_text('CANARY') UNION ALL SELECT content FROM a) SELECT * FROM a LIMIT 1
SELECT * FROM t UNION ALL SELECT content FROM read_text('CANARY')
SELECT * FROM t EXCEPT SELECT content FROM read_text('CANARY')
SELECT * FROM t ORDER BY (SELECT content FROM read_text('CANARY'))
SELECT * FROM t LIMIT (SELECT count(*) FROM read_text('CANARY'))
SELECT count(*) FILTER (WHERE (SELECT true FROM read_text('CANARY'))) FROM t
SELECT sum(x) OVER (PARTITION BY (SELECT content FROM read_text('CANARY'))) FROM t
SELECT x FROM t GROUP BY x HAVING (SELECT true FROM read_text('CANARY'))
SELECT x FROM t QUALIFY (SELECT true FROM read_text('CANARY'))
SELECT CASE WHEN true THEN (SELECT content FROM read_text('CANARY')) END
SELECT [(SELECT content FROM read_text('CANARY'))]
SELECT {'a': (SELECT content FROM read_text('CANARY'))}
SELECT list_transform([1], lambda x: (SELECT content FROM read_text('CANARY')))
VALUES ((SELECT content FROM read_text('CANARY')))
SELECT * FROM (VALUES (1), (2)) v, LATERAL (SELECT * FROM read_text('CANARY'))
SELECT * FROM (PIVOT (SELECT content FROM read_text('CANARY')) ON content USING count(*))
SELECT * FROM (UNPIVOT (SELECT content FROM read_text('CANARY')) ON content)
SELECT * FROM (DESCRIBE SELECT * FROM read_text('CANARY'))
SELECT * FROM (SUMMARIZE SELECT * FROM read_text('CANARY'))
DESCRIBE SELECT * FROM read_text('CANARY')
SUMMARIZE SELECT * FROM read_text('CANARY')
SUMMARIZE 'CANARY'
DESCRIBE 'CANARY'
EXPLAIN SELECT * FROM read_text('CANARY')
EXPLAIN ANALYZE SELECT * FROM read_text('CANARY')
SELECT * FROM t AT (VERSION => (SELECT 1 FROM read_text('CANARY')))
SELECT * FROM t TABLESAMPLE 1 ROWS, read_text('CANARY')
SELECT COLUMNS(*) FROM read_text('CANARY')
SELECT * FROM query('SELECT * FROM read_text(''CANARY'')')
SELECT * FROM query_table('CANARY')
SELECT * FROM query_table(['t', 'CANARY'])
SELECT * FROM json_execute_serialized_sql('{}')
PRAGMA json_execute_serialized_sql('{}')
`;

/** Writes files, or changes the engine. */
const WRITES = `
COPY t TO 'TARGET'
COPY (SELECT 1) TO 'TARGET'
COPY (SELECT 1) TO 'TARGET' (FORMAT parquet)
COPY t FROM 'CANARY'
COPY FROM DATABASE memory TO memory
EXPORT DATABASE 'TARGET'
IMPORT DATABASE 'TARGET'
ATTACH 'TARGET'
ATTACH 'TARGET' AS x (TYPE sqlite)
ATTACH ':memory:' AS x
ATTACH 'URL' AS x
DETACH memory
USE memory.main
CREATE TABLE x (i INT)
CREATE TEMP TABLE x (i INT)
CREATE TABLE x AS SELECT 1
CREATE OR REPLACE VIEW t AS SELECT 2
CREATE TEMP VIEW x AS SELECT 1
CREATE SCHEMA x
CREATE SEQUENCE x
CREATE TYPE x AS ENUM ('a')
CREATE MACRO x(a) AS a
CREATE TEMP MACRO lower(a) AS 'gone'
CREATE MACRO x(a) AS TABLE SELECT * FROM read_text(a)
CREATE SECRET x (TYPE s3, KEY_ID 'a', SECRET 'b')
CREATE PERSISTENT SECRET x (TYPE s3)
CREATE INDEX x ON t (x)
DROP VIEW t
DROP TABLE t
DROP SCHEMA main CASCADE
DROP SECRET x
ALTER TABLE t ADD COLUMN y INT
ALTER VIEW t RENAME TO u
INSERT INTO t VALUES (1)
INSERT INTO t SELECT 1 RETURNING *
UPDATE t SET x = 2
DELETE FROM t
TRUNCATE t
MERGE INTO t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE
COMMENT ON VIEW t IS 'x'
VACUUM
ANALYZE
CHECKPOINT
FORCE CHECKPOINT
BEGIN
COMMIT
ROLLBACK
ABORT
SELECT 1; COMMIT; CREATE TABLE x (i INT)
ROLLBACK; DROP VIEW t
PREPARE x AS SELECT 1
EXECUTE x
DEALLOCATE x
CALL pragma_version()
CALL duckdb_settings()
EXPLAIN DELETE FROM t
EXPLAIN ANALYZE DELETE FROM t
EXPLAIN ANALYZE INSERT INTO t VALUES (1)
EXPLAIN ANALYZE CREATE TABLE x (i INT)
EXPLAIN ANALYZE COPY (SELECT 1) TO 'TARGET'
EXPLAIN (FORMAT json) COPY (SELECT 1) TO 'TARGET'
EXPLAIN EXPLAIN ANALYZE DELETE FROM t
EXPLAIN ANALYZE EXPLAIN ANALYZE DELETE FROM t
explain	analyze	delete from t
/* c */ EXPLAIN ANALYZE DELETE FROM t
WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x
WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x
SELECT * FROM (DELETE FROM t RETURNING *)
SELECT nextval('x')
SELECT currval('x')
SELECT setseed(0.5)
SELECT write_log('x')
SELECT * FROM checkpoint()
SELECT * FROM force_checkpoint()
SELECT * FROM pragma_storage_info('t')
`;

/** Extensions, settings, secrets, network, environment, other tables of the engine. */
const ENGINE = `
INSTALL httpfs
INSTALL httpfs FROM 'URL'
FORCE INSTALL httpfs
LOAD httpfs
LOAD 'CANARY'
UPDATE EXTENSIONS
SET threads = 4
SET GLOBAL memory_limit = '100GB'
SET SESSION temp_directory = 'TARGET'
SET enable_external_access = true
SET lock_configuration = false
SET allowed_directories = ['/']
SET VARIABLE x = 1
RESET lock_configuration
RESET VARIABLE x
PRAGMA enable_profiling
PRAGMA profiling_output = 'TARGET'
PRAGMA database_size
PRAGMA version
PRAGMA table_info('t')
PRAGMA memory_limit = '100GB'
PRAGMA enable_logging
SHOW ALL TABLES
SHOW DATABASES
SHOW SCHEMAS
SHOW VARIABLES
SELECT * FROM 'URL/x.csv'
SELECT * FROM 'URL/x.parquet'
SELECT * FROM read_csv('URL/x.csv')
SELECT * FROM read_parquet('URL/x.parquet')
SELECT * FROM 's3://bucket/x.parquet'
SELECT * FROM read_parquet('s3://bucket/x.parquet')
SELECT * FROM 'hf://datasets/x/y.parquet'
SELECT * FROM 'gcs://bucket/x.parquet'
SELECT * FROM iceberg_scan('URL')
SELECT * FROM delta_scan('URL')
SELECT * FROM sqlite_scan('CANARY', 't')
SELECT * FROM postgres_scan('URL', 'a', 'b')
SELECT * FROM mysql_scan('URL', 'a', 'b')
SELECT * FROM st_read('CANARY')
SELECT * FROM read_xlsx('CANARY')
SELECT http_get('URL')
SELECT getenv('CANARY_SECRET')
SELECT "getenv"('CANARY_SECRET')
SELECT GetEnv('CANARY_SECRET')
SELECT main.getenv('CANARY_SECRET')
SELECT system.main.getenv('CANARY_SECRET')
SELECT list_transform(['CANARY_SECRET'], lambda x: getenv(x))
SELECT 'CANARY_SECRET'.getenv()
SELECT current_setting('allowed_directories')
SELECT main.current_setting('memory_limit')
SELECT 'memory_limit'.current_setting()
SELECT getvariable('x')
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_extensions()
SELECT * FROM duckdb_functions()
SELECT * FROM duckdb_databases()
SELECT * FROM duckdb_memory()
SELECT * FROM duckdb_logs()
SELECT * FROM duckdb_temporary_files()
SELECT * FROM duckdb_views()
SELECT * FROM which_secret('URL', 's3')
SELECT * FROM pragma_database_size()
SELECT * FROM pragma_platform()
SELECT * FROM pragma_user_agent()
SELECT * FROM arrow_scan(1, 2, 3)
SELECT * FROM arrow_scan_dumb(1, 2, 3)
SELECT * FROM pandas_scan(1)
SELECT * FROM seq_scan('t')
SELECT * FROM hot_rows(0)
SELECT * FROM kafka_iceberg_hot(0)
SELECT * FROM summary(TABLE t)
SELECT * FROM test_all_types()
SELECT * FROM repeat('x', 2000000000)
SELECT * FROM repeat_row('x', num_rows := 2000000000)
SELECT * FROM information_schema.tables
SELECT * FROM information_schema.schemata
SELECT * FROM pg_catalog.pg_class
SELECT * FROM duckdb_settings
SELECT * FROM sqlite_master
SELECT * FROM memory.main.t
SELECT * FROM system.information_schema.tables
SELECT * FROM temp.x
SELECT * FROM main."../../x"
SELECT sleep_ms(100000)
SELECT pg_sleep(100)
SELECT x.sleep_ms() FROM t
`;

/** Takes time or memory without an end. */
const ENDLESS = `
SELECT len(range(50000000))
SELECT len(range(0, 50000000, 1))
SELECT len(generate_series(50000000))
SELECT len(generate_series(0, 50000000))
SELECT len(range(x * 50000000)) FROM range(9) t(x)
SELECT (x * 50000000).range().len() FROM range(9) t(x)
SELECT repeat('x', 2000000000)
SELECT repeat('x', x * 2000000000) FROM range(9) t(x)
SELECT 'x'.repeat(2000000000)
SELECT repeat([1], 2000000000)
SELECT lpad('x', 2000000000, 'y')
SELECT rpad('x', 2000000000, 'y')
SELECT list_resize([1], 2000000000)
SELECT array_resize([1], 2000000000)
SELECT bitstring('1', 2000000000)
SELECT list_transform(range(5), lambda i: len(range(50000000 + i)))
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT * FROM r
WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM r) SELECT max(len(s)) FROM r
WITH RECURSIVE r(i) AS (SELECT 1 UNION SELECT i + 1 FROM r) SELECT count(*) FROM r
WITH RECURSIVE r(l) AS (SELECT [1] UNION ALL SELECT list_concat(l, l) FROM r) SELECT max(len(l)) FROM r
SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE (a.range * b.range) % 7 = 8
SELECT count(*) FROM range(100000) a, range(100000) b, range(100000) c WHERE a.range + b.range + c.range = -1
SELECT sum(a.range ^ b.range) FROM range(1000000000) a JOIN range(1000000000) b ON a.range < b.range
SELECT * FROM range(1000000000)
SELECT * FROM generate_series(1, 1000000000)
FROM range(1000000000) SELECT list(range)
SELECT string_agg(repeat('x', 1000), '') FROM range(100000000)
SELECT len(list(a.range)) FROM range(100000000) a
SELECT count(DISTINCT md5(range::VARCHAR)) FROM range(1000000000)
SELECT range FROM range(1000000000) ORDER BY hash(range) LIMIT 1 OFFSET 500000000
SELECT row_number() OVER (ORDER BY hash(range)) FROM range(1000000000)
SELECT sum(range) OVER (ORDER BY range ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING) FROM range(100000000)
SELECT mode(hash(range)) FROM range(1000000000)
SELECT median(hash(range)) FROM range(1000000000)
SELECT histogram(hash(range)) FROM range(1000000000)
SELECT regexp_matches(repeat('a', 1000000), '(a*)*b') FROM range(100000)
SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))
SELECT damerau_levenshtein(repeat('a', 20000), repeat('b', 20000))
SELECT jaro_winkler_similarity(repeat('a', 1000000), repeat('b', 1000000))
SELECT editdist3(repeat('a', 1000000), repeat('b', 1000000))
SELECT list_sort(range(1000000)) FROM range(1000000)
SELECT list_reduce(range(1000000), lambda a, b: a + b) FROM range(100000)
SELECT list_reduce(['x' FOR i IN range(60)], lambda a, b: a || a)
SELECT list_transform(range(1000000), lambda i: list_sum(range(1000000)))
SELECT [[i * j FOR j IN range(100000)] FOR i IN range(100000)]
SELECT flatten([range(1000000) FOR i IN range(1000000)])
SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))
SELECT regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000000), 'g')
SELECT translate(repeat('a', 1000000), 'a', 'b') FROM range(100000000)
SELECT string_split(repeat('a', 1000000), '') FROM range(100000)
SELECT array_to_string(range(1000000), repeat('x', 1000000))
SELECT list_aggregate(range(1000000), 'string_agg', repeat('x', 1000000))
SELECT format('{:2000000000}', 1)
SELECT format('{:>2000000000}', 'x')
SELECT printf('%2000000000d', 1)
SELECT printf('%*d', 2000000000, 1)
SELECT factorial(2000000000)
SELECT to_json(range(1000000)) FROM range(1000000)
SELECT json_group_array(range) FROM range(1000000000)
SELECT hex(repeat('x', 1000000)) FROM range(10000000)
SELECT list_zip(range(1000000), range(1000000)) FROM range(100000)
SELECT array_cross_product([1, 2, 3]::INT[3], [1, 2, 3]::INT[3]) FROM range(10000000000)
SELECT unnest(range(1000000)) FROM range(1000000)
SELECT * FROM range(9) AS a, range(9) AS b, range(1000000000) c, range(1000000000) d
SELECT generate_subscripts(range(1000000), 1) FROM range(1000000)
SELECT strftime(TIMESTAMP '2000-01-01', repeat('%c', 100000)) FROM range(1000000)
SELECT date_trunc('day', x) FROM (SELECT unnest(generate_series(TIMESTAMP '1900-01-01', TIMESTAMP '2100-01-01', INTERVAL 1 SECOND)) AS x)
SELECT len(generate_series(TIMESTAMP '1900-01-01', TIMESTAMP '2100-01-01', INTERVAL 1 MICROSECOND))
SELECT * FROM generate_series(TIMESTAMP '1900-01-01', TIMESTAMP '2100-01-01', INTERVAL 1 MICROSECOND)
`;

/** Odd, and allowed to be answered: it has only to leave everything as it was. */
const ODD = `
SELECT current_user, current_database(), current_schema(), version()
SELECT * FROM json_each('{"a": 1}')
SELECT * FROM json_tree('[[[[1]]]]')
SELECT * FROM unnest([1, 2, 3])
SELECT txid_current()
SELECT current_query()
SELECT json_serialize_sql('DROP VIEW t')
SELECT json_deserialize_sql(json_serialize_sql('SELECT 1'))
SELECT pg_typeof(1), typeof(x) FROM t
SELECT stats(x) FROM t
SELECT in_search_path('memory', 'main'), current_schemas(true)
SELECT get_current_timestamp()
SELECT alias(x) FROM t
SELECT error('x')
SELECT uuid(), random()
SELECT * FROM t; --
SELECT 1 AS "a'); DROP VIEW t; --"
SELECT '''); COMMIT; --'
SELECT 10::HUGEINT ** 2000000000
SELECT gamma(1e308)
SHOW TABLES
SELECT x AS "to_json(COLUMNS(*))" FROM t
SELECT * FROM t WHERE x = $1
SELECT * FROM t) UNION ALL (SELECT 2
`;

/** What doubles with each of forty levels, in calls that DuckDB neither counts nor interrupts. */
const DOUBLED = [
  ["'x'", "s || s"],
  ["'x'", "concat(s, s)"],
  ["'x'", "format('{}{}', s, s)"],
  ["'x'", "replace(s, 'x', 'xx')"],
  ["'x'", "array_to_string([s, s], s)"],
  ["[1]", "list_concat(s, s)"],
  ["[[1]]", "[s, s]"],
  ["{'a': 1}", "{'a': s, 'b': s}"],
  ["'1'::JSON", "json_array(s, s)"],
].map(([seed, double]) => {
  let sql = `SELECT ${seed} AS s`;
  for (let level = 0; level < 40; level++) sql = `SELECT ${double} AS s FROM (${sql})`;
  return `SELECT len(s::VARCHAR) FROM (${sql})`;
});

/** All statements with their verdicts. */
export const HOSTILE: readonly (readonly [sql: string, verdict: Verdict])[] = [
  ...DOUBLED.map((sql) => [sql, "stopped"] as const),
  ...lines(FILES, "refused"),
  ...lines(WRITES, "refused"),
  ...lines(ENGINE, "refused"),
  ...lines(ENDLESS, "stopped"),
  ...lines(ODD, "harmless"),
];

function lines(text: string, verdict: Verdict): [string, Verdict][] {
  const all = text.split("\n").filter((line) => line.trim() !== "");
  return all.map((line) => [line, verdict]);
}

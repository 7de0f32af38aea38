"""NDJSON to Parquet with DuckDB on one thread: floor.py INPUT OUTPUT CODEC. The second half of floor.ts."""

import sys

import duckdb

EVENT = """STRUCT(event_id VARCHAR, user_id BIGINT, event_type VARCHAR, ts BIGINT, url VARCHAR, amount DOUBLE, country VARCHAR,
  device STRUCT(os VARCHAR, version VARCHAR, width BIGINT), tags VARCHAR[], referrer VARCHAR)"""
LEVEL = {"zstd": ", compression_level 1", "snappy": ""}

source, target, codec = sys.argv[1:]
con = duckdb.connect()
con.execute("set threads = 1; set preserve_insertion_order = false; set TimeZone = 'UTC'")
columns = f"{{p: 'INTEGER', o: 'BIGINT', t: 'BIGINT', v: '{EVENT}'}}"
con.execute(
    f"copy (select unnest(v), p as _kafka_partition, o as _kafka_offset, epoch_ms(t)::TIMESTAMPTZ as _kafka_timestamp"
    f" from read_json('{source}', format = 'newline_delimited', columns = {columns}))"
    f" to '{target}' (format parquet, compression {codec}{LEVEL[codec]})"
)

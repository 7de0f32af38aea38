"""The target table: created for peers with PyIceberg, and checked from outside with PyIceberg and DuckDB.

One JSON job on standard input, one JSON answer on standard output.
{"do": "create", "sqlite", "warehouse", "namespace", "name", "properties", "coordinates"}: a JDBC catalog (schema V1, as Java
creates it) and in it the table of the benchmark's events; `coordinates` false leaves the _kafka_ columns out.
{"do": "check", "metadata" | "parquet", "partitions": {"0": [start, end]}, "seen"?: {"<sequence>": ms}, "sinceMs"?, "coordinates", "codec"}:
the rows of the head against the topic's offsets, the codec, sums over columns,
and with `seen` the freshness of each row.
"""

import json
import os
import sqlite3
import sys

import duckdb
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import DataFileContent, ManifestContent, ManifestEntryStatus
from pyiceberg.schema import Schema
from pyiceberg.table import StaticTable
from pyiceberg.types import (
    DoubleType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

# Two tasks of the Connect sink that open a new catalog at once race in creating these, and one dies for good.
CATALOG = """
create table iceberg_tables(catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL,
  table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000),
  iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name));
create table iceberg_namespace_properties(catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL,
  property_key VARCHAR(255), property_value VARCHAR(1000), PRIMARY KEY (catalog_name, namespace, property_key));
"""


def optional(number, name, kind):
    return NestedField(number, name, kind, required=False)


DEVICE = StructType(
    optional(12, "os", StringType()), optional(13, "version", StringType()), optional(14, "width", LongType())
)
EVENT = (
    optional(1, "event_id", StringType()),
    optional(2, "user_id", LongType()),
    optional(3, "event_type", StringType()),
    optional(4, "ts", LongType()),
    optional(5, "url", StringType()),
    optional(6, "amount", DoubleType()),
    optional(7, "country", StringType()),
    optional(8, "device", DEVICE),
    optional(9, "tags", ListType(element_id=15, element=StringType(), element_required=False)),
    optional(10, "referrer", StringType()),
)
COORDINATES = (
    optional(16, "_kafka_partition", IntegerType()),
    optional(17, "_kafka_offset", LongType()),
    optional(18, "_kafka_timestamp", TimestamptzType()),
)

SUMS = """count(*), sum(user_id)::VARCHAR, sum(ts)::VARCHAR, sum(round(amount * 1000)::BIGINT)::VARCHAR, count(referrer),
  sum(len(tags))::BIGINT, sum(device.width)::BIGINT, bit_xor(hash(event_id, url, country, device.os, tags))::VARCHAR"""


def create(job):
    with sqlite3.connect(job["sqlite"]) as database:
        database.executescript(CATALOG)
    uri = f"sqlite:///{job['sqlite']}"
    catalog = SqlCatalog("bench", uri=uri, warehouse=job["warehouse"], init_catalog_tables="false")
    catalog.create_namespace(job["namespace"])
    schema = Schema(*EVENT, *(COORDINATES if job["coordinates"] else ()))
    table = catalog.create_table(f"{job['namespace']}.{job['name']}", schema, properties=job["properties"])
    return {"metadata": table.metadata_location}


def check(job):
    con = duckdb.connect()
    con.execute("set threads = 2; set preserve_insertion_order = false; set TimeZone = 'UTC'")
    files = live_files(job["metadata"]) if "metadata" in job else {job["parquet"]: 0}
    paths = list(files)
    con.execute("create view r as select * from read_parquet($files, filename = true)".replace("$files", repr(paths)))
    sums = [str(v) for v in con.sql(f"select {SUMS} from r").fetchone()]
    violations = offsets(con, job) if job["coordinates"] else identities(con, job)
    violations += codecs(con, paths, job["codec"])
    size = sum(os.path.getsize(path) for path in paths)
    answer = {"rows": int(sums[0]), "sums": sums, "files": len(paths), "bytes": size, "violations": violations}
    if "seen" in job:
        answer["freshness"] = freshness(con, files, job)
    return answer


def live_files(metadata):
    """Data files of the head, as PyIceberg reads the manifests: path -> sequence number of its snapshot."""
    table = StaticTable.from_metadata(metadata)
    head = table.current_snapshot()
    files = {}
    for manifest in head.manifests(table.io):
        assert manifest.content == ManifestContent.DATA, "the table has delete files"
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            assert entry.status != ManifestEntryStatus.DELETED
            assert entry.data_file.content == DataFileContent.DATA
            path = entry.data_file.file_path.removeprefix("file://").removeprefix("file:")
            assert path not in files, f"{path} is listed twice"
            files[path] = entry.sequence_number
    return files


def offsets(con, job):
    """Differences between the rows' offsets and the topic's, which are dense here."""
    wanted = {int(p): tuple(range_) for p, range_ in job["partitions"].items()}
    found = con.sql(
        "select _kafka_partition, count(*), count(distinct _kafka_offset), min(_kafka_offset), max(_kafka_offset) + 1"
        " from r group by 1"
    ).fetchall()
    got = {p: (count, distinct, first, end) for p, count, distinct, first, end in found}
    right = {p: (end - start, end - start, start, end) for p, (start, end) in wanted.items() if end > start}
    return [f"partition {p}: {got.get(p)} instead of {right.get(p)}" for p in sorted(got.keys() | right.keys())
            if got.get(p) != right.get(p)]


def codecs(con, paths, wanted):
    """Pages of another codec than the wanted one; a writer may leave what does not shrink as it is."""
    found = con.sql(f"select distinct compression from parquet_metadata({paths!r})").fetchall()
    allowed = {wanted.upper(), "UNCOMPRESSED"}
    return [f"pages of codec {codec}" for (codec,) in found if codec not in allowed]


def identities(con, job):
    """Without offsets: as many rows as records, and all ids different."""
    total = sum(end - start for start, end in job["partitions"].values())
    got = con.sql("select count(*), count(distinct event_id) from r").fetchone()
    return [] if got == (total, total) else [f"{got} rows and ids instead of {total}"]


def freshness(con, files, job):
    """Milliseconds from a record's timestamp to the first sight of the snapshot that has it, over all rows."""
    con.execute("create table seen(file VARCHAR, ms DOUBLE)")
    con.executemany("insert into seen values (?, ?)", [(path, job["seen"][str(n)]) for path, n in files.items()])
    age = "seen.ms - epoch_ms(_kafka_timestamp)"
    p50, p99, most, least = con.sql(
        f"select quantile_disc({age}, 0.5), quantile_disc({age}, 0.99), max({age}), min({age})"
        f" from r join seen on r.filename = seen.file where epoch_ms(_kafka_timestamp) >= {job.get('sinceMs', 0)}"
    ).fetchone()
    return {"p50Ms": p50, "p99Ms": p99, "maxMs": most, "minMs": least}


if __name__ == "__main__":
    wanted = json.loads(sys.stdin.read())
    print(json.dumps({"create": create, "check": check}[wanted["do"]](wanted)))

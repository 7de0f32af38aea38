"""Judges a table against the topics that it was made from. One JSON job in argv[1], one JSON verdict out.

Job: {"table": tables.py, "s3"? (or another store: stores.py), "topics": [{"topic", "file", "partitions"}] (answers of reader.py), "readers": [...],
"snapshots": "all" | "head" | "none", "removed"?: [{"partition", "from", "to"}], "values": bool, "format": "json" | "string" | "bytes", "prefix": "_kafka_",
"first"?: {topic: {partition: offset}}, "foreignWriters"?: bool, "sparkRows"?: folder of Parquet files that spark.py wrote}.
"""

import json
import os
import sys
import tempfile
import time

import duckdb
import duckdb_extension_iceberg

import stores

from law import Law
from tables import Snapshots, local, metadata_location
from values import compare


def connect(s3):
    con = duckdb.connect(config={"threads": 2, "memory_limit": "3GB", "temp_directory": tempfile.gettempdir()})
    con.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
    packages = os.path.dirname(os.path.dirname(duckdb_extension_iceberg.__file__))
    for name in ("avro", "httpfs", "iceberg"):
        con.execute(f"load '{packages}/duckdb_extension_{name}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")
    if stores.is_other(s3):
        stores.register(con, s3)
    elif s3:
        endpoint = s3["endpoint"].split("//", 1)[1]
        con.execute(
            f"""create secret (type s3, key_id '{s3["accessKey"]}', secret '{s3["secretKey"]}', region '{s3["region"]}',
            endpoint '{endpoint}', url_style 'path', use_ssl {"true" if s3["endpoint"].startswith("https") else "false"})"""
        )
    return con


def load_topics(con, topics, removed):
    """Views `record` (everything that was not removed on purpose) and table `topic` (numbered offsets)."""
    parts = [
        f"""select '{t["topic"]}' as topic, partition as p, "offset" as o, timestamp as ts, key, value
        from read_parquet('{t["file"]}')"""
        for t in topics
    ]
    gone = " or ".join(f"""p = {r["partition"]} and o >= {r["from"]} and o < {r["to"]}""" for r in removed)
    con.execute(f"create view record as select * from ({' union all '.join(parts)}) where not ({gone or 'false'})")
    con.execute(
        "create table topic as select topic, p, o, row_number() over (partition by topic, p order by o) - 1 as r from record"
    )
    return {t["topic"]: {int(p): at for p, at in t["partitions"].items()} for t in topics}


def open_rows(con, reader, job, location):
    """Makes the relation that a reader sees in the head; returns its name."""
    name = f"rows_{reader}"
    if reader == "duckdb":
        con.execute(f"create or replace view {name} as select * from iceberg_scan('{local(location)}')")
    elif reader == "pyiceberg":
        table = Snapshots(location, job.get("s3")).table
        batches = table.scan().to_arrow_batch_reader()
        con.register("batches", batches)
        con.execute(f"create or replace table {name} as select * from batches")
        con.unregister("batches")
    elif reader == "spark":
        con.execute(f"create or replace view {name} as select * from read_parquet('{job['sparkRows']}/*.parquet')")
    else:
        raise SystemExit(f"no such reader: {reader}")
    return name


def head_bounds(con, law, snapshots, first):
    committed = snapshots.offsets(snapshots.head) or {}
    con.execute("create or replace table bounds (topic varchar, p integer, lo bigint, hi bigint)")
    for topic, partitions in committed.items():
        for p, offset in partitions.items():
            con.execute("insert into bounds values (?, ?, ?, ?)", [topic, p, first[topic, p], offset])
    return committed


def judge(job):
    began = time.time()
    con = connect(job.get("s3"))
    topics = load_topics(con, job["topics"], job.get("removed", []))
    location = metadata_location(job["table"], job.get("s3"))
    snapshots = Snapshots(location, job.get("s3"))
    law = Law(con, snapshots, topics, job["prefix"])
    if snapshots.head is None:
        law.violate("the table has no snapshot")
        return {"ok": False, "violations": law.violations, "metadata": location}
    wanted = {"all": snapshots.in_order(), "head": [snapshots.head], "none": []}[job["snapshots"]]
    facts = law.judge(wanted, job.get("first"), job.get("foreignWriters", False))
    first = facts.pop("first")
    committed = head_bounds(con, law, snapshots, first)
    readers = {}
    if job["values"]:
        for reader in job["readers"]:
            start = time.time()
            rows = open_rows(con, reader, job, location)
            if job.get("foreignWriters"):
                # Rows that others appended have no Kafka offset.
                con.execute(f'create or replace view own_{rows} as select * from {rows} where "{job["prefix"]}offset" is not null')
                rows = f"own_{rows}"
            answer = compare(con, rows, "bounds", job["prefix"], job["format"])
            for problem in answer.pop("problems"):
                law.violate(f"{reader}: {problem.pop('kind')}", **problem)
            readers[reader] = {**answer, "seconds": round(time.time() - start, 2)}
    return {
        "ok": law.count == 0,
        "violations": law.violations,
        "violationCount": law.count,
        "metadata": location,
        "snapshots": len(snapshots.by_id),
        "head": str(snapshots.head.snapshot_id),
        "committed": {t: {str(p): o for p, o in ps.items()} for t, ps in committed.items()},
        "readers": readers,
        "seconds": round(time.time() - began, 2),
        **facts,
    }


if __name__ == "__main__":
    text = sys.argv[1] if sys.argv[1] != "-" else sys.stdin.read()
    print(json.dumps(judge(json.loads(text)), default=str))

"""Builds an Iceberg table with PyIceberg from a topic's copy, right or wrong on purpose; tests of the judge use it.

Job on standard input: {"warehouse", "copy": Parquet of reader.py, "topic", "steps": [{partition: next offset}], "fault"?,
"s3"?, "objects"?: where data goes}.
The first step is the first position (an empty snapshot). Faults: lost, doubled, wrong-value, wrong-offsets, lost-field.
Answers {"metadata", "uri"}.
"""

import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "judge"))
from tables import s3_properties  # noqa: E402

DEVICE = pa.struct([("os", pa.string()), ("version", pa.string()), ("width", pa.int64())])
FIELDS = [
    ("event_id", pa.string()),
    ("user_id", pa.int64()),
    ("event_type", pa.string()),
    ("ts", pa.int64()),
    ("url", pa.string()),
    ("amount", pa.float64()),
    ("country", pa.string()),
    ("device", DEVICE),
    ("tags", pa.list_(pa.string())),
    ("referrer", pa.string()),
]
META = [("_kafka_partition", pa.int32()), ("_kafka_offset", pa.int64()), ("_kafka_timestamp", pa.timestamp("us", "UTC"))]


def summary(topic, offsets):
    sources = {f"cluster/{topic}": {"id": "x", "p": offsets}}
    return {"kafka-iceberg.offsets": json.dumps({"v": 1, "branch": "main", "sources": sources})}


def rows_between(records, low, high, schema):
    rows = []
    for r in records:
        p = str(r["partition"])
        if low.get(p, 0) <= r["offset"] < high.get(p, 0):
            row = json.loads(r["value"])
            row["_kafka_partition"], row["_kafka_offset"] = r["partition"], r["offset"]
            row["_kafka_timestamp"] = r["timestamp"] * 1000
            rows.append(row)
    return rows


def main(job):
    fault = job.get("fault")
    fields = [f for f in FIELDS if not (fault == "lost-field" and f[0] == "referrer")]
    schema = pa.schema(fields + META)
    uri = f"sqlite:///{job['warehouse']}/catalog.db"
    objects = job.get("objects", f"file://{job['warehouse']}")
    catalog = SqlCatalog("judge", uri=uri, warehouse=objects, **s3_properties(job.get("s3")))
    catalog.create_namespace("db")
    table = catalog.create_table("db.t", schema)
    records = pq.read_table(job["copy"]).to_pylist()
    low, *steps = job["steps"]
    table.append(pa.Table.from_pylist([], schema=schema), snapshot_properties=summary(job["topic"], low))
    for n, high in enumerate(steps):
        rows = rows_between(records, low, high, schema)
        middle = n == len(steps) // 2
        if middle and fault == "lost":
            del rows[len(rows) // 2]
        if middle and fault == "doubled":
            rows.append(rows[len(rows) // 2])
        if middle and fault == "wrong-value":
            rows[3]["device"] = {**rows[3]["device"], "width": 1}
        if middle and fault == "wrong-offsets":
            high = {p: o + 1 for p, o in high.items()}
        table.append(pa.Table.from_pylist(rows, schema=schema), snapshot_properties=summary(job["topic"], high))
        low = steps[n]
    return {"metadata": table.metadata_location, "uri": uri}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.stdin.read()))))

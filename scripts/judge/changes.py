"""A table that follows changes, judged in its retained snapshots: of each key the last record below the committed offsets.

Job on standard input: {"table": see tables.py, "file": copy of the topic (reader.py), "topic", "column": number that every
value has, "judged": about so many snapshots are read, "readers": ["pyiceberg", "duckdb", "spark"], "sparkValues": what Spark has read
(spark.py, "values")}. Answers {"judged", "rows", "violations": [sentence], "equalityDeletes", "vectors"}; or, with "list",
{"metadata", "snapshots": [id]}: what Spark is to read.
"""

import json
import os
import sys

import pyarrow.parquet as pq

sys.path.append(os.path.dirname(__file__))
from judge import connect  # noqa: E402
from tables import Snapshots, metadata_location  # noqa: E402

SAMPLES = 10


class Fold:
    """The rows that a fold of the topic has, up to offsets that only grow or begin anew."""

    def __init__(self, file, column):
        self.column = column
        self.records = {}
        table = pq.read_table(file, columns=["partition", "offset", "key", "value"]).to_pylist()
        for record in sorted(table, key=lambda each: (each["partition"], each["offset"])):
            self.records.setdefault(record["partition"], []).append(record)

    def numbers(self, offsets):
        found = []
        for partition, end in offsets.items():
            rows = {}
            for record in self.records.get(partition, []):
                if record["offset"] >= end:
                    break
                if record["value"] is None:
                    rows.pop(record["key"], None)
                else:
                    rows[record["key"]] = json.loads(record["value"])[self.column]
            found.extend(rows.values())
        return sorted(found)


def by_pyiceberg(job, snapshots):
    def read(snapshot):
        rows = snapshots.table.scan(snapshot_id=snapshot.snapshot_id, selected_fields=(job["column"],)).to_arrow()
        return rows[job["column"]].to_pylist()

    return read


def by_duckdb(job, snapshots):
    con = connect(job.get("s3"))

    def read(snapshot):
        scan = f"iceberg_scan('{snapshots.location}', snapshot_from_id => {snapshot.snapshot_id}::ubigint)"
        return [n for (n,) in con.sql(f'select "{job["column"]}" from {scan}').fetchall()]

    return read


def by_spark(job, snapshots):
    with open(job["sparkValues"]) as file:
        values = json.load(file)
    return lambda snapshot: values[str(snapshot.snapshot_id)]


READERS = {"pyiceberg": by_pyiceberg, "duckdb": by_duckdb, "spark": by_spark}


def has_column(job, snapshots, snapshot):
    """False before the first record: columns are learned from records."""
    return job["column"] in {field.name for field in snapshots.table.schemas()[snapshot.schema_id].fields}


def main(job):
    snapshots = Snapshots(metadata_location(job["table"], job.get("s3")), job.get("s3"))
    ordered = [s for s in snapshots.in_order() if s.summary.additional_properties.get("kafka-iceberg.offsets")]
    every = max(1, len(ordered) // job["judged"])
    wanted = [s for i, s in enumerate(ordered) if i % every == 0 or s is ordered[-1]]
    if job.get("list"):
        ids = [str(s.snapshot_id) for s in wanted if has_column(job, snapshots, s)]
        return {"metadata": snapshots.location, "snapshots": ids}
    fold = Fold(job["file"], job["column"])
    readers = {name: READERS[name](job, snapshots) for name in job["readers"]}
    violations = []
    expected = []
    for snapshot in wanted:
        expected = fold.numbers(snapshots.offsets(snapshot)[job["topic"]])
        for name, read in readers.items():
            found = sorted(read(snapshot)) if has_column(job, snapshots, snapshot) else []
            if found != expected:
                more = sorted(set(found) - set(expected))[:5]
                less = sorted(set(expected) - set(found))[:5]
                violations.append(
                    f"snapshot {snapshot.snapshot_id} by {name}: {len(found)} rows for {len(expected)}, too much {more}, missing {less}"
                )
    summary = snapshots.head.summary.additional_properties
    return {
        "judged": len(wanted),
        "snapshots": len(ordered),
        "rows": len(expected),
        "violations": violations[:SAMPLES],
        "equalityDeletes": int(summary.get("total-equality-deletes", 0)),
        "positionDeletes": int(summary.get("total-position-deletes", 0)),
        "deleteFiles": int(summary.get("total-delete-files", 0)),
    }


print(json.dumps(main(json.load(sys.stdin))))

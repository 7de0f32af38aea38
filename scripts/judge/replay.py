"""Replays of ranges, judged in their snapshots: of the range each record is a row once, all other rows are as they were.

Job on standard input: {"table": see tables.py, "file": copy of the topic (reader.py), "columns": [partition, offset, value column],
"field": what the value column has of a record, "bad": text of records that are dead letters, "runs": [{"partition", "from", "to", "snapshots": [ids]}]}.
Answers {"snapshots", "rows", "violations": [sentence]}.
"""

import collections
import json
import os
import sys

import pyarrow.parquet as pq

sys.path.append(os.path.dirname(__file__))
from judge import connect  # noqa: E402
from tables import Snapshots, metadata_location  # noqa: E402


def records_of(job):
    """(partition, offset) -> what the row has; dead letters are left out."""
    found = {}
    for record in pq.read_table(job["file"], columns=["partition", "offset", "value"]).to_pylist():
        text = record["value"].decode() if isinstance(record["value"], bytes) else record["value"]
        if text != job["bad"]:
            found[(record["partition"], record["offset"])] = json.loads(text)[job["field"]]
    return found


def by_pyiceberg(job, snapshots):
    def read(snapshot_id):
        rows = snapshots.table.scan(snapshot_id=snapshot_id, selected_fields=tuple(job["columns"])).to_arrow()
        return collections.Counter(zip(*(rows[name].to_pylist() for name in job["columns"])))

    return read


def by_duckdb(job, snapshots):
    con = connect(job.get("s3"))
    names = ", ".join(f'"{name}"' for name in job["columns"])

    def read(snapshot_id):
        scan = f"iceberg_scan('{snapshots.location}', snapshot_from_id => {snapshot_id}::ubigint)"
        return collections.Counter(con.sql(f"select {names} from {scan}").fetchall())

    return read


def judge(run, parent, rows, records):
    """What is wrong with a replay's snapshot, by the rows of its parent and its own."""

    def inside(row):
        return row[0] == run["partition"] and row[1] is not None and run["from"] <= row[1] < run["to"]

    before = {row: n for row, n in parent.items() if not inside(row)}
    after = {row: n for row, n in rows.items() if not inside(row)}
    found = {row: n for row, n in rows.items() if inside(row)}
    wanted = {(p, o, value): 1 for (p, o), value in records.items() if inside((p, o, value))}
    if before != after:
        yield f"rows outside of the range changed: {list(before.items() ^ after.items())[:4]}"
    if found != wanted:
        yield f"the range has {sum(found.values())} rows for {len(wanted)}: {list(found.items() ^ wanted.items())[:4]}"


def main(job):
    snapshots = Snapshots(metadata_location(job["table"], job.get("s3")), job.get("s3"))
    records = records_of(job)
    readers = {"pyiceberg": by_pyiceberg(job, snapshots), "duckdb": by_duckdb(job, snapshots)}
    violations = []
    judged = changed = 0
    for run in job["runs"]:
        for snapshot_id in map(int, run["snapshots"]):
            snapshot = snapshots.table.snapshot_by_id(snapshot_id)
            judged += 1
            for name, read in readers.items():
                parent, rows = read(snapshot.parent_snapshot_id), read(snapshot_id)
                changed += parent != rows
                violations += [f"{name}, snapshot {snapshot_id}: {what}" for what in judge(run, parent, rows, records)]
    return {"snapshots": judged, "changed": changed, "violations": violations[:20]}


print(json.dumps(main(json.load(sys.stdin))))

"""PyIceberg beside the cycles of `cycles.ts`: it writes to the table, and judges it.

First line on standard input: {"uri", "warehouse", "table"}; then a job a line, each answered by a line:
{"do": "append", "ids": [...]}, {"do": "delete", "partition", "from", "to"},
{"do": "judge", "known": [snapshot ids that were judged before]}.
"""

import json
import sys

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan

PLACE = ("_kafka_partition", "_kafka_offset", "event_id")
# What each manifest lists, which never changes.
LISTED = {}


def append(table, job):
    schema = table.schema().as_arrow()
    columns = [
        pa.array(job["ids"], field.type) if field.name == "event_id" else pa.nulls(len(job["ids"]), field.type)
        for field in schema
    ]
    table.append(pa.Table.from_arrays(columns, schema=schema))
    return {}


def delete(table, job):
    table.delete(
        And(
            EqualTo("_kafka_partition", job["partition"]),
            And(GreaterThanOrEqual("_kafka_offset", job["from"]), LessThan("_kafka_offset", job["to"])),
        )
    )
    return {}


def rows_of(table, snapshot_id):
    """Offsets by partition as ranges, how many rows are there more than once, and the ids of foreign rows."""
    scan = table.scan(snapshot_id=snapshot_id)
    # Before the first rows a snapshot's schema has no columns of the records.
    if not set(PLACE) <= {field.name for field in scan.projection().fields}:
        return {"partitions": {}, "doubled": 0, "foreign": ["?"] * scan.to_arrow().num_rows}
    rows = scan.select(*PLACE).to_arrow()
    foreign = rows.filter(pc.is_null(rows["_kafka_offset"]))["event_id"].to_pylist()
    ours = rows.filter(pc.is_valid(rows["_kafka_offset"]))
    partitions, doubled = {}, 0
    for partition in pc.unique(ours["_kafka_partition"]).to_pylist():
        offsets = sorted(ours.filter(pc.equal(ours["_kafka_partition"], partition))["_kafka_offset"].to_pylist())
        ranges = []
        for offset in offsets:
            if ranges and offset == ranges[-1][1]:
                ranges[-1][1] += 1
            elif ranges and offset < ranges[-1][1]:
                doubled += 1
            else:
                ranges.append([offset, offset + 1])
        partitions[partition] = ranges
    return {"partitions": partitions, "doubled": doubled, "foreign": foreign}


def listed(table, manifest):
    if manifest.manifest_path not in LISTED:
        entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        LISTED[manifest.manifest_path] = [entry.data_file.file_path for entry in entries]
    return LISTED[manifest.manifest_path]


def judge(table, job):
    known = set(job["known"])
    metadata = table.metadata
    files = {table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    deletes = 0
    for snapshot in metadata.snapshots:
        files.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            files.add(manifest.manifest_path)
            files.update(listed(table, manifest))
            if snapshot.snapshot_id == metadata.current_snapshot_id and manifest.content == 1:
                deletes += len(listed(table, manifest))
    return {
        "head": str(metadata.current_snapshot_id),
        "snapshots": [str(snapshot.snapshot_id) for snapshot in metadata.snapshots],
        "files": sorted(files),
        "deletes": deletes,
        "rows": {
            str(snapshot.snapshot_id): rows_of(table, snapshot.snapshot_id)
            for snapshot in metadata.snapshots
            if str(snapshot.snapshot_id) not in known
        },
    }


JOBS = {"append": append, "delete": delete, "judge": judge}


def main():
    place = json.loads(sys.stdin.readline())
    catalog = SqlCatalog("shared", uri=place["uri"], warehouse=place["warehouse"])
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = JOBS[job["do"]](catalog.load_table(place["table"]), job)
        except CommitFailedException as error:
            answer = {"conflict": str(error)}
        except Exception as error:  # told to whoever asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        print("ANSWER " + json.dumps(answer), flush=True)


main()

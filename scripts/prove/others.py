"""PyIceberg beside a proof (`others.ts`): it writes to the table, and judges it.

First line on standard input: {"uri", "warehouse", "table"}; then a job a line, each answered by a line:
{"do": "append", "ids": [...]}, {"do": "delete", "partition", "from", "to"},
{"do": "overwrite", "from", "to", "mark"}: rows of these ids again, `mark` behind their text; without "from": all rows as they are,
{"do": "rollback", "back": to so old an ancestor of the head}, {"do": "set", "properties": {...}},
{"do": "judge", "known": [snapshot ids that were judged before]}: files, and where each row is from,
{"do": "changes", "known", "topic"}: the same of a table that follows changes: offsets and rows of each snapshot.
"""

import json
import os
import sys

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan
from pyiceberg.table import TableProperties

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "judge"))
from tables import Snapshots  # noqa: E402

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


def overwrite(table, job):
    if "from" not in job:
        table.overwrite(table.scan().to_arrow())
        return {}
    these = And(GreaterThanOrEqual("id", job["from"]), LessThan("id", job["to"]))
    rows = table.scan(these).to_arrow()
    at = rows.schema.get_field_index("text")
    texts = pc.binary_join_element_wise(rows["text"], pa.scalar(job["mark"], rows.schema.field(at).type), "")
    table.overwrite(rows.set_column(at, rows.schema.field(at), texts), these)
    return {"rows": rows.num_rows}


def rollback(table, job):
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.metadata.snapshots}
    snapshot = table.current_snapshot()
    for _ in range(job["back"]):
        snapshot = by_id.get(snapshot.parent_snapshot_id, snapshot)
    table.manage_snapshots().rollback_to_snapshot(snapshot.snapshot_id).commit()
    return {}


def set_properties(table, job):
    with table.transaction() as transaction:
        transaction.set_properties(job["properties"])
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


def look(table):
    """The table's head, snapshots, and all files that they list."""
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
        "metadata": table.metadata_location,
        "snapshots": [str(snapshot.snapshot_id) for snapshot in metadata.snapshots],
        "files": sorted(files),
        "deletes": deletes,
    }


def judge(table, job):
    seen = look(table)
    new = [id for id in seen["snapshots"] if id not in set(job["known"])]
    return {**seen, "rows": {id: rows_of(table, int(id)) for id in new}}


def changes(table, job):
    seen = look(table)
    snapshots = Snapshots(table.metadata_location, None)
    new = [id for id in seen["snapshots"] if id not in set(job["known"])]
    return {**seen, "rows": {id: folded(snapshots, snapshots.by_id[int(id)], job["topic"]) for id in new}}


def folded(snapshots, snapshot, topic):
    """Next offset by partition, null where no ancestor is left that says it, and the rows: id, number, text."""
    try:
        offsets = (snapshots.offsets(snapshot) or {}).get(topic)
    except SystemExit:
        offsets = None
    scan = snapshots.table.scan(snapshot_id=snapshot.snapshot_id)
    if "id" not in {field.name for field in scan.projection().fields}:
        return {"offsets": offsets, "rows": []}
    rows = scan.select("id", "n", "text").to_arrow()
    return {"offsets": offsets, "rows": list(zip(*(rows[name].to_pylist() for name in ("id", "n", "text"))))}


JOBS = {
    **{"append": append, "delete": delete, "overwrite": overwrite, "rollback": rollback, "set": set_properties},
    **{"judge": judge, "changes": changes},
}


def main():
    place = json.loads(sys.stdin.readline())
    catalog = SqlCatalog("shared", uri=place["uri"], warehouse=place["warehouse"])
    for line in sys.stdin:
        job = json.loads(line)
        # What was read may be older than a head that has moved: PyIceberg would put it there all the same.
        TableProperties.COMMIT_NUM_RETRIES_DEFAULT = 0 if job["do"] == "overwrite" else 4
        try:
            answer = JOBS[job["do"]](catalog.load_table(place["table"]), job)
        except (CommitFailedException, ValidationException) as error:
            answer = {"conflict": str(error)}
        except Exception as error:  # told to whoever asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        print("ANSWER " + json.dumps(answer), flush=True)


main()

"""Shows a table as DuckDB's iceberg extension reads it: rows and offsets by partition, a few rows, snapshots.

Job on standard input: {"table": tables.py, "s3"?}. Answers {"partitions", "rows", "snapshots"}: lists of objects.
"""

import json
import sys
from datetime import datetime, timezone

from judge import connect
from tables import Snapshots, local, metadata_location


def main(job):
    con = connect(job.get("s3"))
    location = metadata_location(job["table"], job.get("s3"))
    scan = f"iceberg_scan('{local(location)}')"
    snapshots = Snapshots(location, job.get("s3"))
    committed = snapshots.offsets(snapshots.head) or {}
    partitions = []
    for p, rows, first, last in con.sql(
        f"select _kafka_partition, count(*), min(_kafka_offset), max(_kafka_offset) from {scan} group by 1 order by 1"
    ).fetchall():
        upto = next((offsets[p] for offsets in committed.values() if p in offsets), None)
        partitions.append({"partition": p, "rows": rows, "first offset": first, "last offset": last, "committed": upto})
    found = con.sql(f"select * from {scan} order by _kafka_partition, _kafka_offset limit 5")
    rows = [dict(zip(found.columns, map(str, row))) for row in found.fetchall()]
    history = [
        {
            "snapshot": str(s.snapshot_id),
            "committed": datetime.fromtimestamp(s.timestamp_ms / 1000, timezone.utc).isoformat(timespec="milliseconds"),
            "operation": s.summary.operation.value,
            "added rows": s.summary.additional_properties.get("added-records", "0"),
            "rows": s.summary.additional_properties.get("total-records", "0"),
            "files": s.summary.additional_properties.get("total-data-files", "0"),
        }
        for s in snapshots.in_order()
    ]
    return {"metadata": location, "partitions": partitions, "rows": rows, "snapshots": history}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.stdin.read()))))

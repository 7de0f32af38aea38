"""Another engine changes rows of a range of a table of ours, by PyIceberg: doubles, deletes or changes them.

Job on standard input: {"catalog": properties, "name": of the catalog, "table", "what": "double" | "delete" | "change" | "look", "filter",
"column": a text column}. Answers {"replays": ids of the snapshots whose kind is replay, oldest first, "location"}.
"""

import json
import sys
import time

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, ValidationException

KIND = "kafka-iceberg.kind"
TRIES = 20


def act(table, job):
    if job["what"] == "delete":
        table.delete(job["filter"])
    elif job["what"] != "look":
        rows = table.scan(row_filter=job["filter"]).to_arrow()
        if job["what"] == "double":
            table.append(rows)
            return
        at = rows.schema.get_field_index(job["column"])
        field = rows.schema.field(at)
        changed = rows.set_column(at, field, pa.array(["changed"] * len(rows), field.type))
        table.overwrite(changed, overwrite_filter=job["filter"])


def main(job):
    catalog = SqlCatalog(job["name"], init_catalog_tables="false", **job["catalog"])
    for _ in range(TRIES):
        table = catalog.load_table(job["table"])
        try:
            act(table, job)
            break
        except (CommitFailedException, ValidationException):
            # Who loses again and again gives up, as people do.
            time.sleep(0.2)
    table = catalog.load_table(job["table"])
    snapshots = sorted(table.metadata.snapshots, key=lambda each: each.sequence_number)
    replays = [str(s.snapshot_id) for s in snapshots if s.summary and s.summary.additional_properties.get(KIND) == "replay"]
    return {"replays": replays, "location": table.metadata_location}


print(json.dumps(main(json.load(sys.stdin))))

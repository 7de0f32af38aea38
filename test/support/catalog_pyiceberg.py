"""PyIceberg beside our catalogs; the conformance tests run it.

Job on standard input: {"action": "append" | "create" | "read", "catalog"?: properties of SqlCatalog,
"name"?: the catalog's name, "table"?: "db.t", "metadata"?: a metadata file, "rows"?: [...]}.
Answers what it sees of the table afterwards.
"""

import json
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable


def seen(table):
    metadata = table.metadata
    return {
        "uuid": str(metadata.table_uuid),
        "metadata": table.metadata_location,
        "snapshots": [str(s.snapshot_id) for s in metadata.snapshots],
        "current": None if metadata.current_snapshot_id is None else str(metadata.current_snapshot_id),
        "properties": metadata.properties,
        "columns": [f"{f.field_id} {f.name} {f.field_type}" for f in table.schema().fields],
        "spec": str(table.spec()),
        "order": str(table.sort_order()),
        "summaries": [dict(s.summary.additional_properties) for s in metadata.snapshots],
        "refs": sorted(metadata.refs),
        "log": [entry.metadata_file for entry in metadata.metadata_log],
    }


def main(job):
    if "metadata" in job:
        return seen(StaticTable.from_metadata(job["metadata"]))
    catalog = SqlCatalog(job.get("name", "default"), **job["catalog"])
    if job["action"] == "create":
        catalog.create_namespace_if_not_exists(job["table"].split(".")[0])
        catalog.create_table(job["table"], pa.schema([("id", pa.int64()), ("name", pa.string())]))
    table = catalog.load_table(job["table"])
    if "rows" in job:
        schema = table.schema().as_arrow()
        table.append(pa.Table.from_pylist(job["rows"], schema=schema), snapshot_properties={"by": "pyiceberg"})
    answer = seen(catalog.load_table(job["table"]))
    answer["tables"] = [".".join(name) for name in catalog.list_tables(job["table"].split(".")[0])]
    answer["namespaces"] = [".".join(name) for name in catalog.list_namespaces()]
    answer["rows"] = table.scan().to_arrow().to_pylist() if job["action"] != "read" else None
    return answer


json.dump(main(json.load(sys.stdin)), sys.stdout, default=str)

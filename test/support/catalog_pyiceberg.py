"""PyIceberg beside our catalogs; the conformance tests run it.

Job on standard input: {"action": "append" | "create" | "read", "catalog"?: properties with their type, or of SqlCatalog or, with an http URI, RestCatalog,
"name"?: the catalog's name, "table"?: "db.t", "metadata"?: a metadata file, "rows"?: [...],
"schema"?: [[verb, ...], ...] with add NAME TYPE, drop NAME, rename NAME NAME, promote NAME TYPE, require NAME}.
Answers what it sees of the table afterwards.
"""

import json
import sys

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import StaticTable
from pyiceberg.types import DoubleType, IntegerType, LongType, StringType


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


TYPES = {"int": IntegerType(), "long": LongType(), "string": StringType(), "double": DoubleType()}


def change_schema(table, steps):
    """One commit; tried again when another writer's came first."""
    for tries in range(20):
        try:
            table.refresh()
            with table.update_schema(allow_incompatible_changes=True) as update:
                for verb, name, *rest in steps:
                    if verb == "add":
                        update.add_column(name, TYPES[rest[0]])
                    elif verb == "drop":
                        update.delete_column(name)
                    elif verb == "rename":
                        update.rename_column(name, rest[0])
                    elif verb == "promote":
                        update.update_column(name, field_type=TYPES[rest[0]])
                    elif verb == "require":
                        update.update_column(name, required=True)
            return
        except CommitFailedException:
            if tries == 19:
                raise


def main(job):
    if "metadata" in job:
        return seen(StaticTable.from_metadata(job["metadata"]))
    name, properties = job.get("name", "default"), job["catalog"]
    if "type" in properties:
        catalog = load_catalog(name, **properties)
    else:
        kind = RestCatalog if properties["uri"].startswith("http") else SqlCatalog
        catalog = kind(name, **properties)
    if job["action"] == "create":
        catalog.create_namespace_if_not_exists(job["table"].split(".")[0])
        catalog.create_table(job["table"], pa.schema([("id", pa.int64()), ("name", pa.string())]))
    table = catalog.load_table(job["table"])
    if "schema" in job:
        change_schema(table, job["schema"])
        table.refresh()
    if "rows" in job:
        schema = table.schema().as_arrow()
        table.append(pa.Table.from_pylist(job["rows"], schema=schema), snapshot_properties={"by": "pyiceberg"})
    answer = seen(catalog.load_table(job["table"]))
    answer["tables"] = [".".join(name) for name in catalog.list_tables(job["table"].split(".")[0])]
    answer["namespaces"] = [".".join(name) for name in catalog.list_namespaces()]
    answer["rows"] = table.scan().to_arrow().to_pylist() if job["action"] != "read" else None
    return answer


json.dump(main(json.load(sys.stdin)), sys.stdout, default=str)

"""PyIceberg and DuckDB on tables whose manifests we wrote; the conformance tests run it.

Jobs on standard input, answers on standard output:
{"action": "write", "files": [{"path", "columns": {name: [values]}}]} -> [bytes]
{"action": "transforms", "cases": [{"type", "transform", "values"}]} -> [[results]]
{"action": "read", "metadata", "filters": [text]} -> what both readers see
{"action": "seed", "catalog": properties, "table", "batches": [{name: [values]}], "delete": filter} -> null
Binary values travel as hex, long ones as text, times as counts of microseconds.
"""

import datetime as dt
import json
import os
import sys
from decimal import Decimal

import duckdb
import duckdb_extension_avro
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable
from pyiceberg.transforms import IdentityTransform, parse_transform
from pyiceberg.types import NestedField

TYPES = {
    "id": pa.int64(),
    "ts": pa.timestamp("us", tz="UTC"),
    "d": pa.date32(),
    "name": pa.string(),
    "amount": pa.decimal128(9, 2),
    "bin": pa.binary(),
    "num": pa.int32(),
    "uid": pa.int64(),
}


def value(name, raw):
    if raw is None:
        return None
    if name == "bin":
        return bytes.fromhex(raw)
    if name == "amount":
        return Decimal(int(raw)).scaleb(-2)
    if name in ("id", "uid"):
        return int(raw)
    if name == "ts":
        return dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(microseconds=int(raw))
    if name == "d":
        return dt.date(1970, 1, 1) + dt.timedelta(days=raw)
    return raw


def arrow(columns):
    fields = [
        pa.field(name, kind, name != "id", {b"PARQUET:field_id": str(index + 1).encode()})
        for index, (name, kind) in enumerate(TYPES.items())
    ]
    arrays = [pa.array([value(name, raw) for raw in columns[name]], TYPES[name]) for name in TYPES]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def write(job):
    sizes = []
    for file in job["files"]:
        os.makedirs(os.path.dirname(file["path"]), exist_ok=True)
        pq.write_table(arrow(file["columns"]), file["path"])
        sizes.append(os.path.getsize(file["path"]))
    return sizes


def seed(job):
    """A table that PyIceberg wrote: appends, then a delete that rewrites files."""
    catalog = SqlCatalog("shared", **job["catalog"])
    catalog.create_namespace_if_not_exists(job["table"].split(".")[0])
    table = catalog.create_table(job["table"], arrow(job["batches"][0]).schema)
    with table.update_spec() as update:
        update.add_field("num", IdentityTransform(), "num")
        update.add_field("name", IdentityTransform(), "name")
    for batch in job["batches"]:
        table.append(arrow(batch))
    table.delete(job["delete"])


def parse(kind, raw):
    if kind.startswith("decimal"):
        return Decimal(int(raw)).scaleb(-int(kind[:-1].split(",")[1]))
    if kind in ("binary", "uuid") or kind.startswith("fixed"):
        return bytes.fromhex(raw)
    if kind in ("string", "int", "date", "boolean"):
        return raw
    return int(raw)


def shown(result):
    if isinstance(result, bytes):
        return result.hex()
    if isinstance(result, Decimal):
        return str(int(result.scaleb(-result.as_tuple().exponent)))
    return result if isinstance(result, (str, type(None), bool)) else str(result)


def transforms(job):
    answers = []
    for case in job["cases"]:
        kind = NestedField(1, "x", case["type"]).field_type
        apply = parse_transform(case["transform"]).transform(kind)
        answers.append([shown(apply(parse(case["type"], raw))) for raw in case["values"]])
    return answers


def read(job):
    table = StaticTable.from_metadata(job["metadata"])
    answer = {"pyiceberg": sorted(table.scan().to_arrow()["id"].to_pylist()), "filtered": [], "planned": []}
    for text in job["filters"]:
        scan = table.scan(row_filter=text)
        answer["planned"].append(len(list(scan.plan_files())))
        answer["filtered"].append(sorted(scan.to_arrow()["id"].to_pylist()))
    connection = duckdb.connect()
    packages = os.path.dirname(os.path.dirname(duckdb_extension_avro.__file__))
    for name in ("avro", "httpfs", "iceberg"):
        folder = f"{packages}/duckdb_extension_{name}/extensions/v{duckdb.__version__}"
        connection.execute(f"LOAD '{folder}/{name}.duckdb_extension'")
    lineage = table.metadata.format_version >= 3
    columns = "id, _row_id" if lineage else "id, 0"
    rows = connection.execute(f"SELECT {columns} FROM iceberg_scan('{job['metadata']}')").fetchall()
    answer["duckdb"] = sorted(row[0] for row in rows)
    answer["rowIds"] = sorted(row[1] for row in rows) if lineage else []
    return answer


job = json.load(sys.stdin)
json.dump({"write": write, "transforms": transforms, "read": read, "seed": seed}[job["action"]](job), sys.stdout, default=str)

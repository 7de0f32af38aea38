"""What PyIceberg, DuckDB and Spark find in a table, column by column, in one form of text for all.

Job on standard input: {"table": see scripts/judge/tables.py, "s3"?, "readers": ["pyiceberg" | "duckdb" | "spark"], "columns": [...],
"sparkRows"?: folder of Parquet that Spark has written, "view"?: what DuckDB reads, `{table}` in it is the table,
"order"?: column, default `_kafka_offset`, "planned"?: [filters]}.
Answers {"readers": {reader: {column: [values] | {"error": sentence}}}, "planned": [files that PyIceberg plans]}.
"""

import datetime
import decimal
import json
import os
import sys
import uuid

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "judge"))
from judge import connect  # noqa: E402
from tables import Snapshots, local, metadata_location  # noqa: E402


def plain(value):
    if isinstance(value, (list, tuple)):
        pairs = value and all(isinstance(each, tuple) for each in value)
        # A map's entries have no order: Protobuf's own serializers write them in another one in each process.
        return {plain(k): plain(v) for k, v in sorted(value)} if pairs else [plain(each) for each in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, datetime.datetime):
        utc = value.astimezone(datetime.timezone.utc) if value.tzinfo else value
        return utc.strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return value.isoformat("microseconds")
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, uuid.UUID) else value


def values(column):
    """One column as text; nanoseconds have no Python type, so they become numbers."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = pc.cast(column, pa.int64())
    found = [plain(each) for each in column.to_pylist()]
    return [each if each is None else each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in found]


def by_duckdb(job, location):
    con = connect(job.get("s3"))

    def read(column, order):
        source = job.get("view", "{table}").replace("{table}", f"iceberg_scan('{local(location)}')")
        text = f"select \"{column}\", \"{order}\" from {source} order by 2"
        return con.sql(text).to_arrow_table().column(0)

    return read


def by_pyiceberg(job, location):
    def read(column, order):
        table = Snapshots(location, job.get("s3")).table
        rows = table.scan(selected_fields=(column, order)).to_arrow()
        return rows.sort_by(order).column(column)

    return read


def by_spark(job, _location):
    rows = parquet.read_table(job["sparkRows"])
    return lambda column, order: rows.sort_by(order).column(column)


OPEN = {"spark": by_spark, "duckdb": by_duckdb, "pyiceberg": by_pyiceberg}


def answer(read, column, order):
    try:
        return values(read(column, order))
    except Exception as error:  # noqa: BLE001: the test says which errors are right
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def main(job):
    location = metadata_location(job["table"], job.get("s3"))
    order = job.get("order", "_kafka_offset")
    found = {}
    for reader in job["readers"]:
        read = OPEN[reader](job, location)
        found[reader] = {column: answer(read, column, order) for column in job["columns"]}
    planned = []
    for row_filter in job.get("planned", []):
        table = Snapshots(location, job.get("s3")).table
        planned.append(sum(1 for _ in table.scan(row_filter=row_filter).plan_files()))
    return {"readers": found, "planned": planned}


json.dump(main(json.load(sys.stdin)), sys.stdout, default=str)

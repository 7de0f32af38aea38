"""Compares two Parquet files of the same rows with pyarrow, DuckDB and PyIceberg.

Input: {"files": [path, path]}; answers what differs, as one JSON document.
"""
import json
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    pyarrow_to_schema,
)


def arrow(path):
    """The rows; floats as integers of their bits, so that NaN equals itself."""
    table = pq.read_table(path).combine_chunks()
    for index, field in enumerate(table.schema):
        bits = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}.get(field.type)
        if bits is not None:
            table = table.set_column(index, field.name, table.column(index).chunk(0).view(bits))
    return table


def metrics(path):
    metadata = pq.ParquetFile(path)
    schema = pyarrow_to_schema(metadata.schema_arrow, format_version=3)
    found = data_file_statistics_from_parquet_metadata(
        metadata.metadata, compute_statistics_plan(schema, {}), parquet_path_to_id_mapping(schema)
    ).to_serialized_dict()
    kept = ("value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds")
    return {name: {key: str(value) for key, value in found[name].items()} for name in kept}


def main():
    first, second = json.load(sys.stdin)["files"]
    left, right = arrow(first), arrow(second)
    duck = duckdb.connect()
    count = "select count(*) from (from read_parquet(?) except all from read_parquet(?))"
    a, b = metrics(first), metrics(second)
    print(json.dumps({
        "rows": [left.num_rows, right.num_rows],
        "columns": [name for name in left.schema.names if not left.column(name).equals(right.column(name))],
        "duckdb": [duck.execute(count, pair).fetchone()[0] for pair in ([first, second], [second, first])],
        "metrics": [name for name in a if a[name] != b[name]],
        "encodings": {
            column.path_in_schema: list(column.encodings)
            for column in (pq.ParquetFile(first).metadata.row_group(0).column(i) for i in range(len(pq.ParquetFile(first).schema)))
        },
    }))


main()

"""Reads Parquet files with pyarrow and DuckDB; answers values in the form of `canonical()` of
test/unit/parquet/rows.ts, the schema, and the footer, as one JSON document.

Input: {"file": path, "iceberg": also ask PyIceberg, "equals": {"column", "id", "values", "lower", "upper"}: also look for
these texts, through the footer's statistics and through these bounds of a manifest, as hex digits}. Floats become the hex digits of their bits, bytes hex digits, integers, times
and unscaled decimals text.
"""
import json
import struct
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.expressions import EqualTo
from pyiceberg.expressions.visitors import _InclusiveMetricsEvaluator
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    pyarrow_to_schema,
)
from pyiceberg.manifest import DataFile


def canon(array):
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    valid = array.is_valid().to_pylist()
    if pa.types.is_map(kind):
        keys, items, offsets = canon(array.keys), canon(array.items), array.offsets.to_pylist()
        pairs = list(zip(keys, items))
        # `keys` and `items` begin where the array's slice does.
        values = [[list(p) for p in pairs[a - offsets[0]:b - offsets[0]]] for a, b in zip(offsets, offsets[1:])]
    elif pa.types.is_list(kind):
        inner, offsets = canon(array.values), array.offsets.to_pylist()
        values = [inner[a:b] for a, b in zip(offsets, offsets[1:])]
    elif pa.types.is_struct(kind):
        columns = [(kind.field(i).name, canon(array.field(i))) for i in range(kind.num_fields)]
        values = [{name: column[row] for name, column in columns} for row in range(len(array))]
    else:
        values = primitives(array, kind)
    return [value if ok else None for value, ok in zip(values, valid)]


def primitives(array, kind):
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return array.to_pylist()
    if pa.types.is_float32(kind):
        return [v if v is None else struct.pack("<f", v).hex() for v in array.to_pylist()]
    if pa.types.is_float64(kind):
        return [v if v is None else struct.pack("<d", v).hex() for v in array.to_pylist()]
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [v if v is None else v.hex() for v in array.to_pylist()]
    if pa.types.is_decimal(kind):
        return [v if v is None else str(unscaled(v, kind.scale)) for v in array.to_pylist()]
    integers = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return [v if v is None else str(v) for v in integers.to_pylist()]


def unscaled(value, scale):
    sign, digits, exponent = value.as_tuple()
    number = int("".join(map(str, digits))) * 10 ** (scale + exponent)
    return -number if sign else number


def table_values(table):
    table = table.combine_chunks()
    return {
        name: canon(column.chunk(0)) if column.num_chunks else []
        for name, column in zip(table.schema.names, table.columns)
    }


def statistics(metadata, index):
    size = sum(metadata.row_group(g).column(index).total_compressed_size for g in range(metadata.num_row_groups))
    values = sum(metadata.row_group(g).column(index).num_values for g in range(metadata.num_row_groups))
    nulls = sum(metadata.row_group(g).column(index).statistics.null_count for g in range(metadata.num_row_groups))
    return {"size": str(size), "values": str(values), "nulls": str(nulls)}


def iceberg(file):
    """The schema and the metrics that PyIceberg finds in the file by itself."""
    schema = pyarrow_to_schema(file.schema_arrow, format_version=3)
    found = data_file_statistics_from_parquet_metadata(
        file.metadata, compute_statistics_plan(schema, {}), parquet_path_to_id_mapping(schema)
    ).to_serialized_dict()
    return {
        "types": {field.name: [field.field_id, str(field.field_type)] for field in schema.fields},
        "sizes": {k: str(v) for k, v in found["column_sizes"].items()},
        "values": {k: str(v) for k, v in found["value_counts"].items()},
        "nulls": {k: str(v) for k, v in found["null_value_counts"].items()},
        "lower": {k: v.hex() for k, v in found["lower_bounds"].items()},
        "upper": {k: v.hex() for k, v in found["upper_bounds"].items()},
    }


def found(path, rows, request):
    """For each text: the rows that DuckDB finds, and whether PyIceberg reads the file for it at all."""
    schema = pyarrow_to_schema(pq.ParquetFile(path).schema_arrow, format_version=2)
    column, field_id = request["column"], request["id"]
    file = DataFile.from_args(
        file_path=path, record_count=rows, value_counts={field_id: rows}, null_value_counts={field_id: 0}, nan_value_counts={},
        lower_bounds={field_id: bytes.fromhex(request["lower"])}, upper_bounds={field_id: bytes.fromhex(request["upper"])},
    )
    duck = duckdb.connect()
    count = f'select count(*) from read_parquet(?) where "{column}" = ?'
    return [
        [duck.execute(count, [path, text]).fetchone()[0], _InclusiveMetricsEvaluator(schema, EqualTo(column, text)).eval(file)]
        for text in request["values"]
    ]


def main():
    request = json.load(sys.stdin)
    path = request["file"]
    file = pq.ParquetFile(path)
    parquet_schema = file.schema
    leaves = [parquet_schema.column(i) for i in range(len(parquet_schema))]
    duck = duckdb.connect()
    duck.execute("set timezone = 'UTC'")
    encodings = [
        [list(file.metadata.row_group(g).column(i).encodings) for i in range(len(leaves))]
        for g in range(file.metadata.num_row_groups)
    ]
    print(json.dumps({
        "pyarrow": table_values(file.read()),
        "arrow_types": {field.name: str(field.type) for field in file.schema_arrow},
        "logical": {leaf.path: str(leaf.logical_type) for leaf in leaves},
        "leaves": [dict(path=leaf.path, **statistics(file.metadata, i)) for i, leaf in enumerate(leaves)],
        "metadata": {k.decode(): v.decode() for k, v in file.metadata.metadata.items() if k != b"ARROW:schema"},
        "row_groups": [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)],
        "created_by": file.metadata.created_by,
        "encodings": encodings,
        "iceberg": iceberg(file) if request.get("iceberg") else None,
        "found": found(path, file.metadata.num_rows, request["equals"]) if "equals" in request else None,
        "duckdb": table_values(duck.execute("from read_parquet(?)", [path]).to_arrow_table()),
        "duckdb_types": dict(duck.execute("select column_name, column_type from (describe from read_parquet(?))", [path]).fetchall()),
        "field_ids": [
            [name, field_id]
            for name, field_id in duck.execute("select name, field_id from parquet_schema(?)", [path]).fetchall()
        ],
    }))


main()

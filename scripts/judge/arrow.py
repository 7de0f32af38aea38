"""An Arrow stream as pyarrow and DuckDB read it: {"file"} on stdin, its rows as DuckDB writes them as JSON on stdout."""

import json
import sys

import duckdb
import pyarrow as pa

job = json.load(sys.stdin)
with pa.OSFile(job["file"]) as file:
    table = pa.ipc.open_stream(file).read_all()
table.validate(full=True)
rows = duckdb.from_arrow(table).query("t", "SELECT to_json(t)::VARCHAR FROM t").fetchall()
print(json.dumps({"columns": [str(field.type) for field in table.schema], "rows": [json.loads(row[0]) for row in rows]}))

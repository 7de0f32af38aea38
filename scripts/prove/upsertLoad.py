"""Compares a table of changed rows with a model, key by key, as DuckDB and PyIceberg read it. Job on standard input: {"metadata", "model", "keys", "firstId", "firstN"}; the model is a file of one uint32 a key: 0 where it has no row, else what `n` is beyond `firstN`."""

import json
import os
import sys
import time

import pyarrow

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "judge"))
from judge import connect  # noqa: E402
from pyiceberg.table import StaticTable  # noqa: E402
from tables import local  # noqa: E402

COMPARE = """
    select count(t.id), count(distinct t.id), sum(t.n)::hugeint::varchar,
        count(*) filter (where m.n is distinct from t.n)
    from (select id, n from {table}) t full join model m on m.id = t.id
"""


def model_of(job):
    with open(job["model"], "rb") as file:
        data = pyarrow.py_buffer(file.read(4 * job["keys"]))
    return pyarrow.table({"n": pyarrow.Array.from_buffers(pyarrow.uint32(), job["keys"], [None, data])})


def compare(con, table):
    began = time.perf_counter()
    rows, keys, total, wrong = con.execute(COMPARE.format(table=table)).fetchone()
    seconds = round(time.perf_counter() - began, 1)
    return {"rows": rows, "keys": keys, "sum": total, "wrong": wrong, "seconds": seconds}


def main(job):
    con = connect(None)
    con.register("numbers", model_of(job))
    # Rows of Arrow tables come in order only then.
    con.execute("set preserve_insertion_order = true")
    numbered = "select row_number() over () - 1 as key, n from numbers"
    first = f"key + {job['firstId']} as id, n + {job['firstN']}::bigint as n"
    con.execute(f"create table model as select {first} from ({numbered}) where n > 0")
    wanted = con.execute("select count(*), sum(n)::hugeint::varchar from model").fetchone()
    found = {"wanted": {"rows": wanted[0], "sum": wanted[1]}}
    found["duckdb"] = compare(con, f"iceberg_scan('{local(job['metadata'])}')")
    began = time.perf_counter()
    con.register("scanned", StaticTable.from_metadata(job["metadata"]).scan(selected_fields=("id", "n")).to_arrow())
    found["pyiceberg"] = compare(con, "scanned")
    found["pyiceberg"]["seconds"] = round(time.perf_counter() - began, 1)
    return found


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.stdin.read()))))

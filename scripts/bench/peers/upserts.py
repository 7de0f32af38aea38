"""Reads a table of changed rows with DuckDB's iceberg extension. Job on standard input: {"metadata"}; answers what it found and how long it took."""

import json
import os
import sys
import threading
import time

import duckdb

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "judge"))
from judge import connect  # noqa: E402
from tables import local  # noqa: E402

RUNS = 5
# A table of many equality deletes takes minutes to read.
ENOUGH_SECONDS = 20
LIMIT_SECONDS = 90


def main(job):
    con = connect(None)
    con.execute("set threads = 1")
    sql = f"select count(*), sum(n)::bigint, sum(amount) from iceberg_scan('{local(job['metadata'])}')"
    times, row = [], None
    for _ in range(RUNS):
        limit = threading.Timer(LIMIT_SECONDS, con.interrupt)
        limit.start()
        began = time.perf_counter()
        try:
            row = con.execute(sql).fetchone()
        except duckdb.InterruptException:
            return {"rows": None, "sum": None, "readMs": f"more than {LIMIT_SECONDS * 1000}"}
        finally:
            limit.cancel()
        times.append(time.perf_counter() - began)
        if sum(times) > ENOUGH_SECONDS:
            break
    return {"rows": row[0], "sum": int(row[1]), "readMs": round(min(times) * 1000)}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.stdin.read()))))

"""Answers about a topic beside the topic itself, as an independent reader has read it.

One JSON job on stdin: {"file": Parquet of reader.py, "answers": [[partition, end, sum], ...]}; `sum` is that of
user_id * device.width over the offsets below `end`. Answers {"wrong": [...]}: the first that are not what the topic held.
"""

import json
import sys

import duckdb
import pyarrow as pa

WRONG_MAX = 20


def judge(job):
    con = duckdb.connect()
    rows = job["answers"]
    answers = pa.table(
        {
            "partition": pa.array([row[0] for row in rows], pa.int32()),
            "end": pa.array([row[1] for row in rows], pa.int64()),
            "sum": pa.array([row[2] for row in rows], pa.int64()),
        }
    )
    con.register("answers", answers)
    con.execute(
        """
        CREATE TABLE held AS
        SELECT partition, "offset" + 1 AS "end", sum(value) OVER (PARTITION BY partition ORDER BY "offset") AS sum
        FROM (
            SELECT partition, "offset",
                (decode(value)->>'$.user_id')::BIGINT * (decode(value)->>'$.device.width')::BIGINT AS value
            FROM read_parquet(?)
        )
        """,
        [job["file"]],
    )
    wrong = con.execute(
        """
        SELECT a.partition, a."end", a.sum, h.sum::BIGINT
        FROM (SELECT DISTINCT * FROM answers) a LEFT JOIN held h ON a.partition = h.partition AND a."end" = h."end"
        WHERE a.sum IS DISTINCT FROM h.sum
        """
    ).fetchmany(WRONG_MAX)
    return {"wrong": wrong}


print(json.dumps(judge(json.load(sys.stdin))))

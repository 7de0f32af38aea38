"""Answers about a topic beside the topic itself, as an independent reader has read it.

One JSON job on stdin: {"file": Parquet of reader.py, "answers": [[partition, from, end, sum, gone], ...],
"removed": [{"partition", "from", "to"}, ...]}; `sum` is that of user_id * device.width over the offsets from `from` on
and below `end`, without the first `gone` of the removed ranges. Answers {"wrong": [...]}: the first that are not what
the topic held.
"""

import json
import sys

import duckdb
import pyarrow as pa

WRONG_MAX = 20


def judge(job):
    con = duckdb.connect()
    names = ("partition", "from", "end", "sum", "gone")
    columns = list(zip(*job["answers"])) or [()] * len(names)
    con.register("answers", pa.table({name: pa.array(values, pa.int64()) for name, values in zip(names, columns)}))
    removed = [(n, each["partition"], each["from"], each["to"]) for n, each in enumerate(job["removed"])]
    con.execute('CREATE TABLE removed (n BIGINT, partition BIGINT, "from" BIGINT, "to" BIGINT)')
    if removed:
        con.executemany("INSERT INTO removed VALUES (?, ?, ?, ?)", removed)
    # What the offsets below each one hold; of a range the difference of its ends.
    con.execute(
        """
        CREATE TABLE held AS
        SELECT partition::BIGINT AS partition, "offset" + 1 AS "end",
            sum(value) OVER (PARTITION BY partition ORDER BY "offset")::BIGINT AS sum
        FROM (
            SELECT partition, "offset",
                (decode(value)->>'$.user_id')::BIGINT * (decode(value)->>'$.device.width')::BIGINT AS value
            FROM read_parquet(?)
        )
        """,
        [job["file"]],
    )
    con.execute('INSERT INTO held SELECT DISTINCT partition, 0, 0 FROM held')
    wrong = con.execute(
        """
        WITH asked AS (
            SELECT row_number() OVER () AS id, * FROM (SELECT DISTINCT * FROM answers)
        ), gone AS (
            SELECT a.id, sum(upper.sum - lower.sum) AS sum
            FROM asked a JOIN removed r ON a.partition = r.partition AND r.n < a.gone
            JOIN held upper ON upper.partition = r.partition AND upper."end" = least(r."to", a."end")
            JOIN held lower ON lower.partition = r.partition AND lower."end" = greatest(r."from", a."from")
            WHERE least(r."to", a."end") > greatest(r."from", a."from") GROUP BY ALL
        ), expected AS (
            SELECT a.*, upper.sum - lower.sum - coalesce(g.sum, 0) AS held
            FROM asked a LEFT JOIN gone g ON a.id = g.id
            LEFT JOIN held upper ON a.partition = upper.partition AND a."end" = upper."end"
            LEFT JOIN held lower ON a.partition = lower.partition AND a."from" = lower."end"
        )
        SELECT partition, "from", "end", sum, gone, held::BIGINT FROM expected WHERE sum IS DISTINCT FROM held
        """
    ).fetchmany(WRONG_MAX)
    return {"wrong": wrong}


print(json.dumps(judge(json.load(sys.stdin))))

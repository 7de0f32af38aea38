"""Asks DuckDB which values the bloom filters of a Parquet file exclude.

Input: {"file": path, "probes": [[column, SQL literal], ...]}; answers, for each, in how many row groups
the value is excluded, as one JSON document.
"""
import json
import sys

import duckdb


def main():
    job = json.load(sys.stdin)
    database = duckdb.connect()
    answers = []
    for column, literal in job["probes"]:
        found = database.execute(
            f"select count(*) filter (bloom_filter_excludes) from parquet_bloom_probe(?, ?, {literal})",
            [job["file"], column],
        ).fetchone()
        answers.append(found[0])
    print(json.dumps(answers))


main()

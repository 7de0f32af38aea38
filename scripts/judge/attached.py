"""DuckDB over a table that its Iceberg extension finds through the catalog's own protocol.

One JSON job on standard input: {"secret"?: of the catalog, as SQL, "attach": SQL that attaches the catalog as `lake`, "sql", "s3"?}; answer: {"rows": [[text]]}.
"""

import json
import sys

from judge import connect


def main(job):
    con = connect(job.get("s3"))
    if "secret" in job:
        con.execute(job["secret"])
    con.execute(job["attach"])
    return {"rows": [[str(cell) for cell in row] for row in con.execute(job["sql"]).fetchall()]}


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))

"""Prints the current metadata file of a table, as tables.py finds it."""

import json
import sys

from tables import metadata_location

if __name__ == "__main__":
    job = json.loads(sys.stdin.read())
    print(json.dumps({"metadata": metadata_location(job["table"], job.get("s3"))}))

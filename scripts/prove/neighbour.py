"""A neighbour that writes into our table with PyIceberg: appends rows of its own, and rolls back now and then.

Job on standard input: {"uri", "name", "table", "actions", "pause", "seed"}; answer: how often each was done.
"""

import json
import random
import sys
import time

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from sqlalchemy.exc import OperationalError

BACK_MAX = 4


def append(catalog, job, n):
    table = catalog.load_table(job["table"])
    row = {"event_id": f"neighbour-{n}"}
    table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()))


def roll_back(catalog, job, rnd):
    """To one of the nearest ancestors of the head, as a person would."""
    table = catalog.load_table(job["table"])
    by_id = {s.snapshot_id: s for s in table.metadata.snapshots}
    snapshot = table.current_snapshot()
    for _ in range(rnd.randrange(1, BACK_MAX)):
        snapshot = by_id.get(snapshot.parent_snapshot_id, snapshot)
    table.manage_snapshots().rollback_to_snapshot(snapshot.snapshot_id).commit()


def main(job):
    catalog = SqlCatalog(job["name"], uri=job["uri"], init_catalog_tables="false")
    rnd = random.Random(job["seed"])
    tally = {"appends": 0, "rollbacks": 0, "lost": 0}
    for n in range(job["actions"]):
        back = rnd.random() < 0.3
        try:
            if back:
                roll_back(catalog, job, rnd)
            else:
                append(catalog, job, n)
            tally["rollbacks" if back else "appends"] += 1
        except (CommitFailedException, OperationalError):
            tally["lost"] += 1
        time.sleep(rnd.random() * 2 * job["pause"])
    return tally


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))

"""A neighbour that writes into our table with PyIceberg: appends and deletes rows of its own, rolls back, evolves schema and partition spec.

Job on standard input: {"catalog": properties of load_catalog, "name"?: the catalog's own (SQL catalogs keep their tables by it), "table", "actions", "pause", "seed", "acts"?: names of ACTS, "until"?: conflicts, "seconds"?: limit, "end"?: a file that ends it}; answer:
how often each was done, how often one lost against another writer, the rows that must be there in the end ("own") and those that are ("found").
With "until" each conflict counts (PyIceberg does not try again by itself), and it goes on until it has lost so often, at most "actions" times and for so many "seconds".
"""

import json
import os
import random
import sys
import time

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import TableProperties
from pyiceberg.types import LongType
from requests.exceptions import ConnectionError
from sqlalchemy.exc import OperationalError

BACK_MAX = 4
OWN_ROWS = "event_id >= 'neighbour-' and event_id < 'neighbour.'"


class Neighbour:
    def __init__(self, job):
        self.job = job
        self.catalog = load_catalog(job.get("name", "neighbour"), **job["catalog"])
        self.random = random.Random(job["seed"])
        self.made = 0
        # The rows of ours at each snapshot of ours, and at each head that was seen: others' snapshots have those of
        # their parents, but the parents leave the metadata after a while.
        self.at = {None: frozenset()}

    def table(self):
        """The table, and a moment later it may have moved on."""
        table = self.load()
        self.own(table, table.current_snapshot())
        time.sleep(self.random.random() * self.job["pause"])
        return table

    def load(self):
        for tries in range(5):
            try:
                return self.catalog.load_table(self.job["table"])
            except ConnectionError:
                if tries == 4:
                    raise

    def own(self, table, snapshot):
        by_id = {s.snapshot_id: s for s in table.metadata.snapshots}
        seen = at = None if snapshot is None else snapshot.snapshot_id
        while at not in self.at:
            if at not in by_id:
                raise RuntimeError(f"snapshot {at} left the metadata before it was seen: snapshots are kept too short a time")
            if "kafka-iceberg.commit-id" not in by_id[at].summary.additional_properties:
                # A commit of ours whose answer was lost: the snapshot tells what became of it.
                self.at[at] = frozenset(rows_of(table, at))
                break
            at = by_id[at].parent_snapshot_id
        self.at[seen] = self.at[at]
        return self.at[seen]

    def remember(self, table, change):
        """After a commit: PyIceberg may have put it on a newer head than it was made for."""
        head = table.current_snapshot()
        by_id = {s.snapshot_id: s for s in table.metadata.snapshots}
        self.at[head.snapshot_id] = change(self.own(table, by_id.get(head.parent_snapshot_id)))

    def append(self):
        table = self.table()
        name = f"neighbour-{self.made}"
        self.made += 1
        table.append(pa.Table.from_pylist([{"event_id": name, "country": "zz"}], schema=table.schema().as_arrow()))
        self.remember(table, lambda own: own | {name})

    def delete(self):
        table = self.table()
        own = sorted(self.own(table, table.current_snapshot()))
        if not own:
            return self.append()
        name = self.random.choice(own)
        table.delete(f"event_id == '{name}'")
        self.remember(table, lambda own: own - {name})

    def roll_back(self):
        """To one of the nearest ancestors of the head, as a person would."""
        table = self.table()
        by_id = {s.snapshot_id: s for s in table.metadata.snapshots}
        snapshot = table.current_snapshot()
        for _ in range(self.random.randrange(1, BACK_MAX)):
            snapshot = by_id.get(snapshot.parent_snapshot_id, snapshot)
        table.manage_snapshots().rollback_to_snapshot(snapshot.snapshot_id).commit()

    def schema(self):
        table = self.table()
        column = f"neighbour_{self.random.randrange(3)}"
        with table.update_schema() as update:
            if column in table.schema().column_names:
                update.delete_column(column)
            else:
                update.add_column(column, LongType())

    def spec(self):
        table = self.table()
        with table.update_spec() as update:
            if any(field.name == "country" for field in table.spec().fields):
                update.remove_field("country")
            else:
                update.add_identity("country")


def rows_of(table, snapshot_id):
    scan = table.scan(OWN_ROWS, selected_fields=("event_id",), snapshot_id=snapshot_id)
    return scan.to_arrow().column("event_id").to_pylist()


ACTS = {
    "appends": Neighbour.append,
    "rollbacks": Neighbour.roll_back,
    "deletes": Neighbour.delete,
    "schemas": Neighbour.schema,
    "specs": Neighbour.spec,
}


def main(job):
    neighbour = Neighbour(job)
    acts = job.get("acts", ["appends", "appends", "rollbacks"])
    tally = {name: 0 for name in ACTS} | {"lost": 0, "unanswered": 0}
    if "until" in job:
        TableProperties.COMMIT_NUM_RETRIES_DEFAULT = 0
    end = time.monotonic() + job.get("seconds", float("inf"))
    for _ in range(job["actions"]):
        act = neighbour.random.choice(acts)
        try:
            ACTS[act](neighbour)
            tally[act] += 1
        except (CommitFailedException, OperationalError):
            tally["lost"] += 1
        except (ConnectionError, CommitStateUnknownException):
            tally["unanswered"] += 1
        if "until" in job and tally["lost"] >= job["until"] or time.monotonic() > end:
            break
        if os.path.exists(job.get("end", "")):
            break
        time.sleep(neighbour.random.random() * job["pause"])
    table = neighbour.load()
    own = neighbour.own(table, table.current_snapshot())
    found = rows_of(table, None)
    return tally | {"own": len(own), "found": len(found), "same": sorted(found) == sorted(own)}


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))

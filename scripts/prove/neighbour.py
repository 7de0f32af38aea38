"""A neighbour that writes into our table with PyIceberg: appends and deletes rows of its own, rolls back, evolves schema and partition spec.

Job on standard input: {"catalog": properties of load_catalog, "name"?: the catalog's own (SQL catalogs keep their tables by it), "table", "actions", "pause", "seed", "acts"?: names of ACTS, "conflicts"?: {"writer", "seconds", "end", "tally", "settled"}}; answer:
how often each was done, how often one lost against another writer, the rows that must be there in the end ("own") and those that are ("found").
With "conflicts" PyIceberg does not try again by itself, so that each conflict counts. Several such writers may be at work: each has rows of its own, keeps what it has done so far in the file "tally", and
goes on until there is a file "end", at most "actions" times and for so many "seconds"; then it looks for its rows when there is a file "settled". Of what was lost, "lostToProduct" counts changes of rows whose base was left behind by a commit of the product.
"""

import json
import os
import random
import sys
import time

import pyarrow as pa
from pydantic import ValidationError
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import TableProperties
from pyiceberg.types import LongType
from requests.exceptions import ChunkedEncodingError, ConnectionError
from sqlalchemy.exc import OperationalError

BACK_MAX = 4
COMMIT_ID = "kafka-iceberg.commit-id"
# Snapshots say in it which writer made them.
WRITER = "neighbour.writer"
# No answer, or one that ends in its middle: Iceberg's own server cuts one off now and then.
NO_ANSWER = (ConnectionError, ChunkedEncodingError, ValidationError)
# These need the head that they were made for; a change of the schema or the spec only needs the schema or spec.
NEED_HEAD = {"appends", "deletes", "rollbacks"}


class Neighbour:
    def __init__(self, job):
        self.job = job
        self.catalog = load_catalog(job.get("name", "neighbour"), **job["catalog"])
        self.random = random.Random(job["seed"])
        self.writer = str(job.get("conflicts", {}).get("writer", 0))
        self.made = 0
        # The head that the act under way was made for.
        self.base = None
        # The rows of this writer at each snapshot of its own, and at each head that was seen: others' snapshots have those of
        # their parents, but the parents leave the metadata after a while.
        self.at = {None: frozenset()}

    def table(self):
        """The table, and a moment later it may have moved on."""
        table = self.load()
        self.own(table, table.current_snapshot())
        self.base = table.metadata.current_snapshot_id
        time.sleep(self.random.random() * self.job["pause"])
        return table

    def load(self):
        for tries in range(5):
            try:
                return self.catalog.load_table(self.job["table"])
            except NO_ANSWER:
                if tries == 4:
                    raise

    def own(self, table, snapshot):
        by_id = {s.snapshot_id: s for s in table.metadata.snapshots}
        seen = at = None if snapshot is None else snapshot.snapshot_id
        while at not in self.at:
            if at not in by_id:
                raise RuntimeError(f"snapshot {at} left the metadata before it was seen: snapshots are kept too short a time")
            if by_id[at].summary.additional_properties.get(WRITER) == self.writer:
                # A commit of this writer whose answer was lost: the snapshot tells what became of it.
                self.at[at] = frozenset(self.rows_of(table, at))
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
        name = f"neighbour-{self.writer}-{self.made}"
        self.made += 1
        row = pa.Table.from_pylist([{"event_id": name, "country": "zz"}], schema=table.schema().as_arrow())
        table.append(row, snapshot_properties={WRITER: self.writer})
        self.remember(table, lambda own: own | {name})

    def delete(self):
        table = self.table()
        own = sorted(self.own(table, table.current_snapshot()))
        if not own:
            return self.append()
        name = self.random.choice(own)
        table.delete(f"event_id == '{name}'", snapshot_properties={WRITER: self.writer})
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

    def rows_of(self, table, snapshot_id):
        own = f"event_id >= 'neighbour-{self.writer}-' and event_id < 'neighbour-{self.writer}.'"
        scan = table.scan(own, selected_fields=("event_id",), snapshot_id=snapshot_id)
        return scan.to_arrow().column("event_id").to_pylist()

    def lost_to_product(self):
        """Whether the product has committed on top of the head that the act under way was made for."""
        table = self.load()
        by_id = {s.snapshot_id: s for s in table.metadata.snapshots}
        at, found = table.metadata.current_snapshot_id, False
        while at != self.base:
            if at not in by_id:
                return False
            found = found or COMMIT_ID in by_id[at].summary.additional_properties
            at = by_id[at].parent_snapshot_id
        return found


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
    conflicts = job.get("conflicts")
    tally = {name: 0 for name in ACTS} | {"lost": 0, "lostToProduct": 0, "unanswered": 0, "late": 0}
    if conflicts is not None:
        TableProperties.COMMIT_NUM_RETRIES_DEFAULT = 0
    end = time.monotonic() + (float("inf") if conflicts is None else conflicts["seconds"])
    for _ in range(job["actions"]):
        act = neighbour.random.choice(acts)
        try:
            ACTS[act](neighbour)
            tally[act] += 1
        except (CommitFailedException, OperationalError):
            tally["lost"] += 1
            if conflicts is not None and act in NEED_HEAD and neighbour.lost_to_product():
                tally["lostToProduct"] += 1
        except (*NO_ANSWER, CommitStateUnknownException):
            tally["unanswered"] += 1
        except FileNotFoundError:
            # The machine stood still: the head that the act was made for has left the metadata, and its files are gone.
            tally["late"] += 1
        if conflicts is not None:
            keep(conflicts["tally"], tally)
            if time.monotonic() > end or os.path.exists(conflicts["end"]):
                break
        time.sleep(neighbour.random.random() * job["pause"])
    if conflicts is not None:
        neighbour.table()
        keep(conflicts["tally"], tally | {"ended": True})
        while not os.path.exists(conflicts["settled"]):
            time.sleep(0.1)
    table = neighbour.load()
    own = neighbour.own(table, table.current_snapshot())
    found = neighbour.rows_of(table, None)
    return tally | {"own": len(own), "found": len(found), "same": sorted(found) == sorted(own)}


def keep(path, tally):
    with open(f"{path}.new", "w") as file:
        json.dump(tally, file)
    os.replace(f"{path}.new", path)


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))

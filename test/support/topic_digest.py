"""Count and digest per partition of a topic's copy (reader.py's Parquet file), as consumerDriver.ts computes them."""

import hashlib
import json
import sys

import pyarrow.parquet as pq

table = pq.read_table(sys.argv[1]).sort_by([("partition", "ascending"), ("offset", "ascending")])
found = {}
for partition, offset, key, value in zip(
    *(table.column(name).to_pylist() for name in ("partition", "offset", "key", "value"))
):
    at = found.setdefault(str(partition), {"count": 0, "digest": hashlib.md5()})
    at["count"] += 1
    at["digest"].update(b"%d;" % offset)
    at["digest"].update(b"-" if key is None else key)
    at["digest"].update(b";")
    at["digest"].update(b"-" if value is None else value)
print(json.dumps({p: {"count": at["count"], "digest": at["digest"].hexdigest()} for p, at in found.items()}))

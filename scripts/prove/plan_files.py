"""Plans full scans of tables by PyIceberg in turn, best of seven, or of as many as a minute holds; one JSON list of locations in, {"files", "ms"} a table out."""

import json
import sys
import time

from pyiceberg.table import StaticTable

tables = [StaticTable.from_metadata(location) for location in json.load(sys.stdin)]
times = [[] for _ in tables]
files = [0 for _ in tables]
end = time.monotonic() + 60
for turn in range(7):
    if turn > 0 and time.monotonic() > end:
        break
    for at, table in enumerate(tables):
        began = time.perf_counter()
        files[at] = sum(1 for _ in table.scan().plan_files())
        times[at].append(1000 * (time.perf_counter() - began))
print(json.dumps([{"files": count, "ms": round(min(each), 1)} for count, each in zip(files, times)]))

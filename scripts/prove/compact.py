"""
What other engines make of data files, for `compact.ts`: `raw OUT FILES...` writes their rows as one Parquet file of pyarrow's and
prints its bytes; `scan FILES...` prints the seconds of CPU of DuckDB's best scan of five, on one thread. File names come by stdin.
"""
import json, os, resource, sys

job = json.load(sys.stdin)
files = job["files"]
if sys.argv[1] == "raw":
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    data = ds.dataset(files, format="parquet")
    with pq.ParquetWriter(job["out"], data.schema, compression="zstd") as writer:
        for batch in data.to_batches(batch_size=1_000_000):
            writer.write_batch(batch, row_group_size=1_000_000)
    print(json.dumps({"bytes": os.path.getsize(job["out"])}))
else:
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    sql = f"select count(*), sum(id), max(\"at\"), min(\"user\"), sum(length(kind)), sum(length(path)), sum(price), max(score) from read_parquet({files!r})"
    best = None
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_SELF)
        connection.execute(sql).fetchall()
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = seconds if best is None else min(best, seconds)
    print(json.dumps({"seconds": round(best, 3)}))

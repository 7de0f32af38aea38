"""A Spark session that answers SQL line by line: {"sql": ...} in, {"rows": [...]} or {"error": ...} out.

With "scan": true the answer is what the scan of the query's table did, by metric (e.g. `resultDataFiles`).

Arguments: jars (comma separated), settings as JSON.
"""

import json
import sys

from pyspark.sql import SparkSession

jars, settings = sys.argv[1], json.loads(sys.argv[2])
builder = (
    SparkSession.builder.master("local[1]")
    .config("spark.jars", jars)
    .config("spark.driver.memory", "1g")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.adaptive.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
)
for key, value in settings.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def scanned(frame):
    leaves = frame._jdf.queryExecution().executedPlan().collectLeaves()
    metrics = {}
    for n in range(leaves.size()):
        each = leaves.apply(n).metrics()
        names = each.keys().toList()
        metrics.update({names.apply(i): each.apply(names.apply(i)).value() for i in range(names.size())})
    return metrics


for line in sys.stdin:
    try:
        job = json.loads(line)
        frame = spark.sql(job["sql"])
        rows = [row.asDict() for row in frame.collect()]
        answer = {"rows": [scanned(frame)] if job.get("scan") else rows}
    except Exception as error:  # noqa: BLE001: the caller shows it
        causes = [text for text in str(error).split("\n") if text.startswith("Caused by:")]
        answer = {"error": "\n".join([str(error)[:2000], *causes])}
    print("ANSWER " + json.dumps(answer, default=str), flush=True)
spark.stop()

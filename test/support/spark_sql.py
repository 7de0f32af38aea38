"""A Spark session that answers SQL line by line: {"sql": ...} in, {"rows": [...]} or {"error": ...} out.

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
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
)
for key, value in settings.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
for line in sys.stdin:
    try:
        rows = [row.asDict() for row in spark.sql(json.loads(line)["sql"]).collect()]
        answer = {"rows": rows}
    except Exception as error:  # noqa: BLE001: the caller shows it
        answer = {"error": str(error)[:2000]}
    print("ANSWER " + json.dumps(answer, default=str), flush=True)
spark.stop()

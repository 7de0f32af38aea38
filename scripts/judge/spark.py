"""Spark with Iceberg's Java runtime, the reference reader. One JSON job in argv[1], one JSON answer on the last line.

Job: {"jar", "copies"?: [{"metadata", "out": write the head's rows there as Parquet}], "metadata"?, "sql"?:
[statements, table name `t`]}. Answer: {"sql": [[rows]]}.
"""

import json
import sys

from pyspark.sql import SparkSession


def main(job):
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", job["jar"])
        .config("spark.driver.memory", "1g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    answer = {}
    for copy in job.get("copies", []):
        spark.read.format("iceberg").load(copy["metadata"]).write.mode("overwrite").parquet(copy["out"])
    if "metadata" in job:
        spark.read.format("iceberg").load(job["metadata"]).createOrReplaceTempView("t")
        for name in job.get("metadataTables", []):
            view = spark.read.format("iceberg").load(f"{job['metadata']}#{name}")
            view.createOrReplaceTempView(name)
    answer["sql"] = [[list(map(str, row)) for row in spark.sql(text).collect()] for text in job.get("sql", [])]
    print(json.dumps(answer))
    spark.stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1] if sys.argv[1] != "-" else sys.stdin.read()))

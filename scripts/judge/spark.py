"""Spark with Iceberg's Java runtime, the reference reader. One JSON job in argv[1], one JSON answer on the last line.

Job: {"jar", "copies"?: [{"metadata", "out": write the head's rows there as Parquet}], "metadata"?, "sql"?:
[statements, table name `t`], "values"?: {"metadata", "column", "snapshots": [ids], "out": a JSON file of the column's values by
snapshot, for those that have the column}}. Answer: {"sql": [[rows]]}.
"""

import json
import sys

from pyspark.sql import SparkSession


def write_values(spark, metadata, column, snapshots, out):
    found = {}
    for snapshot in snapshots:
        rows = spark.read.format("iceberg").option("versionAsOf", snapshot).load(metadata)
        if column in rows.columns:
            found[snapshot] = [row[0] for row in rows.select(column).collect()]
    with open(out, "w") as file:
        json.dump(found, file)


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
    if "values" in job:
        write_values(spark, **job["values"])
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

"""A Spark session that answers SQL line by line: {"sql": ...} in, {"rows": [...]} or {"error": ...} out.

With "scan": true the answer is what the scan of the query's table did, by metric (e.g. `resultDataFiles`).
{"equality": {"table", "path", "ids", "rows", "bytes", "partition"}} commits a file of equality deletes, which Spark
applies but never writes; "partition" is its folder, empty for none.

{"statistics": table} reads the statistics of the table's snapshot by Iceberg's and DataSketches' own classes: a row for each
column ("field", "ndv", "estimate") and each partition ("partition", "rows", "files", "deleted", "vectors").

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


def commit_equality_deletes(job):
    jvm = spark._jvm
    table = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, job["table"])
    ids = spark.sparkContext._gateway.new_array(jvm.int, len(job["ids"]))
    for at, field in enumerate(job["ids"]):
        ids[at] = field
    spec = table.spec() if job["partition"] else jvm.org.apache.iceberg.PartitionSpec.unpartitioned()
    builder = jvm.org.apache.iceberg.FileMetadata.deleteFileBuilder(spec).ofEqualityDeletes(ids)
    builder = builder.withPath(job["path"]).withFormat("PARQUET").withRecordCount(job["rows"])
    builder = builder.withFileSizeInBytes(job["bytes"])
    if job["partition"]:
        builder = builder.withPartitionPath(job["partition"])
    table.newRowDelta().addDeletes(builder.build()).commit()


def statistics_of(name):
    jvm = spark._jvm
    iceberg = jvm.org.apache.iceberg
    table = iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, name)
    snapshot = table.currentSnapshot().snapshotId()
    rows = []
    for file in table.statisticsFiles():
        if file.snapshotId() != snapshot:
            continue
        reader = iceberg.puffin.Puffin.read(table.io().newInputFile(file.path()))
        reader = reader.withFileSize(file.fileSizeInBytes()).withFooterSize(file.fileFooterSizeInBytes()).build()
        pairs = reader.readAll(reader.fileMetadata().blobs()).iterator()
        while pairs.hasNext():
            pair = pairs.next()
            memory = jvm.org.apache.iceberg.shaded.org.apache.datasketches.memory.Memory.wrap(
                pair.second(), jvm.java.nio.ByteOrder.LITTLE_ENDIAN
            )
            sketch = jvm.org.apache.iceberg.shaded.org.apache.datasketches.theta.CompactSketch.heapify(memory)
            ndv = pair.first().properties().get("ndv")
            rows.append({"field": pair.first().inputFields()[0], "ndv": ndv, "estimate": sketch.getEstimate()})
    for file in table.partitionStatisticsFiles():
        if file.snapshotId() != snapshot:
            continue
        schema = iceberg.PartitionStatsHandler.schema(iceberg.Partitioning.partitionType(table), iceberg.TableUtil.formatVersion(table))
        input_file = table.io().newInputFile(file.path())
        stats = iceberg.PartitionStatsHandler.readPartitionStatsFile(schema, input_file).iterator()
        while stats.hasNext():
            each = stats.next()
            row = {"partition": str(each.partition()), "rows": each.dataRecordCount(), "files": each.dataFileCount()}
            rows.append({**row, "deleted": each.positionDeleteRecordCount(), "vectors": each.dvCount()})
    return rows


for line in sys.stdin:
    try:
        job = json.loads(line)
        if "equality" in job:
            commit_equality_deletes(job["equality"])
            print('ANSWER {"rows": []}', flush=True)
            continue
        if "statistics" in job:
            print("ANSWER " + json.dumps({"rows": statistics_of(job["statistics"])}), flush=True)
            continue
        frame = spark.sql(job["sql"])
        rows = [row.asDict() for row in frame.collect()]
        answer = {"rows": [scanned(frame)] if job.get("scan") else rows}
    except Exception as error:  # noqa: BLE001: the caller shows it
        causes = [text for text in str(error).split("\n") if text.startswith("Caused by:")]
        answer = {"error": "\n".join([str(error)[:2000], *causes])}
    print("ANSWER " + json.dumps(answer, default=str), flush=True)
spark.stop()

"""A Kafka to Iceberg loop as people write it: confluent-kafka, pyarrow's JSON reader, PyIceberg's append.

Messages are collected until the interval is over, parsed together, appended, and only then their offsets are
committed. A crash between the two doubles rows. One JSON of settings in argv[1] (pythonLoop.ts).
"""

import json
import sys
import time

import pyarrow as pa
import pyarrow.json
from confluent_kafka import Consumer
from pyiceberg.catalog.sql import SqlCatalog

EVENT = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_id", pa.int64()),
        ("event_type", pa.string()),
        ("ts", pa.int64()),
        ("url", pa.string()),
        ("amount", pa.float64()),
        ("country", pa.string()),
        ("device", pa.struct([("os", pa.string()), ("version", pa.string()), ("width", pa.int64())])),
        ("tags", pa.list_(pa.string())),
        ("referrer", pa.string()),
    ]
)
PARSE = pyarrow.json.ParseOptions(explicit_schema=EVENT, unexpected_field_behavior="ignore")


def rows(messages):
    lines = pa.py_buffer(b"\n".join([m.value() for m in messages]))
    read = pyarrow.json.ReadOptions(block_size=8 << 20)
    table = pyarrow.json.read_json(pa.BufferReader(lines), read_options=read, parse_options=PARSE)
    times = pa.array([m.timestamp()[1] for m in messages], pa.timestamp("ms", "UTC"))
    return (
        table.append_column("_kafka_partition", pa.array([m.partition() for m in messages], pa.int32()))
        .append_column("_kafka_offset", pa.array([m.offset() for m in messages], pa.int64()))
        .append_column("_kafka_timestamp", times.cast(pa.timestamp("us", "UTC")))
    )


def main(settings):
    catalog = SqlCatalog(
        "bench", uri=f"sqlite:///{settings['sqlite']}", warehouse=settings["warehouse"], init_catalog_tables="false"
    )
    table = catalog.load_table(settings["table"])
    consumer = Consumer(
        {
            "bootstrap.servers": settings["bootstrap"],
            "group.id": "python-loop-" + settings["sqlite"],
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "max.poll.interval.ms": 600_000,
        }
    )
    consumer.subscribe([settings["topic"]])
    pending = []
    due = time.monotonic() + settings["intervalSeconds"]
    while True:
        messages = consumer.consume(10_000, timeout=0.2)
        pending.extend(m for m in messages if not m.error())
        if time.monotonic() < due:
            continue
        if pending:
            table.append(rows(pending))
            consumer.commit(asynchronous=False)
            pending = []
        due = time.monotonic() + settings["intervalSeconds"]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

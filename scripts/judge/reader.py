"""The independent reader of a topic: librdkafka with isolation.level=read_committed.

One JSON job in argv[1]: {"bootstrap", "topic", "out"?, "keys"?}. Reads every partition from its log start to its last
stable offset. With `out`, writes a Parquet file with the columns partition, offset, timestamp (ms), key, value.
Answers {"partitions": {"0": {"start", "end", "count"}}}; `end` is the position after the last stable record.
"""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaError, TopicPartition

SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
    ]
)
ROWS_PER_GROUP = 100_000


def read(job):
    consumer = Consumer(
        {
            "bootstrap.servers": job["bootstrap"],
            "group.id": "kafka-iceberg-judge",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "check.crcs": True,
            "fetch.wait.max.ms": 20,
            "queued.max.messages.kbytes": 131072,
        }
    )
    topic = job["topic"]
    found = consumer.list_topics(topic, timeout=15).topics[topic]
    if found.error is not None:
        raise SystemExit(f"topic {topic}: {found.error}")
    partitions = {}
    for p in sorted(found.partitions):
        start, end = consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=15)
        partitions[p] = {"start": start, "end": end, "count": 0}
    consumer.assign([TopicPartition(topic, p, at["start"]) for p, at in partitions.items()])
    sink = Sink(job["out"]) if "out" in job else None
    waiting = set(partitions)
    while waiting:
        for message in consumer.consume(10_000, timeout=0.1):
            error = message.error()
            p = message.partition()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise SystemExit(f"{topic}-{p}: {error}")
                # The end as librdkafka's own position: the last stable offset, control records passed.
                partitions[p]["end"] = message.offset()
                waiting.discard(p)
                continue
            partitions[p]["count"] += 1
            if sink is not None:
                sink.add(p, message)
    consumer.close()
    if sink is not None:
        sink.close()
    return {"partitions": partitions}


class Sink:
    """Collects records and writes them by row group."""

    def __init__(self, path):
        self.writer = pq.ParquetWriter(path, SCHEMA, compression="lz4")
        self.rows = ([], [], [], [], [])

    def add(self, partition, message):
        partitions, offsets, timestamps, keys, values = self.rows
        partitions.append(partition)
        offsets.append(message.offset())
        timestamps.append(message.timestamp()[1])
        keys.append(message.key())
        values.append(message.value())
        if len(offsets) == ROWS_PER_GROUP:
            self.write()

    def write(self):
        columns = [pa.array(c, t.type) for c, t in zip(self.rows, SCHEMA)]
        self.writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
        self.rows = ([], [], [], [], [])

    def close(self):
        self.write()
        self.writer.close()


if __name__ == "__main__":
    text = sys.argv[1] if sys.argv[1] != "-" else sys.stdin.read()
    print(json.dumps(read(json.loads(text))))

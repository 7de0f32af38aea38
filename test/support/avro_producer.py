"""Produces Avro with confluent-kafka's own serializer, from a job on standard input:
{bootstrap, registry, topic, batches: [{schema, count, first, auto}]}; prints a line for each batch.

A value is made for each field by its type and the record's number `n`, so that the reader of the table
can make it again.
"""
import json
import sys
import uuid
import warnings
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

warnings.filterwarnings("ignore")
from confluent_kafka import Producer  # noqa: E402
from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: E402
from confluent_kafka.schema_registry.avro import AvroSerializer  # noqa: E402
from confluent_kafka.serialization import MessageField, SerializationContext  # noqa: E402

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
LOGICAL = {
    "decimal": lambda n, t: Decimal(n * 37 - 500).scaleb(-t.get("scale", 0)),
    "uuid": lambda n, t: uuid.UUID(int=n),
    "date": lambda n, t: date(1970, 1, 1) + timedelta(days=n - 3),
    "time-millis": lambda n, t: time(1, 2, n % 60, 5000),
    "time-micros": lambda n, t: time(1, 2, n % 60, 5),
    "timestamp-millis": lambda n, t: EPOCH + timedelta(milliseconds=n - 3),
    "timestamp-micros": lambda n, t: EPOCH + timedelta(microseconds=n - 3),
    "local-timestamp-millis": lambda n, t: datetime(1970, 1, 1) + timedelta(milliseconds=n - 3),
    "local-timestamp-micros": lambda n, t: datetime(1970, 1, 1) + timedelta(microseconds=n - 3),
}


def value(schema, n):
    if isinstance(schema, list):
        branches = [b for b in schema if b != "null"]
        if "null" in schema and n % 4 == 0:
            return None
        return value(branches[n % len(branches)], n)
    if isinstance(schema, str):
        schema = {"type": schema}
    kind = schema["type"]
    logical = LOGICAL.get(schema.get("logicalType"))
    if logical is not None:
        return logical(n, schema)
    if kind == "record":
        return {f["name"]: value(f["type"], n) for f in schema["fields"]}
    if kind == "array":
        return [value(schema["items"], n + i) for i in range(n % 3)]
    if kind == "map":
        return {f"k{i}": value(schema["values"], n + i) for i in range(n % 3)}
    if kind == "enum":
        return schema["symbols"][n % len(schema["symbols"])]
    if kind == "fixed":
        return bytes([n % 256]) * schema["size"]
    return {
        "null": lambda: None,
        "boolean": lambda: n % 2 == 1,
        "int": lambda: n - 5,
        "long": lambda: n * 2**33 - 5,
        "float": lambda: n / 2,
        "double": lambda: n / 4,
        "string": lambda: f"text {n} ä",
        "bytes": lambda: bytes([n % 256, 0]),
    }[kind]()


def main():
    job = json.load(sys.stdin)
    client = SchemaRegistryClient({"url": job["registry"]})
    producer = Producer({"bootstrap.servers": job["bootstrap"], "linger.ms": 5})
    context = SerializationContext(job["topic"], MessageField.VALUE)
    for batch in job["batches"]:
        serialize = AvroSerializer(client, json.dumps(batch["schema"]))
        for n in range(batch["first"], batch["first"] + batch["count"]):
            record = {
                f["name"]: n if f["name"] == "n" else value(f["type"], n)
                for f in batch["schema"]["fields"]
            }
            producer.produce(job["topic"], serialize(record, context))
        producer.flush()
        print(batch["first"], flush=True)


main()

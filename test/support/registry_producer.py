"""Produces records with confluent-kafka's own serializers, from a job on standard input:
{bootstrap, registry, topic, format, batches: [{schema, count, first} or {schema, records: [{key, value,
partition}]}]}; prints a line for each batch.

A schema is Avro or JSON Schema as JSON, or the text of a `.proto` whose first message is meant. A value is
made for each field by its type and the record's number `n`, so that the reader of the table can make it
again; a field called `n` is that number. With `key_schema` a batch has keys that are made in the same way,
and with `tombstones` no values.
"""
import json
import sys
import tempfile
import uuid
import warnings
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path

warnings.filterwarnings("ignore")
from confluent_kafka import Producer  # noqa: E402
from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: E402
from confluent_kafka.serialization import MessageField, SerializationContext  # noqa: E402

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Avro:
    LOGICAL = {
        "decimal": lambda n, t: Decimal(n * 37 - 500).scaleb(-t.get("scale", 0)),
        "uuid": lambda n, t: uuid.UUID(int=n),
        "date": lambda n, t: date(1970, 1, 1) + timedelta(days=n - 3),
        "time-millis": lambda n, t: time(1, 2, n % 60, 5000),
        "time-micros": lambda n, t: time(1, 2, n % 60, 5),
        "timestamp-millis": lambda n, t: EPOCH + timedelta(milliseconds=n - 3),
        "timestamp-micros": lambda n, t: EPOCH + timedelta(microseconds=n - 3),
        "timestamp-nanos": lambda n, t: n - 3,
        "local-timestamp-millis": lambda n, t: datetime(1970, 1, 1) + timedelta(milliseconds=n - 3),
        "local-timestamp-micros": lambda n, t: datetime(1970, 1, 1) + timedelta(microseconds=n - 3),
    }

    def __init__(self, client, schema):
        from confluent_kafka.schema_registry.avro import AvroSerializer

        self.schema = schema
        self.serialize = AvroSerializer(client, json.dumps(schema))

    def given(self, value):
        return value

    def record(self, n):
        return {f["name"]: n if f["name"] == "n" else self.value(f["type"], n) for f in self.schema["fields"]}

    def value(self, schema, n):
        if isinstance(schema, list):
            branches = [b for b in schema if b != "null"]
            if "null" in schema and n % 4 == 0:
                return None
            return self.value(branches[n % len(branches)], n)
        if isinstance(schema, str):
            schema = {"type": schema}
        kind = schema["type"]
        logical = self.LOGICAL.get(schema.get("logicalType"))
        if logical is not None:
            return logical(n, schema)
        if kind == "record":
            return {f["name"]: self.value(f["type"], n) for f in schema["fields"]}
        if kind == "array":
            return [self.value(schema["items"], n + i) for i in range(n % 3)]
        if kind == "map":
            return {f"k{i}": self.value(schema["values"], n + i) for i in range(n % 3)}
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


class Protobuf:
    """The compiler is protoc itself; each version of a file has a pool of its own."""

    def __init__(self, client, text):
        import grpc_tools
        from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
        from grpc_tools import protoc

        folder = Path(tempfile.mkdtemp())
        (folder / "row.proto").write_text(text)
        packages = Path(grpc_tools.__file__).parent
        includes = [f"-I{each}" for each in (folder, packages / "_proto", packages.parent)]
        out = folder / "row.desc"
        if protoc.main(["", *includes, "--include_imports", f"--descriptor_set_out={out}", "row.proto"]) != 0:
            raise SystemExit("protoc: " + text)
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
            pool.Add(file)
        message = next(iter(pool.FindFileByName("row.proto").message_types_by_name.values()))
        self.make = message_factory.GetMessageClass(message)
        self.serialize = ProtobufSerializer(self.make, client)

    def given(self, value):
        from google.protobuf import json_format

        return json_format.ParseDict(value, self.make())

    def record(self, n):
        message = self.make()
        self.fill(message, n)
        if "n" in message.DESCRIPTOR.fields_by_name:
            message.n = n
        return message

    def fill(self, message, n):
        for field in message.DESCRIPTOR.fields:
            oneof = field.containing_oneof
            if oneof is not None and len(oneof.fields) == 1 and n % 4 == 0:
                continue
            if oneof is not None and oneof.fields[n % len(oneof.fields)] != field:
                continue
            if field.is_repeated:
                self.elements(getattr(message, field.name), field, n)
            elif field.message_type is not None:
                inner = getattr(message, field.name)
                inner.SetInParent()
                self.inside(inner, n)
            else:
                setattr(message, field.name, self.scalar(field, n))

    def elements(self, items, field, n):
        entry = field.message_type is not None and field.message_type.GetOptions().map_entry
        for i in range(n % 3):
            if entry:
                key = self.scalar(field.message_type.fields_by_name["key"], n + i)
                of = field.message_type.fields_by_name["value"]
                if of.message_type is not None:
                    self.inside(items[key], n + i)
                else:
                    items[key] = self.scalar(of, n + i)
            elif field.message_type is not None:
                self.inside(items.add(), n + i)
            else:
                items.append(self.scalar(field, n + i))

    def inside(self, message, n):
        name = message.DESCRIPTOR.full_name
        if name == "google.protobuf.Timestamp":
            message.seconds, message.nanos = (-1, (10**6 + n - 3) * 1000) if n < 3 else (0, (n - 3) * 1000)
        elif name == "google.protobuf.Duration":
            message.seconds, message.nanos = n, 5
        elif name == "google.protobuf.Struct":
            message.fields["k"].number_value = n
        elif name == "google.protobuf.Value":
            message.string_value = f"v{n}"
        elif name == "google.type.Date":
            message.year, message.month, message.day = 2024, 2, n
        elif name == "google.type.TimeOfDay":
            message.hours, message.minutes, message.nanos = 1, n, 5000
        else:
            self.fill(message, n)

    def scalar(self, field, n):
        numbers = {
            field.TYPE_BOOL: n % 2 == 1,
            field.TYPE_FLOAT: n / 2,
            field.TYPE_DOUBLE: n / 4,
            field.TYPE_STRING: f"text {n} ä",
            field.TYPE_BYTES: bytes([n % 256, 0]),
            field.TYPE_UINT32: 2**31 + n,
            field.TYPE_FIXED32: 2**31 + n,
            field.TYPE_UINT64: 2**63 + n,
            field.TYPE_FIXED64: 2**63 + n,
            field.TYPE_INT64: n * 2**33 - 5,
            field.TYPE_SINT64: n * 2**33 - 5,
            field.TYPE_SFIXED64: n * 2**33 - 5,
        }
        if field.enum_type is not None:
            return field.enum_type.values[n % len(field.enum_type.values)].number
        return numbers.get(field.type, n - 5)


class JsonSchema:
    FORMATS = {
        "date": lambda n: str(date(1970, 1, 1) + timedelta(days=n - 3)),
        "time": lambda n: f"01:02:{n % 60:02}.000005Z",
        "date-time": lambda n: (EPOCH + timedelta(microseconds=n - 3)).isoformat(timespec="microseconds"),
        "uuid": lambda n: str(uuid.UUID(int=n)),
    }

    def __init__(self, client, schema):
        from confluent_kafka.schema_registry.json_schema import JSONSerializer

        self.schema = schema
        self.serialize = JSONSerializer(json.dumps(schema), client)

    def given(self, value):
        return value

    def record(self, n):
        return {name: n if name == "n" else self.value(each, n) for name, each in self.schema["properties"].items()}

    def value(self, schema, n):
        if "$ref" in schema:
            return self.value(self.schema["definitions"][schema["$ref"].rsplit("/", 1)[1]], n)
        if "oneOf" in schema:
            return self.value(schema["oneOf"][0 if n % 4 == 0 else 1], n)
        if "enum" in schema:
            return schema["enum"][n % len(schema["enum"])]
        kind = schema["type"]
        if isinstance(kind, list):
            return None if n % 4 == 0 else self.value({**schema, "type": next(k for k in kind if k != "null")}, n)
        if kind == "object" and "properties" in schema:
            return {name: self.value(each, n) for name, each in schema["properties"].items()}
        if kind == "object":
            return {f"k{i}": self.value(schema["additionalProperties"], n + i) for i in range(n % 3)}
        if kind == "array":
            return [self.value(schema["items"], n + i) for i in range(n % 3)]
        if kind == "string" and "format" in schema:
            return self.FORMATS[schema["format"]](n)
        if kind == "string" and schema.get("contentEncoding") == "base64":
            return ["", "AQA=", "AgA=", "AwA="][n % 4]
        small = schema.get("connect.type") == "int32"
        return {
            "null": lambda: None,
            "boolean": lambda: n % 2 == 1,
            "integer": lambda: n - 5 if small else n * 2**33 - 5,
            "number": lambda: n / 4,
            "string": lambda: f"text {n} ä",
        }[kind]()


FORMATS = {"avro": Avro, "protobuf": Protobuf, "json-schema": JsonSchema}


def main():
    job = json.load(sys.stdin)
    # Without a limit a lost answer would be waited for without end; it is asked again.
    client = SchemaRegistryClient({"url": job["registry"], "timeout": 20})
    producer = Producer({"bootstrap.servers": job["bootstrap"], "linger.ms": 5})
    context = SerializationContext(job["topic"], MessageField.VALUE)
    of_key = SerializationContext(job["topic"], MessageField.KEY)
    for batch in job["batches"]:
        form = FORMATS[job["format"]](client, batch["schema"])
        keys = FORMATS[job["format"]](client, batch["key_schema"]) if "key_schema" in batch else None
        for each in batch.get("records", []):
            value = each["value"]
            whole = None if value is None else form.serialize(form.given(value), context)
            producer.produce(job["topic"], whole, key=each["key"], partition=each["partition"])
            producer.poll(0)
        first = batch.get("first", 0)
        for n in range(first, first + batch.get("count", 0)):
            key = None if keys is None else keys.serialize(keys.record(n), of_key)
            whole = None if batch.get("tombstones", False) else form.serialize(form.record(n), context)
            producer.produce(job["topic"], whole, key=key)
            producer.poll(0)
        producer.flush()
        print(first, flush=True)


main()

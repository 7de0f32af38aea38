"""Produces events with librdkafka. One JSON job in argv[1], one JSON answer on standard output.

Jobs: {"do": "events", ...}, {"do": "transactions", ...}, {"do": "abort", ...}, {"do": "values", ...}.
The fields are described in scripts/events/events.ts.
"""

import json
import os
import random
import sys
import time

from confluent_kafka import Producer

from generate import events

ZERO_KEY = b"\0\0\0\0"


def client(job, **extra):
    conf = {
        "bootstrap.servers": job["bootstrap"],
        "compression.type": job.get("codec", "none"),
        "linger.ms": job.get("lingerMs", 20),
        "batch.size": job.get("batchBytes", 65536),
        "batch.num.messages": 10000,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 262144,
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "socket.nagle.disable": True,
    }
    conf.update(extra)
    return Producer(conf)


class Failures:
    """Counts delivery reports that say no."""

    def __init__(self):
        self.count = 0
        self.first = None

    def __call__(self, error, _message):
        if error is not None:
            self.count += 1
            self.first = self.first or str(error)

    def check(self):
        if self.count:
            raise SystemExit(f"{self.count} records were not delivered: {self.first}")


def send(producer, topic, key, value, report, partition=None):
    while True:
        try:
            if partition is None:
                producer.produce(topic, value, key, on_delivery=report)
            else:
                producer.produce(topic, value, key, partition=partition, on_delivery=report)
            return
        except BufferError:
            producer.poll(0.01)


def avro(schema, id):
    """JSON values as Avro behind the id of their schema."""
    import io
    import struct

    import fastavro

    parsed, head = fastavro.parse_schema(schema), struct.pack(">bI", 0, id)

    def encode(value):
        out = io.BytesIO(head)
        out.seek(len(head))
        fastavro.schemaless_writer(out, parsed, json.loads(value))
        return out.getvalue()

    return encode


def produce_events(job):
    producer, report = client(job), Failures()
    encode = avro(**job["avro"]) if "avro" in job else lambda value: value
    rate, count = job.get("rate", 0), job["count"]
    # Twenty pieces a second, so that a slow flow comes without bursts.
    piece = max(1, min(1000, rate // 20)) if rate else 1000
    began, sent, size = time.time(), 0, 0
    for key, value in events(job.get("seed", 1), count, job.get("first", 0)):
        value = encode(value)
        send(producer, job["topic"], key, value, report)
        sent += 1
        size += len(value)
        if sent % piece == 0:
            producer.poll(0)
            if rate:
                ahead = sent / rate - (time.time() - began)
                if ahead > 0:
                    time.sleep(ahead)
    producer.flush()
    report.check()
    return {"count": sent, "bytes": size, "seconds": time.time() - began}


def produce_upserts(job):
    """Every key once, in order, then changes of keys chosen evenly; answers what a fold of them has."""
    producer, report, rnd = client(job), Failures(), random.Random(job.get("seed", 1))
    keys, count = job["keys"], job["keys"] + job["changes"]
    last = list(range(keys))
    for n in range(count):
        key = n if n < keys else rnd.randrange(keys)
        last[key] = n
        value = f'{{"id":{key},"n":{n},"name":"customer {key} of change {n}","amount":{n % 9973 / 8},"at":{1767225600000 + n}}}'
        send(producer, job["topic"], f'{{"id":{key}}}', value, report)
        if n % 1000 == 0:
            producer.poll(0)
    producer.flush()
    report.check()
    return {"count": count, "rows": keys, "sum": sum(last)}


def produce_values(job):
    """Exact records: [{partition?, key?, value?}], strings as UTF-8, {"hex": "..."} as bytes."""

    def raw(x):
        return bytes.fromhex(x["hex"]) if isinstance(x, dict) else None if x is None else x.encode()

    producer, report = client(job), Failures()
    for r in job["records"]:
        send(producer, job["topic"], raw(r.get("key")), raw(r.get("value")), report, r.get("partition"))
    producer.flush()
    report.check()
    return {"count": len(job["records"])}


def produce_transactions(job):
    """N producers, each in its own transaction, their records interleaved batch by batch."""
    rnd = random.Random(job.get("seed", 1))
    topic, partitions, count = job["topic"], job["partitions"], job["count"]
    ids = [f"{job['idPrefix']}-{n}" for n in range(job["producers"])]
    report = Failures()
    producers = [client(job, **{"transactional.id": i, "transaction.timeout.ms": 900_000, "linger.ms": 2}) for i in ids]
    for p in producers:
        p.init_transactions()
    left = [0] * len(producers)
    tally = {"committed": 0, "aborted": 0, "open": 0, "transactions": 0}
    inside = [0] * len(producers)
    source = events(job.get("seed", 1), count)
    done = False
    rate, began, sent = job.get("rate", 0), time.time(), 0

    def finish(n):
        p = producers[n]
        if rnd.random() < job["abortShare"]:
            # Flushed first, so that the aborted records are really in the log.
            p.flush()
            p.abort_transaction()
            tally["aborted"] += inside[n]
        else:
            p.commit_transaction()
            tally["committed"] += inside[n]
        inside[n] = 0
        tally["transactions"] += 1

    def some(n, how_many, only=None):
        nonlocal done
        for _ in range(how_many):
            event = next(source, None)
            if event is None:
                done = True
                return
            key, value = event
            if rnd.random() < job["zeroKeyShare"]:
                key = ZERO_KEY
            partition = only if only is not None else rnd.randrange(partitions)
            send(producers[n], topic, key, value, report, partition)
            inside[n] += 1

    while not done:
        n = rnd.randrange(len(producers))
        if inside[n] == 0 and left[n] == 0:
            producers[n].begin_transaction()
            left[n] = rnd.randrange(1, job["recordsMax"])
        take = min(left[n], rnd.randrange(1, 200))
        some(n, take)
        left[n] -= take
        sent += take
        if rate:
            time.sleep(max(0, sent / rate - (time.time() - began)))
        producers[n].flush()
        if left[n] == 0 or done:
            finish(n)
            left[n] = 0
    for n in range(len(producers)):
        if inside[n]:
            finish(n)
    leave_open(job, topic, producers, report, tally)
    report.check()
    return {**tally, "openIds": ids[: job["open"]]}


def leave_open(job, topic, producers, report, tally):
    """Open transactions in partition 0 only, so that the other partitions end with control records."""
    for n in range(job["open"]):
        producers[n].begin_transaction()
        for key, value in events(99 + n, job["openRecords"]):
            send(producers[n], topic, key, value, report, 0)
            tally["open"] += 1
        producers[n].flush()


def abort_open(job):
    """Aborts what crashed producers left open, by taking over their transactional ids."""
    for i in job["ids"]:
        client(job, **{"transactional.id": i}).init_transactions()
    return {"aborted": len(job["ids"])}


DO = {
    "events": produce_events,
    "values": produce_values,
    "upserts": produce_upserts,
    "transactions": produce_transactions,
    "abort": abort_open,
}

if __name__ == "__main__":
    job = json.loads(sys.argv[1] if sys.argv[1] != "-" else sys.stdin.read())
    print(json.dumps(DO[job["do"]](job)), flush=True)
    # No orderly end: it would abort the transactions that are to stay open.
    os._exit(0)

"""Produces one record after the other, and asks until `/query` has it (`hotFigures.ts`).

One JSON job on stdin: {"bootstrap", "topic", "url", "seconds"}. Answers {"ms": [...]}: of each record the time from the
call that produced it to the answer that had it; and {"stored": [...]}: to the broker's word that it is stored.
"""

import http.client
import json
import sys
import time

from confluent_kafka import Producer

job = json.load(sys.stdin)
producer = Producer({"bootstrap.servers": job["bootstrap"], "linger.ms": 0, "socket.nagle.disable": True})
connection = http.client.HTTPConnection(job["url"].split("//")[1])
stored = []
took = []
acknowledged = []


def ask(sql):
    connection.request("POST", "/query", json.dumps({"sql": sql}))
    answer = json.loads(connection.getresponse().read())
    return answer["rows"][0][0] if "rows" in answer else None


ends = time.time() + job["seconds"]
n = 0
while time.time() < ends:
    n += 1
    value = json.dumps({"event_id": f"probe-{n}", "user_id": n})
    stored.clear()
    began = time.perf_counter()
    producer.produce(job["topic"], value, partition=0, on_delivery=lambda _error, message: stored.append(message.offset()))
    while not stored:
        producer.poll(0.0005)
    acknowledged.append((time.perf_counter() - began) * 1000)
    while (
        ask(
            f'SELECT count(*) FROM "{job["topic"]}" WHERE _kafka_partition = 0 AND _kafka_offset = {stored[0]}'
        )
        or 0
    ) < 1:
        pass
    took.append((time.perf_counter() - began) * 1000)
    time.sleep(0.02)
print(json.dumps({"ms": took, "stored": acknowledged}))

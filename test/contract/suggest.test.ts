/**
 * `check --suggest` before a broker in memory: what it prints is pasted behind the configuration as it
 * is, and a run with it takes every record of the topic into columns of those types.
 */
import { afterEach, expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "#base/errors.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { program, tablesIn, temporaryPlace } from "../support/program.ts";

const RECORDS = 60;
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A topic of orders, as people write them, over two partitions. */
function brokerWithOrders(): FakeKafka {
  const broker = new FakeKafka();
  ends.push(() => broker.stop());
  broker.topic("orders", 2);
  for (const partition of [0, 1]) {
    const records = Array.from({ length: RECORDS / 2 }, (_, n) => ({ value: order(n) }));
    broker.append("orders", partition, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  }
  return broker;
}

function order(n: number): string {
  const day = String((n % 28) + 1).padStart(2, "0");
  return JSON.stringify({
    id: `0e1c8a4e-58b5-4d9f-8a57-1111111111${String(n).padStart(2, "0")}`,
    placed_at: `2026-01-${day}T10:00:00Z`,
    ship_on: `2026-02-${day}`,
    'total "net"': `${n}.50`,
    lines: [{ sku: "a", count: n, price: n / 2 + 0.25 }],
    note: null,
    "a, b: c": n,
    odd: { "x: y": n },
    sent_at: 1_767_225_600_000 + n,
  });
}

function configFor(broker: FakeKafka): { readonly file: string; readonly folder: string } {
  const { folder, remove } = temporaryPlace("suggest");
  ends.push(remove);
  const file = join(folder, "config.toml");
  const text = `
[kafka]
bootstrap_servers = "${broker.address}"
topic = "orders"
[iceberg]
warehouse_path = "${folder}/wh"
[state]
dir = "${folder}/state"
[server]
health_address = ""
metrics_address = ""
[logging]
level = "error"
`;
  writeFileSync(file, text);
  return { file, folder };
}

test("what is printed is pasted as it is, and the table has those types and partitions", async () => {
  const broker = brokerWithOrders();
  const { file, folder } = configFor(broker);
  const { code, out } = await program(["check", "--config", file, "--suggest"]);
  expect(code).toBe(EXIT.ok);
  expect(out).toMatchSnapshot();
  appendFileSync(file, out);
  expect((await program(["check", "--config", file])).code).toBe(EXIT.ok);
  expect((await program(["run", "--until-end", "--config", file])).code).toBe(EXIT.ok);
  const table = tablesIn(join(folder, "wh"))["default.orders"];
  expect(table?.columns).toMatchObject({
    id: "uuid",
    placed_at: "timestamptz",
    ship_on: "date",
    'total "net"': "decimal(18, 2)",
    "a, b: c": "long",
    odd: { type: "struct" },
    sent_at: "long",
  });
  expect(table?.partitions).toEqual(["placed_at_day"]);
  expect(table?.rows).toBe(RECORDS);
}, 60_000);

test("a format whose records name no fields is refused, and a topic that is not there is named", async () => {
  const { file } = configFor(brokerWithOrders());
  const words = ["check", "--suggest", "--config", file];
  const raw = await program([...words, "--set", "source.format=string"]);
  expect([raw.code, raw.err]).toEqual([
    EXIT.usage,
    'check --suggest reads JSON; the columns of source.format = "string" are known without a sample\n',
  ]);
  const gone = await program([...words, "--kafka-topic", "gone"]);
  expect([gone.code, gone.out]).toEqual([EXIT.question, ""]);
}, 30_000);

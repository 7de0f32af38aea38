/**
 * `check --suggest` before a broker in memory: what it prints is pasted behind the configuration as it
 * is, and a run with it takes every record of the topic into columns of those types.
 */
import { afterEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeTopics } from "#app/describeTopics.ts";
import { runApp } from "#app/runApp.ts";
import { suggest } from "#app/suggest.ts";
import { EXIT, type ExitCode } from "#base/errors.ts";
import { runProgram } from "#cli/program.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";

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

async function program(
  words: readonly string[],
): Promise<{ code: ExitCode; out: string; err: string }> {
  let out = "";
  let err = "";
  const code = await runProgram(words, {
    actions: {
      run: runApp,
      describeTopics,
      suggest,
      loadTest: () => Promise.reject(new TypeError("not here")),
    },
    terminal: {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
    build: { version: "1", commit: "c" },
    stop: new AbortController().signal,
  });
  return { code, out, err };
}

function configFor(broker: FakeKafka): { readonly file: string; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "suggest-"));
  ends.push(() => rmSync(folder, { recursive: true, force: true }));
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
  const dir = join(folder, "wh/default/orders/metadata");
  const version = readFileSync(join(dir, "version-hint.text"), "utf8").trim();
  const metadata = JSON.parse(readFileSync(join(dir, `v${version}.metadata.json`), "utf8")) as {
    "current-schema-id": number;
    schemas: { "schema-id": number; fields: { name: string; type: unknown }[] }[];
    "partition-specs": { fields: { name: string }[] }[];
    snapshots: { summary: Record<string, string> }[];
  };
  const schema = metadata.schemas.find(
    (each) => each["schema-id"] === metadata["current-schema-id"],
  );
  const types = Object.fromEntries((schema?.fields ?? []).map(({ name, type }) => [name, type]));
  expect(types).toMatchObject({
    id: "uuid",
    placed_at: "timestamptz",
    ship_on: "date",
    'total "net"': "decimal(18, 2)",
    "a, b: c": "long",
    odd: { type: "struct" },
    sent_at: "long",
  });
  expect(metadata["partition-specs"][0]?.fields.map(({ name }) => name)).toEqual(["placed_at_day"]);
  expect(metadata.snapshots.at(-1)?.summary["total-records"]).toBe(String(RECORDS));
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

/** The complete examples of docs/ROUTING.md and docs/SHAPING.md do what the pages say, run as they stand there. */
import { afterEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "#base/errors.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { placed, program, type TableShape, tablesIn, temporaryPlace } from "../support/program.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Configuration number `index` of a page, on topics of these documents: the tables that it makes. */
async function tablesOf(
  page: string,
  index: number,
  topics: Readonly<Record<string, readonly string[]>>,
): Promise<Readonly<Record<string, TableShape>>> {
  const blocks = [...readFileSync(`docs/${page}`, "utf8").matchAll(/```toml\n(.*?)```/gs)];
  const { folder, remove } = temporaryPlace("doc-example");
  const broker = new FakeKafka();
  ends.push(remove, () => broker.stop());
  for (const [name, values] of Object.entries(topics)) {
    broker.topic(name);
    const records = values.map((value) => ({ value }));
    broker.append(name, 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  }
  const file = join(folder, "config.toml");
  writeFileSync(file, blocks[index]?.[1] ?? "");
  writeFileSync(join(folder, ".env"), "HASH_SALT=pepper\n");
  const flags = ["--config", file, ...placed(folder, broker.address)];
  const { code, err } = await program(["run", "--until-end", ...flags]);
  expect([code, err]).toEqual([EXIT.ok, ""]);
  return tablesIn(join(folder, "wh"));
}

test("ROUTING: each topic that the pattern matches has its table", async () => {
  const tables = await tablesOf("ROUTING.md", 0, {
    "shop.orders": ['{"id":1}', '{"id":2}'],
    "shop.users": ['{"name":"ann"}'],
    other: ['{"x":1}'],
  });
  expect(Object.entries(tables).map(([name, { rows }]) => [name, rows])).toEqual([
    ["shop.shop.orders", 2],
    ["shop.shop.users", 1],
  ]);
}, 60_000);

test("ROUTING: Debezium's topics become tables of the source's names", async () => {
  const tables = await tablesOf("ROUTING.md", 1, {
    "inventory.public.orders": ['{"id":1}'],
    "inventory.sales.orders": ['{"id":1}'],
  });
  expect(Object.keys(tables).sort()).toEqual(["public.raw_orders", "sales.raw_orders"]);
}, 60_000);

test("ROUTING: records name their tables, by a template and by a list", async () => {
  const events = {
    events: [
      '{"id":1,"meta":{"type":"click"}}',
      '{"id":2,"meta":{"type":"preview"},"page":"x"}',
      '{"id":3}',
      '{"id":4,"meta":{"type":"click"}}',
    ],
  };
  const rows = (tables: Readonly<Record<string, TableShape>>): unknown =>
    Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, table.rows]));
  expect(rows(await tablesOf("ROUTING.md", 2, events))).toEqual({
    "app.events": 1,
    "app.events_click": 2,
    "app.events_preview": 1,
  });
  expect(rows(await tablesOf("ROUTING.md", 3, events))).toEqual({
    "app.events": 1,
    "app.clicks": 2,
    "app.views": 1,
  });
}, 60_000);

test("SHAPING: the example's columns", async () => {
  const user = '"user":{"e-mail":"ann@example.com","phone":"555","password":"p"}';
  const tables = await tablesOf("SHAPING.md", 0, {
    signups: [`{"id":1,"debug":{"x":1},${user}}`, `{"id":"two",${user}}`],
  });
  const table = tables["default.signups"];
  const columns = table?.columns ?? {};
  expect(table?.rows).toBe(2);
  expect(Object.keys(columns).sort()).toEqual([
    ...["_kafka_headers", "_kafka_key", "_kafka_offset", "_kafka_partition", "_kafka_timestamp"],
    ...["_rescued", "id", "user"],
  ]);
  const { fields } = columns["user"] as { fields: { name: string; type: unknown }[] };
  const members = Object.fromEntries(fields.map(({ name, type }) => [name, type]));
  expect(members).toEqual({ phone: "string", email: "string" });
}, 60_000);

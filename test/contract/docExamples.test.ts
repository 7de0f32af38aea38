/**
 * The complete examples of docs/ROUTING.md, SHAPING.md, SCHEMAS.md, DEAD_LETTER.md, LATE_ROWS.md and
 * CHANGE_DATA.md do what the pages say, run as they stand there.
 */
import { afterEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "#base/errors.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { createRegistryFake, type RegistryFake } from "../fakes/schemaRegistry.ts";
import { avroBytes, framed } from "../support/avroRows.ts";
import { placed, program, type TableShape, tablesIn, temporaryPlace } from "../support/program.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A record's key and value; a null value is a tombstone. */
type Keyed = readonly [key: string | Uint8Array, value: string | Uint8Array | null];

/** Values by topic, some with keys. */
type Topics = Readonly<Record<string, readonly (string | Uint8Array | Keyed)[]>>;

/** Files that the page says are there, and the registry at its address. */
interface Around {
  readonly files?: Readonly<Record<string, string>>;
  readonly registry?: RegistryFake;
  /** Further flags. */
  readonly more?: readonly string[];
}

/** The tables that configuration number `index` of a page makes, on topics of these values. */
async function tablesOf(
  page: string,
  index: number,
  topics: Topics,
  around: Around = {},
): Promise<Readonly<Record<string, TableShape>>> {
  const { folder } = await runExample(page, index, topics, around);
  return tablesIn(join(folder, "wh"));
}

/** Runs a configuration of a page; the folder where it ran, and the flags that put it there. */
async function runExample(
  page: string,
  index: number,
  topics: Topics,
  { files = {}, registry, more = [] }: Around = {},
): Promise<{
  readonly folder: string;
  readonly flags: readonly string[];
  readonly broker: FakeKafka;
}> {
  const blocks = [...readFileSync(`docs/${page}`, "utf8").matchAll(/```toml\n(.*?)```/gs)];
  const { folder, remove } = temporaryPlace("doc-example");
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const broker = new FakeKafka();
  ends.push(remove, () => broker.stop());
  for (const [name, values] of Object.entries(topics)) {
    broker.topic(name);
    const records = values.map((value) => {
      if (typeof value === "string" || value instanceof Uint8Array) return { value };
      return { key: value[0], value: value[1] };
    });
    if (records.length === 0) continue;
    broker.append(name, 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  }
  const file = join(folder, "config.toml");
  writeFileSync(file, blocks[index]?.[1] ?? "");
  writeFileSync(join(folder, ".env"), "HASH_SALT=pepper\n");
  const flags = ["--config", file, ...placed(folder, broker.address), ...more];
  for (const name of Object.keys(files)) flags.push(`--set=schema.file=${join(folder, name)}`);
  if (registry !== undefined) flags.push(`--set=schema_registry.url=${served(registry)}`);
  const { code, err } = await program(["run", "--until-end", ...flags]);
  expect([code, err]).toEqual([EXIT.ok, ""]);
  return { folder, flags, broker };
}

/** The address of a registry. */
function served({ http }: RegistryFake): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { status, body } = await http.send({
        ...{ url: request.url, method: "GET", headers: {}, body: null },
      });
      return new Response(body, { status });
    },
  });
  ends.push(() => void server.stop(true));
  return server.url.href;
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

test("ROUTING: JSON behind schema ids names tables, too", async () => {
  const registry = createRegistryFake();
  const schema = { type: "object", properties: { id: { type: "integer" } } };
  const id = registry.register("events-value", JSON.stringify(schema), "JSON");
  const events = ['{"id":1,"meta":{"type":"click"}}', '{"id":2}', '{"id":3,"meta":{"type":7}}'].map(
    (text) => framed(id, new TextEncoder().encode(text)),
  );
  const more = ["--set=source.format=json-schema", "--set=dead_letter.action=skip"];
  const values = [...events, Uint8Array.of(0, 0, 0)];
  const tables = await tablesOf("ROUTING.md", 2, { events: values }, { registry, more });
  const rows = Object.entries(tables).map(([name, table]) => [name, table.rows] as const);
  expect(Object.fromEntries(rows)).toEqual({
    "app.events": 1,
    "app.events_click": 1,
    "app.events_7": 1,
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

const ORDER = {
  type: "record",
  name: "Order",
  fields: [
    { name: "id", type: "long" },
    { name: "placed_at", type: { type: "long", logicalType: "timestamp-millis" } },
  ],
};
const ORDER_PROTO =
  'syntax = "proto3"; package acme.orders; message Order { int64 id = 1; string note = 2; }';
/** id 7, note "x". */
const ORDER_MESSAGE = Uint8Array.of(0x08, 7, 0x12, 1, 0x78);

/** The columns of `default.orders` by type, without Kafka's coordinates, and its rows. */
function orders(tables: Readonly<Record<string, TableShape>>): unknown {
  const { columns = {}, rows = 0 } = tables["default.orders"] ?? {};
  const own = Object.entries(columns).filter(([name]) => !name.startsWith("_kafka_"));
  return { ...Object.fromEntries(own), rows };
}

test("SCHEMAS: Avro with a registry, and with a file", async () => {
  const value = avroBytes(ORDER, { id: 7, placed_at: 1 });
  const wanted = { id: "long", placed_at: "timestamptz", rows: 1 };
  const registry = createRegistryFake();
  const id = registry.register("orders-value", JSON.stringify(ORDER));
  const topics = { orders: [framed(id, value)] };
  expect(orders(await tablesOf("SCHEMAS.md", 0, topics, { registry }))).toEqual(wanted);
  const files = { "order.avsc": JSON.stringify(ORDER) };
  expect(orders(await tablesOf("SCHEMAS.md", 1, { orders: [value] }, { files }))).toEqual(wanted);
}, 60_000);

test("SCHEMAS: Protobuf with a registry, and with a file", async () => {
  const wanted = { id: "long", note: "string", rows: 1 };
  const registry = createRegistryFake();
  const id = registry.register("orders-value", ORDER_PROTO, "PROTOBUF");
  const topics = { orders: [framed(id, Uint8Array.of(0, ...ORDER_MESSAGE))] };
  expect(orders(await tablesOf("SCHEMAS.md", 2, topics, { registry }))).toEqual(wanted);
  const files = { "orders.proto": ORDER_PROTO };
  const bare = { orders: [ORDER_MESSAGE] };
  expect(orders(await tablesOf("SCHEMAS.md", 3, bare, { files }))).toEqual(wanted);
}, 60_000);

test("SCHEMAS: JSON Schema", async () => {
  const registry = createRegistryFake();
  const schema = {
    type: "object",
    properties: { id: { type: "integer" }, at: { type: "string", format: "time" } },
  };
  const id = registry.register("orders-value", JSON.stringify(schema), "JSON");
  const value = new TextEncoder().encode('{"id": 7, "at": "10:00:00+02:00"}');
  const tables = await tablesOf("SCHEMAS.md", 4, { orders: [framed(id, value)] }, { registry });
  expect(orders(tables)).toEqual({ id: "long", at: "time", rows: 1 });
}, 60_000);

test("DEAD_LETTER: what cannot be a row is beside the table, and its commands take the letters up", async () => {
  const values = ['{"n":1,"name":"a"}', "{", '{"n":"x"}', '{"n":2}'];
  const { folder, flags } = await runExample("DEAD_LETTER.md", 0, { events: values });
  const tables = tablesIn(join(folder, "wh"));
  expect(tables["default.events"]?.rows).toBe(2);
  expect(tables["default.events__dead_letter"]?.rows).toBe(2);
  const page = readFileSync("docs/DEAD_LETTER.md", "utf8");
  const [, section = ""] = page.split("## ");
  const documented = [...section.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );
  expect(Object.keys(tables["default.events__dead_letter"]?.columns ?? {}).sort()).toEqual(
    documented.sort() as string[],
  );
  const commands = [...page.matchAll(/^kafka-iceberg (dead-letter .*?) --config/gm)];
  const said: string[] = [];
  for (const [, words = ""] of commands) {
    const { code, out } = await program([...words.replace(":17", ":2").split(" "), ...flags]);
    expect(code).toBe(EXIT.ok);
    said.push(out);
  }
  const [list, show, retry] = said;
  expect(list).toContain("bad_json");
  expect(show).toContain('{"n":"x"}');
  expect(retry).toContain("1 do not fit yet: type_conflict");
}, 60_000);

test("DEAD_LETTER: with a topic the bad records are there, the good ones in the table, and no second table", async () => {
  const values = ['{"n":1,"name":"a"}', "{", '{"n":"x"}', '{"n":2}'];
  const topics = { events: values, "events.dlq": [] };
  const { folder, flags, broker } = await runExample("DEAD_LETTER.md", 1, topics);
  const tables = tablesIn(join(folder, "wh"));
  expect(Object.entries(tables).map(([name, { rows }]) => [name, rows])).toEqual([
    ["default.events", 2],
  ]);
  const [log] = broker.topics.get("events.dlq")?.partitions ?? [];
  expect(log?.end).toBe(2n);
  const { code, err } = await program(["dead-letter", "list", "events", ...flags]);
  expect([code, err]).toEqual([
    EXIT.usage,
    expect.stringContaining("are records of the Kafka topic events.dlq"),
  ]);
}, 60_000);

test("LATE_ROWS: rows that are too far behind are in the late table, with the columns of the others", async () => {
  const hour = 3_600_000;
  const now = Date.UTC(2026, 0, 31, 12);
  const at = (id: number, ts: number | null): string => JSON.stringify({ id, ts });
  const values = [at(1, now - hour), at(2, now), at(3, now - hour), at(4, now - hour - 1)];
  // The last is not late: nobody's clock has been there, so that it moves no watermark.
  const events = [...values, at(5, null), at(6, 32_503_680_000_000), at(7, now - 5)];
  const tables = await tablesOf("LATE_ROWS.md", 0, { events });
  const { columns, partitions, rows } = tables["default.events"] as TableShape;
  expect([rows, partitions]).toEqual([6, ["ts_day"]]);
  expect(tables["default.events_late"]).toEqual({
    columns: { ...columns, _kafka_topic_id: "string" },
    partitions,
    rows: 1,
  });
}, 60_000);

test("CHANGE_DATA: a tombstone deletes the row that its key in Avro names, by whatever version of the schema", async () => {
  const registry = createRegistryFake();
  const versions = [1, 2].map((version) => {
    const more = version === 1 ? [] : [{ name: "region", type: "string" }];
    return { type: "record", name: "Key", fields: [{ name: "id", type: "long" }, ...more] };
  });
  const ids = versions.map((schema) => registry.register("customers-key", JSON.stringify(schema)));
  const fields = [...(versions[0]?.fields ?? []), { name: "name", type: "string" }];
  const rows = { type: "record", name: "Row", fields };
  const rowId = registry.register("customers-value", JSON.stringify(rows));
  const key = (version: 0 | 1, id: number) =>
    framed(ids[version] ?? 0, avroBytes(versions[version] ?? {}, { id, region: "eu" }));
  const put = (id: number, name: string): Keyed => [
    key(0, id),
    framed(rowId, avroBytes(rows, { id, name })),
  ];
  const customers: Keyed[] = [put(1, "ann"), put(2, "bob"), put(1, "eve"), [key(1, 2), null]];
  const tables = await tablesOf("CHANGE_DATA.md", 2, { customers }, { registry });
  expect(tables["default.customers"]).toMatchObject({
    columns: { id: "long", name: "string" },
    rows: 1,
  });
}, 60_000);

test("CHANGE_DATA: Debezium's changes leave the rows that the source has", async () => {
  const row = (id: number, paid: boolean) => {
    return { id, customer: "ann", total: "12.50", paid, placed: "2026-01-31T10:00:00.123456Z" };
  };
  const source = { version: "3.7.0.Final", ts_ms: 1_700_000_000_000, lsn: 7, table: "orders" };
  const change = (id: number, op: string, before: object | null, after: object | null): Keyed => {
    return [`{"id":${id}}`, JSON.stringify({ before, after, source, op })];
  };
  const changes = {
    "shop.public.orders": [
      change(1, "r", null, row(1, false)),
      change(2, "c", null, row(2, false)),
      change(1, "u", row(1, false), row(1, true)),
      change(2, "d", row(2, false), null),
      ['{"id":2}', null],
      change(3, "c", null, { ...row(3, true), note: "a column that came later" }),
    ] as const,
  };
  const tables = await tablesOf("CHANGE_DATA.md", 0, changes);
  expect(tables).toEqual({
    "default.orders": {
      columns: {
        id: "long",
        customer: "string",
        total: "decimal(12, 2)",
        paid: "boolean",
        placed: "timestamptz",
        note: "string",
        _kafka_op: "string",
        _kafka_source_ts: "timestamptz",
        _kafka_source_lsn: "long",
      },
      partitions: [],
      rows: 2,
    },
  });
}, 60_000);

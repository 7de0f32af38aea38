/** The complete examples of docs/ROUTING.md, SHAPING.md and SCHEMAS.md do what the pages say, run as they stand there. */
import { afterEach, expect, test } from "bun:test";
import { createRegistryFake, registryAnswer } from "../fakes/schemaRegistry.ts";
import { avroBytes, framed } from "../support/avroRows.ts";
import { endExamples, tablesOf } from "../support/docExamples.ts";
import type { TableShape } from "../support/program.ts";

afterEach(endExamples);

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

test("ROUTING: Avro and Protobuf name tables, also when the registry cannot answer at first", async () => {
  const meta = { type: "record", name: "Meta", fields: [{ name: "type", type: "string" }] };
  const fields = [
    { name: "id", type: "long" },
    { name: "meta", type: ["null", meta] },
  ];
  const schema = { type: "record", name: "Event", fields };
  const proto =
    'syntax = "proto3"; message Event { int64 id = 1; Meta meta = 2; message Meta { string type = 1; } }';
  const registry = createRegistryFake();
  const ids = [
    registry.register("events-value", JSON.stringify(schema)),
    registry.register("events-value", proto, "PROTOBUF"),
  ] as const;
  const ofAvro = (id: number, type: string | null) =>
    framed(ids[0], avroBytes(schema, { id, meta: type === null ? null : { Meta: { type } } }));
  const ofProto = (text: string) => framed(ids[1], Uint8Array.fromHex(text));
  // The last record is damaged: it names nothing.
  const avro = [
    ofAvro(1, "click"),
    ofAvro(2, null),
    ofAvro(3, "view"),
    ofAvro(4, "click"),
    ofAvro(5, "click").slice(0, -1),
  ];
  const protobuf = ["00080112070a05636c69636b", "000802", "00080312060a0476696577"];
  const last = "00080412070a05636c69636b";
  for (const [format, values] of [
    ["avro", avro],
    ["protobuf", [...protobuf, last, last.slice(0, -2)].map(ofProto)],
  ] as const) {
    const flags = [`--set=source.format=${format}`];
    let troubles = 3;
    registry.intercept = () => (troubles-- > 0 ? registryAnswer(503, { message: "busy" }) : null);
    const tables = await tablesOf("ROUTING.md", 4, { events: values }, { registry, more: flags });
    const rows = Object.entries(tables).map(([name, table]) => [name, table.rows] as const);
    expect([format, Object.fromEntries(rows)]).toEqual([
      format,
      {
        "app.events": 1,
        "app.events__dead_letter": 1,
        "app.events_click": 2,
        "app.events_view": 1,
      },
    ]);
  }
}, 90_000);

test("SHAPING: Avro, whose next version has one field more", async () => {
  const user = (...names: readonly string[]) => {
    const fields = names.map((name) => ({ name, type: "string" }));
    return { name: "user", type: { type: "record", name: "User", fields } };
  };
  const schemas = [
    ["mail", "phone"],
    ["mail", "phone", "nick"],
  ].map((names) => ({
    type: "record",
    name: "Signup",
    fields: [{ name: "id", type: "long" }, user(...names), { name: "debug", type: "string" }],
  }));
  const registry = createRegistryFake();
  const values = schemas.map((schema, id) => {
    const value = { id, user: { mail: "ann@example.com", phone: "1", nick: "a" }, debug: "x" };
    return framed(
      registry.register("signups-value", JSON.stringify(schema)),
      avroBytes(schema, value),
    );
  });
  // The first schema alone is in the sample: what the second adds has no column.
  const more = ["--set=schema.infer_rows=1"];
  const [first, second] = values.map((value) => [value]);
  const topics = { signups: [...(first ?? []), ...(second ?? [])] };
  const tables = await tablesOf("SHAPING.md", 1, topics, { registry, more });
  const table = tables["default.signups"];
  expect(table?.rows).toBe(2);
  const { fields } = (table?.columns["user"] ?? {}) as {
    fields: { name: string; type: unknown }[];
  };
  const members = Object.fromEntries(fields.map(({ name, type }) => [name, type]));
  expect(members).toMatchObject({ email: "string", phone: "string" });
  expect(Object.keys(table?.columns ?? {})).not.toContain("debug");
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

test("SCHEMAS: columns of appended rows that a key in Avro fills", async () => {
  const fields = ["account", "region"].map((name) => ({ name, type: "string" }));
  const schema = { type: "record", name: "Key", fields };
  const registry = createRegistryFake();
  const id = registry.register("payments-key", JSON.stringify(schema));
  const key = framed(id, avroBytes(schema, { account: "a", region: "eu" }));
  const payments = [[key, '{"amount":1}'] as const, [key, '{"amount":2,"region":"us"}'] as const];
  const tables = await tablesOf("SCHEMAS.md", 5, { payments }, { registry });
  const { rows, columns } = tables["default.payments"] ?? {};
  expect(rows).toBe(2);
  expect(columns).toMatchObject({ account: "string", region: "string", amount: "long" });
}, 60_000);

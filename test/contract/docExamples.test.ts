/**
 * The complete examples of docs/DEAD_LETTER.md, LATE_ROWS.md and CHANGE_DATA.md do what the pages say, run as
 * they stand there.
 */
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "#base/errors.ts";
import { createRegistryFake } from "../fakes/schemaRegistry.ts";
import { avroBytes, framed } from "../support/avroRows.ts";
import { endExamples, type Keyed, runExample, tablesOf } from "../support/docExamples.ts";
import { program, type TableShape, tablesIn } from "../support/program.ts";

afterEach(endExamples);

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

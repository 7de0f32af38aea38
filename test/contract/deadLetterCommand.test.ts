/**
 * `dead-letter` before a broker in memory: what a run put aside is listed, shown, and brought in once
 * after its cause was mended.
 */
import { afterEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "#base/errors.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { avroBytes, framed } from "../support/avroRows.ts";
import { type Outcome, program, tablesIn, temporaryPlace } from "../support/program.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** 40 numbers, every fourth of them too large for an int, and two that are no JSON. */
const VALUES = [
  ...Array.from({ length: 40 }, (_, n) => `{"n":${n % 4 === 0 ? 3_000_000_000 + n : n}}`),
  "{",
  "\u001b[2J",
];

interface Place {
  readonly folder: string;
  readonly run: (type: string, source?: string, iceberg?: string) => Promise<Outcome>;
  readonly letters: (...words: string[]) => Promise<Outcome>;
}

function newPlace(values: readonly (string | Uint8Array)[] = VALUES): Place {
  const broker = new FakeKafka();
  const { folder, remove } = temporaryPlace("letters");
  ends.push(() => broker.stop(), remove);
  broker.topic("orders", 1);
  const records = values.map((value) => ({ value, headers: [{ key: "trace", value: "x" }] }));
  broker.append("orders", 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  const file = join(folder, "config.toml");
  const write = (type: string, source: string, iceberg: string): void =>
    writeFileSync(
      file,
      `
[kafka]
bootstrap_servers = "${broker.address}"
topic = "orders"
${source}
[[schema.fields]]
name = "n"
type = "${type}"
[iceberg]
warehouse_path = "${folder}/wh"
${iceberg}
[iceberg.table_management]
schema_mismatch_action = "evolve"
[state]
dir = "${folder}/state"
[server]
health_address = ""
metrics_address = ""
[logging]
level = "error"
`,
    );
  return {
    folder,
    run: (type, source = "", iceberg = "") => {
      write(type, source, iceberg);
      return program(["run", "--until-end", "--config", file]);
    },
    letters: (...words) => program(["dead-letter", ...words, "--config", file]),
  };
}

const rows = (folder: string): number | undefined =>
  tablesIn(join(folder, "wh"))["default.orders"]?.rows;

test("letters are listed by reason and shown with their bytes, which move no terminal", async () => {
  const { folder, run, letters } = newPlace();
  expect((await run("int")).code).toBe(EXIT.ok);
  expect(rows(folder)).toBe(30);
  const listed = await letters("list", "orders", "--json");
  expect(JSON.parse(listed.out)).toMatchObject([
    { reason: "type_conflict", waiting: 10, brought_in: 0 },
    { reason: "bad_json", waiting: 2, brought_in: 0 },
  ]);
  expect((await letters("list", "orders")).out).toContain("type_conflict");
  const shown = await letters("show", "orders", "--record", "orders:0:41");
  expect(shown.out).toContain("value:     \\x1b[2J");
  const first = await letters(
    "show",
    "orders",
    "--reason",
    "type_conflict",
    "--limit",
    "2",
    "--json",
  );
  expect(JSON.parse(first.out)).toMatchObject([
    { offset: 0, value_base64: btoa('{"n":3000000000}'), brought_in: false },
    { offset: 4 },
  ]);
  expect((await letters("show", "orders", "--record", "orders:0:1")).out).toContain("no such");
  for (const words of [
    ["show", "orders", "--record", "orders"],
    ["show", "orders", "--limit", "0"],
    ["mend", "orders"],
  ]) {
    expect((await letters(...words)).code).toBe(EXIT.usage);
  }
}, 60_000);

test("letters of a table that follows changes are not brought in, and are told how to come otherwise", async () => {
  const { folder, run, letters } = newPlace();
  const ktable = '[source]\nmode = "ktable"\nkey_field = ["n"]\nkey_format = "json"';
  expect((await run("long", ktable)).code).toBe(EXIT.ok);
  const before = rows(folder);
  for (const words of [[], ["--dry-run"], ["--again"]]) {
    const refused = await letters("retry", "orders", ...words);
    expect(refused.code).toBe(EXIT.usage);
    expect(refused.err).toContain("it follows changes");
  }
  expect(rows(folder)).toBe(before ?? -1);
  expect((await letters("list", "orders")).out).toContain("bad_json");
}, 60_000);

test("letters in Avro are decoded by the registry's schemas", async () => {
  const fields = ["n", "more"].map((name) => ({ name, type: "long" }));
  const schema = { type: "record", name: "Order", fields };
  const registry = Bun.serve({
    port: 0,
    fetch: () => Response.json({ schema: JSON.stringify(schema) }),
  });
  ends.push(() => void registry.stop(true));
  const values = [1, 2, 3].map((n) => framed(7, avroBytes(schema, { n, more: n })));
  const { folder, run, letters } = newPlace(values);
  const source = (unknown: string): string =>
    `[source]\nformat = "avro"\n[schema_registry]\nurl = "${registry.url}"\n[schema]\non_unknown_field = "${unknown}"`;
  expect(await run("long", source("dead_letter"))).toMatchObject({ code: EXIT.ok });

  expect(rows(folder) ?? 0).toBe(0);
  expect((await letters("retry", "orders")).out).toContain("0 letters are brought into");
  expect((await run("long", source("ignore"))).code).toBe(EXIT.ok);
  expect((await letters("retry", "orders")).out).toContain("3 letters are brought into");
  expect(rows(folder)).toBe(3);
}, 60_000);

test("after the column was widened, those that fit are brought in, each once, whatever is asked again", async () => {
  const { folder, run, letters } = newPlace();
  expect((await run("int")).code).toBe(EXIT.ok);
  expect((await letters("retry", "orders")).out).toContain("0 letters are brought into");
  expect((await run("long")).code).toBe(EXIT.ok);
  const dry = await letters("retry", "orders", "--dry-run");
  expect(dry.out).toContain("10 letters would be brought into default.orders");
  expect(rows(folder)).toBe(30);
  const some = await letters("retry", "orders", "--limit", "4");
  expect(some.out).toContain("4 letters are brought into default.orders");
  const rest = await letters("retry", "orders");
  expect(rest.out).toContain("6 letters are brought into default.orders");
  expect(rest.out).toContain("2 do not fit yet: bad_json");
  expect((await letters("retry", "orders", "--again")).out).toContain(
    "10 were in the table already",
  );
  expect(rows(folder)).toBe(40);
  const listed = await letters("list", "orders", "--json");
  expect(JSON.parse(listed.out)).toMatchObject([
    { reason: "bad_json", waiting: 2 },
    { reason: "type_conflict", waiting: 0, brought_in: 10 },
  ]);
}, 60_000);

test("a letter whose record names another table stays a letter, and the others of its table are brought in", async () => {
  const fields = [
    { name: "n", type: "long" },
    { name: "more", type: "long" },
    { name: "type", type: ["null", "string"] },
  ];
  const schema = { type: "record", name: "Order", fields };
  const registry = Bun.serve({
    port: 0,
    fetch: () => Response.json({ schema: JSON.stringify(schema) }),
  });
  ends.push(() => void registry.stop(true));
  const routed = 'route_field = "type"';
  for (const format of ["json", "avro"] as const) {
    const value = (n: number, type: string | null): string | Uint8Array =>
      format === "json"
        ? JSON.stringify({ n, more: n, type })
        : framed(
            7,
            avroBytes(schema, { n, more: n, type: type === null ? null : { string: type } }),
          );
    const values = [value(1, "click"), value(2, null), value(3, "no/table"), value(4, "view")];
    const { folder, run, letters } = newPlace(values);
    const source = (unknown: string): string =>
      `[source]\nformat = "${format}"\n[schema]\non_unknown_field = "${unknown}"\n` +
      (format === "json" ? "" : `[schema_registry]\nurl = "${registry.url}"\n`);
    // Nothing named tables when these were refused.
    expect(await run("long", source("dead_letter"))).toMatchObject({ code: EXIT.ok });
    expect(rows(folder) ?? 0).toBe(0);
    expect(await run("long", source("evolve"), routed)).toMatchObject({ code: EXIT.ok });
    const retried = await letters("retry", "orders");
    expect(retried.out).toContain("2 letters are brought into default.orders");
    expect(retried.out).toContain("2 name another table");
    expect(rows(folder)).toBe(2);
    expect((await letters("retry", "orders")).out).toContain("2 name another table");
    expect(rows(folder)).toBe(2);
  }
}, 60_000);

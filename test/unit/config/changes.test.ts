/** Tables that follow changes: what their keys come to, and what cannot be right. */
import { expect, test } from "bun:test";
import { maintenanceOptions } from "#config/buildMaintenance.ts";
import {
  changeOptions,
  keyColumnsOf,
  metadataColumnsOf,
  orderColumnOf,
  rowKeyOptions,
  rowsOf,
} from "#config/changes.ts";
import { load, loadRight, values } from "./helpers.ts";

const TOPIC = '[kafka]\ntopic = "t"\n';

test("without key_field rows are found by the Kafka key, whose column is then in the table", async () => {
  const of = values(await loadRight(`${TOPIC}[source]\nmode = "ktable"\nmetadata_prefix = "k_"\n`));
  expect(keyColumnsOf(of)).toEqual(["k_key"]);
  expect(metadataColumnsOf(of)).toEqual(["partition", "offset", "timestamp", "key"]);
  expect(changeOptions(of)).toEqual({
    mode: "ktable",
    keyFields: [],
    keyFormat: "string",
    onDelete: "delete",
    opField: null,
    orderColumn: null,
  });
});

test("the order of changes is a column, of the row or of the envelope's source, which the table then has", async () => {
  const of = async (more: string): Promise<[string | null, readonly string[]]> => {
    const text = `${TOPIC}[source]\non_delete = "mark"\nmetadata_columns = ["timestamp"]\n${more}\n`;
    const found = values(await loadRight(text));
    return [orderColumnOf(found), metadataColumnsOf(found)];
  };
  const cdc = 'mode = "cdc"\nkey_field = ["id"]\nkey_format = "json"\n';
  const time = "timestamp";
  expect(await of(`${cdc}order_field = "source.lsn"`)).toEqual([
    "_kafka_source_lsn",
    [time, "source_lsn"],
  ]);
  expect(await of(`${cdc}order_field = "source.ts_ms"`)).toEqual([
    "_kafka_source_ts",
    [time, "source_ts"],
  ]);
  expect(await of(`${cdc}order_field = "version"`)).toEqual(["version", [time]]);
  expect(await of(`${cdc}op_field = "op"\norder_field = "source.lsn"\n`).catch(String)).toContain(
    "must be a column of the row",
  );
});

test("where rows are appended key_field names columns that the key fills, which identify nothing", async () => {
  const text = `${TOPIC}[source]\nkey_field = ["a", "b"]\nkey_format = "json"\n`;
  const config = values(await loadRight(text));
  expect(rowKeyOptions(config)).toEqual({ columns: ["a", "b"], format: "json" });
  expect([changeOptions(config), keyColumnsOf(config)]).toEqual([null, []]);
  expect(rowKeyOptions(values(await loadRight(TOPIC)))).toBeNull();
});

test("with key_field its columns are the key, and no other is added", async () => {
  const text = `${TOPIC}[source]\nmode = "cdc"\nkey_field = ["a", "b"]\nkey_format = "json"\non_delete = "mark"\n`;
  const of = values(await loadRight(text));
  expect(keyColumnsOf(of)).toEqual(["a", "b"]);
  expect(metadataColumnsOf(of)).toEqual(["partition", "offset", "timestamp"]);
  expect(changeOptions(of)).toMatchObject({ keyFormat: "json", onDelete: "mark" });
});

test("snapshots that delete rows are expired every hour, unless somebody says how often", async () => {
  const intervalMs = async (more: string): Promise<number | undefined> => {
    const pipeline = (await loadRight(TOPIC + more)).pipelines[0];
    if (pipeline === undefined) throw new Error("there is a pipeline");
    return maintenanceOptions(pipeline, { codec: "zstd", codecLevel: null }).expire?.intervalMs;
  };
  const table = '[source]\nmode = "ktable"\n';
  expect(await intervalMs("")).toBe(86_400_000);
  expect(await intervalMs(table)).toBe(3_600_000);
  const often = "[maintenance]\nsnapshot_check_interval_seconds = 60\n";
  expect(await intervalMs(table + often)).toBe(60_000);
  const seldom = "[maintenance]\nsnapshot_check_interval_seconds = 7200\n";
  expect(await intervalMs(table + seldom)).toBe(7_200_000);
});

test("where every change stays nothing is replaced: deletes are rows, and the table says which row of a key is the newest", async () => {
  const of = async (more: string) =>
    values(
      await loadRight(
        `${TOPIC}[iceberg.write]\ndelete_mode = "append-dedupe"\n[source]\nmode = "cdc"\nkey_field = ["id"]\nkey_format = "json"\nmetadata_columns = ["timestamp"]\n${more}`,
      ),
    );
  const plain = await of("");
  expect(changeOptions(plain)?.onDelete).toBe("mark");
  expect(metadataColumnsOf(plain)).toEqual(["timestamp", "partition", "offset"]);
  const latest = {
    ...{ key: ["id"], orderField: null, deleted: "_kafka_deleted" },
    ...{ partition: "_kafka_partition", offset: "_kafka_offset" },
  };
  expect(rowsOf(plain)).toEqual({ key: [], order: null, latest });
  const ordered = await of('order_field = "source.lsn"\n');
  expect(rowsOf(ordered).latest).toEqual({ ...latest, orderField: "_kafka_source_lsn" });
  const marked = await of('on_delete = "mark"\n');
  expect(rowsOf(marked).latest).toEqual({ ...latest, deleted: null });
  const ignoring = await of('on_delete = "ignore"\n');
  expect([rowsOf(ignoring).latest?.deleted, changeOptions(ignoring)?.onDelete]).toEqual([
    null,
    "ignore",
  ]);
});

test("rows that are appended have no key", async () => {
  const of = values(await loadRight(TOPIC));
  expect([changeOptions(of), keyColumnsOf(of)]).toEqual([null, []]);
});

test("each combination that could lose or double a row is refused, and says why", async () => {
  const source = (mode: string, more: string): string => `[source]\nmode = "${mode}"\n${more}\n`;
  const key = 'key_field = ["id"]\nkey_format = "json"\n';
  const cases: readonly (readonly [string, string])[] = [
    [TOPIC + source("kstream", 'key_field = ["id"]'), "source.key_field"],
    [TOPIC + source("kstream", 'on_delete = "mark"'), "source.on_delete"],
    [TOPIC + source("kstream", "track_changes = true"), "source.track_changes"],
    [
      `[kafka]\ntopics = ["a", "a__changes"]\n${source("ktable", `${key}track_changes = true`)}`,
      "default.a__changes is the name of another table",
    ],
    [TOPIC + source("ktable", 'metadata_columns = ["op"]'), "source.metadata_columns"],
    [TOPIC + source("ktable", 'key_format = "json"'), "source.key_format"],
    [TOPIC + source("ktable", 'key_field = ["id"]'), "source.key_format"],
    [TOPIC + source("ktable", 'key_field = ["a", "b"]\nkey_format = "string"'), "several"],
    [TOPIC + source("ktable", 'key_field = []\nkey_format = "json"'), "must name a column"],
    [TOPIC + source("ktable", 'key_field = ["a.b"]\nkey_format = "json"'), "inside a struct"],
    [TOPIC + source("ktable", 'key_field = ["a", "a"]\nkey_format = "json"'), "twice"],
    [`${TOPIC}${source("ktable", key)}[source.transform]\nmask = ["id"]\n`, "masked"],
    [TOPIC + source("ktable", 'key_field = ["a"]\nkey_format = "avro"'), "schema_registry.url"],
    [TOPIC + source("ktable", 'key_field = ["a", "b"]\nkey_format = "long"'), "names several"],
    [TOPIC + source("ktable", 'key_format = "protobuf"'), "needs source.key_field"],
    [TOPIC + source("ktable", 'format = "string"'), "needs rows"],
    [TOPIC + source("cdc", 'format = "avro"'), "need schema_registry.url"],
    [TOPIC + source("ktable", 'op_field = "op"'), 'needs source.mode = "cdc"'],
    [TOPIC + source("cdc", 'op_field = "a.op"'), "inside an object"],
    [
      TOPIC + source("cdc", 'op_field = "id"\nkey_field = ["id"]\nkey_format = "json"'),
      "no column",
    ],
    [
      TOPIC + source("cdc", 'op_field = "op"\nmetadata_columns = ["op", "source_lsn"]'),
      '"source_lsn" is a part of',
    ],
    [`${TOPIC}[iceberg.write]\ndelete_mode = "position"\n`, "needs source.mode"],
    [
      `${TOPIC}${source("ktable", "")}[iceberg.write]\ndelete_mode = "deletion-vector"\n`,
      "format_version = 3",
    ],
    [
      `${TOPIC}${source("ktable", "")}[iceberg.write]\ndelete_mode = "equality"\nformat_version = 3\n`,
      "format_version = 2",
    ],
    [
      `${TOPIC}${source("ktable", `${key}on_delete = "mark"\norder_field = "v"`)}[iceberg.write]\ndelete_mode = "equality"\n`,
      "only with an index",
    ],
    [
      `${TOPIC}${source("ktable", key)}[schema]\nfields = [{name = "id", type = "double"}]\n`,
      "is no key",
    ],
    [TOPIC + source("ktable", `${key}order_field = "v"`), 'on_delete = "mark"'],
    [`${TOPIC}[iceberg.write]\ndelete_mode = "append-dedupe"\n`, "needs source.mode"],
    [
      `${TOPIC}${source("ktable", key)}[iceberg.write]\ndelete_mode = "append-dedupe"\n[schema]\nfields = [{name = "n", type = "int", required = true}]\n`,
      '"append-dedupe" keeps rows',
    ],
    [
      `${TOPIC}${source("ktable", `${key}on_delete = "mark"\norder_field = "v"`)}[schema]\nfields = [{name = "v", type = "string"}]\n`,
      "a whole number or a time",
    ],
    [TOPIC + source("ktable", 'on_tombstone = "skip"'), "is a delete"],
    [TOPIC + source("ktable", 'late_table = "late"'), "older row standing"],
    [`${TOPIC}${source("ktable", "")}[iceberg]\nroute_field = "type"\n`, "older row standing"],
    [
      `${TOPIC}${source("ktable", `${key}on_delete = "mark"`)}[schema]\nfields = [{name = "n", type = "int", required = true}]\n`,
      "column n is required",
    ],
    [
      `[kafka]\ntopics = ["a", "b"]\n${source("ktable", "")}[iceberg]\ntable_name = "one"\n`,
      "which change of a row is later",
    ],
  ];
  for (const [text, words] of cases) {
    const { problems } = await load(text);
    expect([text, problems.join("\n")]).toEqual([text, expect.stringContaining(words)]);
  }
});

test("two pipelines never fill one table whose rows change by key", async () => {
  const two = (mode: string, table: string): string =>
    `[[pipelines]]\nname = "a"\nkafka.topic = "t"\nkafka.consumer_group = "a"\nsource.mode = "${mode}"\n` +
    `iceberg.table_name = "one"\n[[pipelines]]\nname = "b"\nkafka.topic = "u"\n` +
    `iceberg.table_name = "${table}"\n`;
  const { problems } = await load(two("ktable", "one"));
  expect(problems).toEqual([expect.stringContaining("a and b both fill the table default.one")]);
  expect((await load(two("kstream", "one"))).problems).toEqual([]);
  expect((await load(two("ktable", "other"))).problems).toEqual([]);
});

test("several topics may each follow changes in a table of its own", async () => {
  const several = '[kafka]\ntopics = ["a", "b"]\n[source]\nmode = "ktable"\n';
  expect((await load(several)).problems).toEqual([]);
  expect((await load(`${several}[iceberg]\ntable_name = "all_{topic}"\n`)).problems).toEqual([]);
});

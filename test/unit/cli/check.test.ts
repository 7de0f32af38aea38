/**
 * `check`: the plan, and what is in its way.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fail } from "#base/errors.ts";
import type { TopicDescription } from "#cli/actions.ts";
import { cli, makePlace, type Place, RECREATED, SAME } from "./place.ts";

const six: TopicDescription = {
  ...RECREATED,
  topic: "clicks",
  partitions: [0, 1, 2, 3, 4, 5].map((partition) => ({ partition, logStart: 0n, logEnd: 1000n })),
};

const check = (place: Place, topics: readonly TopicDescription[] = [SAME], ...words: string[]) =>
  cli(["check", "--config", place.config, ...words], { describeTopics: async () => topics });

describe("check", () => {
  test("shows topics and the tables that are there", async () => {
    const { code, out } = await check(await makePlace());
    expect(code).toBe(0);
    expect(out).toContain("the configuration is right");
    expect(out).toMatch(/events +3 +620/);
    expect(out).toMatch(/default\.events +append +day\(at\) +100/);
  });

  test("shows tables that it would create, and creates nothing", async () => {
    const place = await makePlace();
    const { code, out } = await check(place, [six], "--kafka-topic", "clicks");
    expect(code).toBe(0);
    expect(out).toMatch(/default\.clicks +create +day\(_kafka_timestamp\) +0/);
    expect(out).toContain("default.clicks: columns learned from the first records");
    expect(existsSync(`${place.folder}/wh/default/clicks`)).toBe(false);
  });

  test("says once what it would say of each of 200 tables", async () => {
    const topics = Array.from({ length: 200 }, (_, each) => ({ ...six, topic: `clicks${each}` }));
    const { out } = await check(await makePlace(), topics);
    const notes = out.split("\n").filter((line) => line.includes("learned from the first records"));
    expect(notes.map((line) => line.trim())).toEqual([
      "200 tables (default.clicks0, default.clicks1, default.clicks2 and 197 more): " +
        "columns learned from the first records",
    ]);
    const json = JSON.parse((await check(await makePlace(), topics, "--json")).out) as {
      pipelines: { differences: string[] }[];
    };
    expect(json.pipelines[0]?.differences).toHaveLength(200);
  });

  test("warns above 50,000 files a day", async () => {
    const place = await makePlace();
    const often = await check(place, [six], "--kafka-topic", "clicks");
    expect(often.out).toContain("up to 103680 data files a day (6 a commit, 17280 commits)");
    const seldom = ["--kafka-topic", "clicks", "--set", "iceberg.commit.interval_ms=60000"];
    expect((await check(place, [six], ...seldom)).out).not.toContain("data files a day");
  });

  test("says that a catalog has no commit of several tables, where that is asked for", async () => {
    const place = await makePlace();
    const note = "the catalog offers no commit of several tables; each is committed by itself";
    const { out } = await check(place, [SAME], "--set", "iceberg.commit.together=true");
    expect(out).toContain(note);
    expect((await check(place)).out).not.toContain(note);
  });

  test("says by what rows of a key replace each other, and who reads that", async () => {
    const place = await makePlace();
    const key = ['key_field=["id"]', "key_format=json", "mode=ktable"];
    const set = key.flatMap((each) => ["--set", `source.${each}`]);
    const old = await check(place, [SAME], ...set);
    expect(old.out).toContain("rows of one key (id) replace each other by position deletes");
    const made = [...set, "--kafka-topic", "clicks", "--set", "iceberg.write.format_version=3"];
    const { out } = await check(place, [six], ...made);
    expect(out).toContain("replace each other by deletion vectors (format v3)");
    expect((await check(place, [SAME])).out).not.toContain("replace each other");
    const copied = [...set, "--set", "iceberg.write.delete_mode=copy-on-write"];
    expect((await check(place, [SAME], ...copied)).out).toContain("written anew");
    const equality = [...set, "--set", "iceberg.write.delete_mode=equality"];
    expect((await check(place, [SAME], ...equality)).out).toContain("PyIceberg 0.12 refuses");
    const all = ["--kafka-topic", "clicks", "--set", "iceberg.write.delete_mode=append-dedupe"];
    const kept = (await check(place, [six], ...set, ...all)).out;
    expect(kept).toContain("every change is a row of its own");
    expect(kept).toContain("clicks_latest in /query");
  });

  test("refuses a way to delete that is for another format than the table's", async () => {
    const place = await makePlace();
    const sets = ['source.key_field=["id"]', "source.key_format=json", "source.mode=ktable"];
    const vectors = ["iceberg.write.format_version=3", "iceberg.write.delete_mode=deletion-vector"];
    const asked = await check(
      place,
      [SAME],
      ...[...sets, ...vectors].flatMap((each) => ["--set", each]),
    );
    expect(asked.code).toBe(2);
    expect(asked.out).toContain('delete_mode = "deletion-vector" is for v3');
  });

  test("shows how declared columns and partitions differ from the table's", async () => {
    const place = await makePlace();
    const set = [
      "--set",
      'schema.fields=[{name="id", type="string"}, {name="new", type="list<int>"}, {name="at", type="timestamptz"}]',
      "--set",
      'partitioning.spec=["bucket(4, id)"]',
    ];
    const { code, out } = await check(place, [SAME], ...set);
    expect(code).toBe(4);
    expect(out).toContain("default.events: column id is long, declared as string");
    expect(out).toContain("default.events: column new list<int> is not in the table");
    expect(out).toContain(
      "partitioned by day(at), configured bucket[4](id); the table's own stays",
    );
    expect(out).not.toContain("column at");
    const warn = ["--set", "iceberg.table_management.schema_mismatch_action=warn"];
    expect((await check(place, [SAME], ...set, ...warn)).code).toBe(0);
  });

  test("finds what a run refuses: lost offsets, topics made anew, formats and partitions that are none", async () => {
    const place = await makePlace();
    const lost = { ...SAME, partitions: [{ partition: 0, logStart: 150n, logEnd: 300n }] };
    const short = { ...SAME, partitions: [{ partition: 1, logStart: 0n, logEnd: 150n }] };
    const offsets: readonly (readonly [TopicDescription, string])[] = [
      [lost, "no longer holds events/0 from offset 100 to 149 (retention)"],
      [short, "events/1 ends at offset 150, before the committed offset 200"],
      [RECREATED, "topic events was re-created"],
    ];
    for (const [topic, sentence] of offsets) {
      const { code, out } = await check(place, [topic]);
      expect([code, out]).toEqual([4, expect.stringContaining(sentence)]);
      expect(out).toContain("--accept-topic events");
    }
    const settings: readonly (readonly string[])[] = [
      ["source.event_time_field=ts", "source.event_time_format=MM/dd"],
      ['partitioning.spec=["hourly(x)"]'],
      [
        "schema.on_unknown_field=ignore",
        "schema.infer=false",
        'schema.fields=[{name="a", type="long"}]',
        'partitioning.spec=["region"]',
      ],
      ['schema.fields=[{name="_kafka_offset", type="long"}]'],
    ];
    for (const each of settings) {
      const set = each.flatMap((setting) => ["--set", setting]);
      const { code } = await check(place, [six], "--kafka-topic", "clicks", ...set);
      expect([each, code]).toEqual([each, 2]);
    }
  });

  test("goes on behind a table that cannot be read, and tells of each", async () => {
    const place = await makePlace();
    for (const table of ["bad1", "bad2"]) {
      const folder = `${place.folder}/wh/default/${table}/metadata`;
      mkdirSync(folder, { recursive: true });
      writeFileSync(`${folder}/v1.metadata.json`, '{"format-version": 9}');
    }
    const topics = ["bad1", "bad2", "events"].map((topic) => ({ ...SAME, topic }));
    const { code, out } = await check(place, topics);
    expect(code).toBe(2);
    expect(out).toMatch(/catalog: .*bad1/);
    expect(out).toMatch(/catalog: .*bad2/);
    expect(out).toMatch(/default\.events +append/);
  });

  test("says which topics meet in one table; by their names alone none do", async () => {
    const place = await makePlace();
    const names = ["a.b", "a_b"].map((topic) => ({ ...six, topic }));
    const apart = await check(place, names);
    expect(apart.out).not.toContain("filled by topics");
    const together = await check(place, names, "--set", "iceberg.table_name=all");
    expect(together.out).toContain("default.all: filled by topics");
  });

  test("exits 2 when a table is missing that may not be created", async () => {
    const words = ["--kafka-topic", "clicks", "--set"];
    const no = "iceberg.table_management.auto_create_if_missing=false";
    const { code, out } = await check(await makePlace(), [six], ...words, no);
    expect(code).toBe(2);
    expect(out).toContain("default.clicks is missing, and auto_create_if_missing is false");
  });

  test("exits 3 when Kafka is away, and still looks at the tables", async () => {
    const place = await makePlace();
    const describeTopics = () => Promise.reject(fail("kafka_unreachable", "No broker answers"));
    const { code, out } = await cli(["check", "--config", place.config], { describeTopics });
    expect(code).toBe(3);
    expect(out).toContain("No broker answers");
    expect(out).toContain("default.events");
  });

  test("takes a catalog database that is not there for an empty catalog, and makes none", async () => {
    const place = await makePlace();
    const uri = `iceberg.sql.uri=sqlite:${place.folder}/new/catalog.db`;
    const words = ["--set", "iceberg.catalog_type=sql", "--set", uri];
    const { code, out } = await check(place, [SAME], ...words);
    expect(code).toBe(0);
    expect(out).toMatch(/default\.events +create/);
    expect(existsSync(`${place.folder}/new`)).toBe(false);
    const tables = await cli(["tables", "--config", place.config, ...words]);
    expect(tables).toEqual({ code: 0, out: "There are no tables\n", err: "" });
  });

  test("names what stands where a warehouse folder can't be made", async () => {
    const place = await makePlace();
    const words = ["--warehouse-path", `${place.config}/warehouse`];
    const { code, out } = await check(place, [SAME], ...words);
    expect(code).toBe(1);
    expect(out).toContain(`The folder ${place.config} may not be written by this process`);
  });

  test("prints JSON with the configuration, without secrets", async () => {
    const place = await makePlace();
    const words = ["--json", "--set", "server.query_token=hunter2"];
    const { out } = await check(place, [SAME], ...words);
    expect(out).not.toContain("hunter2");
    expect(JSON.parse(out)).toMatchObject({
      configuration: { process: { "server.query_token": "***" } },
      pipelines: [{ pipeline: "default", tables: [{ table: "default.events", action: "append" }] }],
    });
  });

  test("tells every problem of a wrong configuration, and connects nowhere", async () => {
    const place = await makePlace(
      "[kafka]\ntopic = 'e'\n[source]\nmode = 'kstreams'\nformat = 'avro'\n",
    );
    const { code, err, out } = await check(place);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err.trim().split("\n")).toHaveLength(2);
  });
});

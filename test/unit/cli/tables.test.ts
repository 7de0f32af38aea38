/**
 * Commands that look at a table, and commands that steer it.
 */

import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, rmSync } from "node:fs";
import { fail } from "#base/errors.ts";
import type { TopicDescription } from "#cli/actions.ts";
import { LATEST_PROPERTY, writeLatest } from "#columns/latest.ts";
import { cli, makePlace, NEW_TOPIC_ID, type Place, RECREATED, SAME, TOPIC_ID } from "./place.ts";

let place: Place;

beforeAll(async () => {
  place = await makePlace();
});

const on = (words: string, at: Place = place, topic: TopicDescription = SAME) =>
  cli([...words.split(" "), "--config", at.config], { describeTopics: async () => [topic] });
const json = async (words: string, at: Place = place) =>
  JSON.parse((await on(`${words} --json`, at)).out) as Record<string, unknown>[];

describe("tables", () => {
  test("lists each table with rows, files and last commit", async () => {
    const { code, out } = await on("tables");
    expect(code).toBe(0);
    const [head, row] = out.split("\n");
    expect(head).toMatch(/^table +format +rows +files +snapshots +last_commit +location$/);
    expect(row).toMatch(/^default.events +2 +100 +2 +1 +2026-01-08T00:00:00.000Z +\/.*events$/);
  });

  test("says so when there are none", async () => {
    const { out } = await on("tables --set iceberg.database_name=other");
    expect(out).toBe("There are no tables\n");
    expect(await json("tables --set iceberg.database_name=other")).toEqual([]);
  });
});

describe("snapshots, history, files", () => {
  test("show ids with every digit", async () => {
    const { out } = await on("snapshots events --json");
    expect(out).toContain('"snapshot_id": "7000000000000000001"');
    const [snapshot] = await json("snapshots events");
    expect(snapshot).toMatchObject({
      operation: "append",
      added_rows: 100,
      added_files: 2,
      refs: "main",
      commit_id: "commit-1",
    });
  });

  test("find a table with and without its database", async () => {
    expect((await on("history default.events")).out).toContain("7000000000000000001");
    expect((await on("history events")).out).toContain("true");
  });

  test("find names with dots, and namespaces of several levels", async () => {
    const own = await makePlace();
    const tableAt = (to: string) =>
      cpSync(`${own.folder}/wh/default/events`, to, { recursive: true });
    tableAt(`${own.folder}/wh/default/orders.eu`);
    tableAt(`${own.folder}/wh/prod/raw/events`);
    for (const name of [
      "orders.eu",
      "default.orders.eu",
      "default.orders\\.eu",
      "prod.raw.events",
    ]) {
      expect([name, (await on(`history ${name}`, own)).code]).toEqual([name, 0]);
    }
    const nested = await json("tables --set iceberg.database_name=prod.raw", own);
    expect(nested.map(({ table }) => table)).toEqual(["prod.raw.events"]);
    const flat = await json("tables", own);
    // The copies name one location, of which `tables` shows one.
    expect(flat.map(({ table }) => table)).toEqual(["default.orders\\.eu"]);
    rmSync(own.folder, { recursive: true });
  });

  test("list data files with their partition", async () => {
    const files = await json("files events");
    expect(files.map(({ partition, rows, bytes }) => [partition, rows, bytes])).toEqual([
      ["at_day=2026-01-08", 50, 1234],
      ["at_day=2026-01-09", 50, 1234],
    ]);
    const { out } = await on("files events --snapshot 7000000000000000001");
    expect(out.trim().split("\n")).toHaveLength(3);
  });

  test("of a table that is not there exit 2 and name the database", async () => {
    const { code, err } = await on("snapshots nope");
    const sentence = "There is no table nope (database default)";
    const told = `${sentence}; kafka-iceberg tables lists those that are\n`;
    expect({ code, err }).toEqual({ code: 2, err: told });
  });
});

describe("offsets", () => {
  test("are shown with topic and cluster", async () => {
    expect(await json("offsets events")).toEqual([
      expect.objectContaining({ topic: "events", partition: 0, offset: 100, topic_id: TOPIC_ID }),
      expect.objectContaining({ partition: 1, offset: 200, cluster_id: "cluster-1" }),
    ]);
  });

  test("are not changed by --dry-run", async () => {
    const { code, out } = await on("offsets events --set events:0=150 --dry-run");
    expect(code).toBe(0);
    expect(out).toMatch(/events +0 +100 +150 +50 +0 +0 +skips offsets 100 to 149 \(50\)/);
    expect((await json("offsets events"))[0]).toMatchObject({ offset: 100 });
  });

  test("that skip, lose or double anything are refused with numbers, until --yes", async () => {
    for (const [set, numbers] of [
      ["events:0=150", "50 offsets would be skipped"],
      ["events:0=50", "50 offsets would be read again and at most as many rows doubled"],
      ["events:2=7", "7 offsets would be skipped"],
      ["events:0=150 --set events:1=0", "50 offsets would be skipped, 200 offsets would be read"],
    ] as const) {
      const { code, err } = await on(`offsets events --set ${set}`);
      expect(code).toBe(2);
      expect(err).toContain(`Nothing was changed: ${numbers}`);
      expect(err).toContain("--yes");
    }
    expect((await json("offsets events")).map(({ offset }) => offset)).toEqual([100, 200]);
  });

  test("never go back where records change rows, also with --yes; forward they do", async () => {
    const mode = "--set source.mode=ktable";
    const back = await on(`offsets events ${mode} --set events:0=50 --yes`);
    expect([back.code, back.err]).toEqual([2, expect.stringContaining("back from 100 to 50")]);
    const forward = await on(`offsets events ${mode} --set events:0=150 --dry-run`);
    expect([forward.code, forward.err]).toEqual([0, ""]);
  });

  test("that the topic's partitions or their logs do not have are refused, also with --yes", async () => {
    for (const [set, problem] of [
      ["events:9=5", "Topic events has no partition 9: it has 3, counted from 0"],
      ["events:0=19", "Kafka holds events/0 from offset 20 to its end at 300"],
      ["events:0=301", "reading cannot begin at 301"],
    ] as const) {
      const { code, err } = await on(`offsets events --set ${set} --yes`);
      expect(code).toBe(2);
      expect(err).toContain(problem);
    }
    const before = { ...RECREATED, topicId: TOPIC_ID };
    const { err } = await on("offsets events --accept-topic events --from 60 --yes", place, before);
    expect(err).toContain("Kafka holds events/0 from offset 5 to its end at 50");
    expect((await json("offsets events")).map(({ offset }) => offset)).toEqual([100, 200]);
  });

  test("are set with --yes, the others stay", async () => {
    const own = await makePlace();
    expect((await on("offsets events --set events:0=150 --yes", own)).code).toBe(0);
    const rows = await json("offsets events", own);
    expect(rows.map(({ offset }) => offset)).toEqual([150, 200]);
    expect(await json("snapshots events", own)).toHaveLength(2);
  });

  test("of a partition that the table does not know begin at its beginning without --yes", async () => {
    const own = await makePlace();
    expect((await on("offsets events --set events:2=0", own)).code).toBe(0);
    expect((await json("offsets events", own)).map(({ offset }) => offset)).toEqual([100, 200, 0]);
  });

  test("beyond a log that ends early go on at its end, so that nothing is doubled", async () => {
    const own = await makePlace();
    const short = { ...RECREATED, topicId: TOPIC_ID };
    const words = "offsets events --accept-topic events";
    const { out } = await on(`${words} --dry-run --json`, own, short);
    expect(JSON.parse(out)).toMatchObject([
      { partition: 0, before: 100, after: 50, skipped: 0, gone: 0, doubled: 0 },
      { partition: 1, before: 200, after: 60, skipped: 0, gone: 0, doubled: 0 },
    ]);
    const { err } = await on(`${words} --from earliest`, own, short);
    expect(err).toContain("105 offsets would be read again and at most as many rows doubled");
    expect((await on(`${words} --yes`, own, short)).code).toBe(0);
    expect((await json("offsets events", own)).map(({ offset }) => offset)).toEqual([50, 60]);
  });

  test("behind retention go on at the first offset that Kafka holds, and say what is gone", async () => {
    const own = await makePlace();
    const [first, second] = SAME.partitions;
    if (first === undefined || second === undefined) throw new Error("two partitions");
    const late = { ...SAME, partitions: [{ ...first, logStart: 130n }, second] };
    const words = "offsets events --accept-topic events";
    const { err } = await on(words, own, late);
    expect(err).toContain("Nothing was changed: 30 offsets are gone from Kafka");
    expect((await on(`${words} --yes`, own, late)).code).toBe(0);
    expect((await json("offsets events", own)).map(({ offset }) => offset)).toEqual([130, 200]);
  });

  test("of a re-created topic are taken over by --accept-topic, under its new id", async () => {
    for (const [from, offsets] of [
      ["", [5, 0]],
      [" --from earliest", [5, 0]],
      [" --from latest", [50, 60]],
      [" --from 9", [9, 9]],
    ] as const) {
      const own = await makePlace();
      const words = `offsets events --accept-topic events${from}`;
      expect((await on(words, own, RECREATED)).err).toContain("2 partitions begin a new topic");
      expect((await on(`${words} --yes`, own, RECREATED)).code).toBe(0);
      const rows = await json("offsets events", own);
      expect(rows.map(({ offset }) => offset)).toEqual([...offsets]);
      expect(rows[0]).toMatchObject({ topic_id: NEW_TOPIC_ID });
    }
  });

  test("that begin anew are refused where they say which row of a key is the newest; those behind retention are not", async () => {
    const latest = { partition: "_kafka_partition", offset: "_kafka_offset", deleted: null };
    const words = "offsets events --accept-topic events --yes";
    for (const [orderField, code] of [
      [null, 2],
      ["at", 0],
    ] as const) {
      const says = writeLatest({ ...latest, orderField, key: ["id"] });
      const own = await makePlace("", { [LATEST_PROPERTY]: says });
      const { code: found, err } = await on(words, own, RECREATED);
      expect([orderField, found]).toEqual([orderField, code]);
      if (code === 2) expect(err).toContain("begin anew");
      const [first, second] = SAME.partitions;
      if (first === undefined || second === undefined) throw new Error("two partitions");
      const other = await makePlace("", { [LATEST_PROPERTY]: says });
      const late = { ...SAME, partitions: [{ ...first, logStart: 130n }, second] };
      expect((await on(words, other, late)).code).toBe(0);
    }
  });

  test("of a re-created topic are not set before it was accepted", async () => {
    const { code, err } = await on("offsets events --set events:0=30 --yes", place, RECREATED);
    expect(code).toBe(2);
    expect(err).toContain("--accept-topic events");
  });

  test("of a topic that Kafka has no more can be set, and are said to be unchecked", async () => {
    const gone = () => Promise.reject(fail("topic_unreadable", "Kafka has no topic events"));
    const words = ["offsets", "events", "--set", "events:0=150", "--dry-run"];
    const { out } = await cli([...words, "--config", place.config], { describeTopics: gone });
    expect(out).toContain("unchecked: Kafka does not have the topic");
  });

  test("of a topic that nobody knows are refused", async () => {
    const gone = () => Promise.reject(fail("topic_unreadable", "Kafka has no topic nope"));
    const words = ["offsets", "events", "--set", "nope:0=1", "--config", place.config];
    const { code, err } = await cli(words, { describeTopics: gone });
    expect({ code, err }).toEqual({ code: 4, err: "Kafka has no topic nope\n" });
  });

  test("ask Kafka for the named topic only", async () => {
    const asked: unknown[] = [];
    const describeTopics = async (options: object) => {
      asked.push(options);
      return [RECREATED];
    };
    const words = ["offsets", "events", "--accept-topic", "events", "--dry-run"];
    await cli([...words, "--config", place.config], { describeTopics });
    expect(asked).toEqual([expect.objectContaining({ topics: ["events"] })]);
  });
});

describe("pause and resume", () => {
  test("set and remove the property, and say what is so already", async () => {
    const own = await makePlace();
    expect((await on("resume events", own)).out).toBe("default.events is not paused\n");
    expect((await on("pause events --dry-run", own)).out).toBe("default.events would be paused\n");
    expect((await on("pause events", own)).out).toBe("default.events is paused\n");
    expect((await on("pause events", own)).out).toBe("default.events is paused already\n");
    expect((await on("resume default.events", own)).out).toBe("default.events is resumed\n");
  });
});

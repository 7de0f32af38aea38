/**
 * Commands that look at a table, and commands that steer it.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { cli, makePlace, NEW_TOPIC_ID, type Place, RECREATED, TOPIC_ID } from "./place.ts";

let place: Place;

beforeAll(async () => {
  place = await makePlace();
});

const on = (words: string, at: Place = place) => cli([...words.split(" "), "--config", at.config]);
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
    expect(out).toContain('"snapshot_id": 7000000000000000001');
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
    expect({ code, err }).toEqual({ code: 2, err: "There is no table nope (database default)\n" });
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
    expect(out).toMatch(/events +0 +100 +150 +skips records/);
    expect((await json("offsets events"))[0]).toMatchObject({ offset: 100 });
  });

  test("that skip records or read them again need --yes", async () => {
    for (const offset of [150, 50]) {
      const { code, err } = await on(`offsets events --set events:0=${offset}`);
      expect(code).toBe(2);
      expect(err).toContain("add --yes");
    }
    expect((await json("offsets events"))[0]).toMatchObject({ offset: 100 });
  });

  test("are set with --yes, the others stay", async () => {
    const own = await makePlace();
    expect((await on("offsets events --set events:0=150 --yes", own)).code).toBe(0);
    const rows = await json("offsets events", own);
    expect(rows.map(({ offset }) => offset)).toEqual([150, 200]);
    expect(await json("snapshots events", own)).toHaveLength(2);
  });

  test("of a partition that the table does not know begin there without --yes", async () => {
    const own = await makePlace();
    expect((await on("offsets events --set events:2=7", own)).code).toBe(0);
    expect((await json("offsets events", own)).map(({ offset }) => offset)).toEqual([100, 200, 7]);
  });

  test("of a re-created topic are taken over by --accept-topic, under its new id", async () => {
    for (const [from, offsets] of [
      ["earliest", [5, 0]],
      ["latest", [50, 60]],
      ["9", [9, 9]],
    ] as const) {
      const own = await makePlace();
      const words = `offsets events --accept-topic events --from ${from} --yes`;
      expect((await on(words, own)).code).toBe(0);
      const rows = await json("offsets events", own);
      expect(rows.map(({ offset }) => offset)).toEqual([...offsets]);
      expect(rows[0]).toMatchObject({ topic_id: NEW_TOPIC_ID });
    }
  });

  test("of a topic that nobody knows are refused", async () => {
    const { code, err } = await on("offsets events --set nope:0=1");
    expect({ code, err }).toEqual({
      code: 2,
      err: "Neither the table nor Kafka knows the topic nope\n",
    });
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

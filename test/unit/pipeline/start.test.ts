/**
 * Where reading begins: the table's offsets, or a first position that is in the table before the
 * first read (SPEC 2.5).
 */
import "../../sim/syncZlib.ts";
import { beforeEach, expect, test } from "bun:test";
import { AppError } from "#base/errors.ts";
import { outOfRange, type StartPolicy, startOffsets } from "#pipeline/start.ts";
import type { TableWriter } from "#writer/tableWriter.ts";
import { pause } from "../../sim/people.ts";
import { AppRig } from "../../support/appRig.ts";

let rig: AppRig;
let writer: TableWriter;

beforeEach(async () => {
  rig = new AppRig();
  writer = await rig.writer();
});

const POLICY: StartPolicy = {
  reset: "earliest",
  timestampMs: 0,
  fromGroup: false,
  initialTopics: new Set(["t"]),
};

async function begin(policy: Partial<StartPolicy>, partitions = [0, 1]): Promise<bigint[]> {
  const feeds = partitions.map((partition) => rig.world.feed(partition));
  const offsets = await startOffsets(rig.consumer, writer, { ...POLICY, ...policy }, feeds);
  return offsets.map(({ offset }) => offset);
}

async function refusal(running: Promise<unknown>): Promise<AppError> {
  const error = await running.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

test("earliest: a new table begins at the log's start, and the position is in the table", async () => {
  rig.consumer.logStart = 5n;
  expect(await begin({ reset: "earliest" })).toEqual([5n, 5n]);
  expect([await rig.committed(0), await rig.committed(1)]).toEqual([5n, 5n]);
});

test("latest: a new table begins at the high watermark", async () => {
  expect(await begin({ reset: "latest" })).toEqual([40n, 40n]);
});

test("timestamp: the first offset at or after it, the log's end when there is none", async () => {
  rig.consumer.stamped = 17n;
  expect(await begin({ reset: "timestamp", timestampMs: 1 })).toEqual([17n, 17n]);
  rig = new AppRig();
  writer = await rig.writer();
  expect(await begin({ reset: "timestamp", timestampMs: 1 })).toEqual([40n, 40n]);
});

test("none: a new table asks a person, naming the command", async () => {
  const error = await refusal(begin({ reset: "none" }));
  expect(error.kind).toBe("progress");
  expect(error.message).toContain("kafka-iceberg offsets db.t --set t:0=OFFSET");
});

test("the group's offsets come first where they were asked for", async () => {
  rig.consumer.grouped = 12n;
  expect(await begin({ reset: "latest", fromGroup: true })).toEqual([12n, 12n]);
});

test("the table's offset wins over policy and group", async () => {
  await begin({ reset: "earliest" });
  rig.consumer.grouped = 12n;
  expect(await begin({ reset: "latest", fromGroup: true })).toEqual([0n, 0n]);
});

test("a partition that appears later begins at its beginning, whatever the policy says", async () => {
  await begin({ reset: "latest" });
  rig.world.topic.records.push([0, 1, 2]);
  expect(await begin({ reset: "latest" }, [0, 1, 2])).toEqual([40n, 40n, 0n]);
});

test("a partition that is added to a topic stops a table whose records change rows, until a person says where", async () => {
  writer = await rig.writer({ key: ["id"] });
  expect(await begin({ reset: "earliest" })).toEqual([0n, 0n]);
  rig.world.topic.records.push([0, 1, 2]);
  const error = await refusal(begin({}, [0, 1, 2]));
  expect(error.kind).toBe("progress");
  expect(error.message).toContain("--set t:2=OFFSET");
  await writer.claim([{ feed: rig.world.feed(2), offset: 1n }]);
  expect(await begin({}, [0, 1, 2])).toEqual([0n, 0n, 1n]);
});

test("a topic that appears later begins at its beginning", async () => {
  rig.consumer.logStart = 3n;
  expect(await begin({ reset: "latest", initialTopics: new Set() })).toEqual([3n, 3n]);
});

test("an offset that retention has passed is never skipped", async () => {
  await begin({ reset: "earliest" });
  rig.consumer.logStart = 8n;
  const error = await refusal(begin({}));
  expect(error.kind).toBe("progress");
  expect(error.message).toContain("no longer holds t/0 from offset 0 to 7");
  expect(error.message).toContain("offsets db.t --accept-topic t");
});

test("a log that ends before the committed offset is told as such", () => {
  const where = { feed: rig.world.feed(1), position: 30n, logStart: 0n, logEnd: 20n };
  const error = String(outOfRange("db.t", { ...where, divergesAt: null }));
  expect(error).toContain("t/1 ends at offset 20, before the committed offset 30 of db.t");
  // Reading from the earliest offset would double every row: it is not what a person is told to do.
  expect(error).toContain("To go on at 20, without doubling what the table has");
  expect(error).toMatch(/kafka-iceberg offsets db\.t --accept-topic t$/);
});

test("a log that was written anew is told with what is missing, and a command that doubles nothing", () => {
  const where = { feed: rig.world.feed(1), position: 30n, logStart: 0n, logEnd: 200n };
  const error = String(outOfRange("db.t", { ...where, divergesAt: 12n }));
  expect(error).toContain("The log of t/1 was lost from offset 12 on");
  expect(error).toContain("kafka-iceberg offsets db.t --set t:1=12");
});

test("a re-created topic is not read without a person", async () => {
  await begin({});
  rig.world.createTopic([[0], [0]]);
  const error = await refusal(begin({}));
  expect([error.kind, error.message]).toEqual([
    "progress",
    expect.stringContaining("Topic t was re-created"),
  ]);
});

test("a paused table gets no first position, and is asked again", async () => {
  await pause(rig.world, true);
  const error = await refusal(begin({}));
  expect([error.kind, error.message]).toEqual([
    "paused",
    expect.stringContaining("kafka-iceberg resume db.t"),
  ]);
});

test("a first position that stays without an answer is tried again, it is no reason to stop", async () => {
  rig.world.onRequest = (request) => queueMicrotask(() => rig.world.giveUp(request, "dropped"));
  const failing = refusal(begin({}));
  await rig.pass(20_000);
  expect((await failing).kind).toBe("catalog_unreachable");
  expect(rig.world.metadata.snapshots).toEqual([]);
});

test("of two first positions the one that is committed first counts for both", async () => {
  const other = await rig.writer();
  const feeds = [0, 1].map((partition) => rig.world.feed(partition));
  rig.consumer.logStart = 2n;
  const [mine] = await Promise.all([
    begin({}),
    other.claim(feeds.map((feed) => ({ feed, offset: 2n }))),
    rig.pass(3000),
  ]);
  expect(mine).toEqual([2n, 2n]);
  expect(rig.world.metadata.snapshots).toHaveLength(1);
});

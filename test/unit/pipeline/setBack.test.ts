/**
 * A table that a person has set back to before it knew a feed looks like one that never had it. It does
 * not begin past rows that it had: it asks, and a table that never had the feed is not asked about.
 */
import "../../sim/syncZlib.ts";
import { beforeEach, expect, test } from "bun:test";
import { AppError } from "#base/errors.ts";
import type { FeedOffset } from "#base/offsets.ts";
import { deadLetters } from "#pipeline/deadLetters.ts";
import { own } from "#pipeline/owners.ts";
import { type Elder, type StartPolicy, startOffsets } from "#pipeline/start.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { expire, rollback } from "../../sim/people.ts";
import { AppRig } from "../../support/appRig.ts";

const OTHER = { clusterId: "c", topic: "other", topicId: "other", partition: 0 };
const POLICY = { reset: "latest", timestampMs: 0, fromGroup: false } as const;

let rig: AppRig;
let writer: TableWriter;

beforeEach(async () => {
  rig = new AppRig();
  writer = await rig.writer();
});

/** Sets the table back to when another topic alone was in it. */
async function setBack(positions: readonly FeedOffset[]): Promise<void> {
  await writer.claim([{ feed: OTHER, offset: 5n }]);
  const before = rig.world.metadata.currentSnapshotId;
  await writer.claim(positions);
  rollback(rig.world, before ?? 0n);
}

function begin(
  policy: Partial<StartPolicy> = {},
  elder: Elder | null = null,
  partitions = [0, 1],
): Promise<FeedOffset[]> {
  const feeds = partitions.map((partition) => rig.world.feed(partition));
  const all = { ...POLICY, initialTopics: new Set(["t"]), ...policy };
  return startOffsets(rig.consumer, writer, all, feeds, elder);
}

/** Where a first table of the feeds stands. */
async function elderAt(offset: bigint, partitions = [0, 1]): Promise<Elder> {
  const other = await new AppRig().writer();
  await other.claim(partitions.map((partition) => ({ feed: rig.world.feed(partition), offset })));
  return { writer: other };
}

async function question(running: Promise<unknown>): Promise<string> {
  const error = await running.then(
    (value) => `it began: ${JSON.stringify(value, (_, each) => String(each))}`,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  expect((error as AppError).kind).toBe("progress");
  return (error as AppError).message;
}

const at = (partition: number, offset: bigint): FeedOffset => ({
  feed: rig.world.feed(partition),
  offset,
});

test("a further table asks where it begins, rather than begin where the first one stands", async () => {
  await setBack([at(0, 3n), at(1, 4n)]);
  const message = await question(begin({}, await elderAt(20n)));
  expect(message).toContain("kafka-iceberg offsets db.t --set t:0=3 --set t:1=4");
  expect(message).toMatch(
    /^Table db\.t was set back to before it had t:0, t:1, which its retained/,
  );
});

test("a first table asks by every policy that would leave rows out", async () => {
  await setBack([at(0, 3n), at(1, 3n)]);
  await question(begin({ reset: "latest" }));
  rig.consumer.stamped = 17n;
  await question(begin({ reset: "timestamp" }));
  rig.consumer.grouped = 12n;
  await question(begin({ fromGroup: true }));
  // Retention has taken what it had.
  rig.consumer.logStart = 8n;
  await question(begin({ reset: "earliest" }));
});

test("where nothing lies below the position it begins without a person", async () => {
  await setBack([at(0, 3n), at(1, 3n)]);
  const began = await begin({ reset: "earliest" });
  expect(began.map(({ offset }) => offset)).toEqual([0n, 0n]);
});

test("a partition that alone is forgotten is asked about, one that appeared later is not", async () => {
  await writer.claim([at(0, 3n)]);
  const before = rig.world.metadata.currentSnapshotId;
  await writer.claim([at(1, 4n)]);
  rollback(rig.world, before ?? 0n);
  rig.consumer.logStart = 2n;
  expect(await question(begin())).toContain("offsets db.t --set t:1=4");
  rig.world.topic.records.push([0, 1, 2]);
  const [, later] = await begin({}, null, [0, 2]);
  expect(later?.offset).toBe(2n);
});

test("a partition that appeared after the table was set back is asked about with its topic", async () => {
  await setBack([at(0, 3n), at(1, 4n)]);
  rig.world.topic.records.push([0, 1, 2]);
  const message = await question(begin({}, await elderAt(20n, [0, 1, 2]), [0, 1, 2]));
  expect(message).toContain("--set t:0=3 --set t:1=4 --set t:2=OFFSET");
});

test("a partition that a further table has not seen begins at its beginning, not where the first table stands", async () => {
  await writer.claim([at(0, 3n), at(1, 3n)]);
  rig.world.topic.records.push([0, 1, 2]);
  const began = await begin({}, await elderAt(20n, [0, 1, 2]), [0, 1, 2]);
  expect(began.map(({ offset }) => offset)).toEqual([3n, 3n, 0n]);
});

test("a position that was on its way when the table was set back asks as well", async () => {
  await writer.claim([{ feed: OTHER, offset: 5n }]);
  const before = rig.world.metadata.currentSnapshotId;
  rig.world.onRequest = () => undefined;
  const claiming = question(writer.claim([at(0, 9n)]));
  await rig.settle();
  const late = rig.world.pending.splice(0);
  expect(late).toHaveLength(1);
  // Another process is first, and a person undoes what it did.
  rig.heal();
  await (await rig.writer()).claim([at(0, 3n)]);
  rollback(rig.world, before ?? 0n);
  for (const request of late) expect(rig.world.apply(request, "arrives")).toBe("refused");
  await rig.pass(2000);
  expect(await claiming).toContain("--set t:0=3");
});

test("what a person answers is where it begins", async () => {
  await setBack([at(0, 3n), at(1, 4n)]);
  await writer.claim([at(0, 0n), at(1, 0n)]);
  const began = await begin({}, await elderAt(20n));
  expect(began.map(({ offset }) => offset)).toEqual([0n, 0n]);
});

test("a feed that only another branch of the table has is begun as ever", async () => {
  await writer.claim([{ feed: OTHER, offset: 5n }]);
  const options = { ...rig.options, branch: "audit" };
  const audit = await TableWriter.open(rig.parts, options, []);
  await audit.claim([at(0, 3n), at(1, 4n)]);
  const began = await begin({ reset: "latest" });
  expect(began.map(({ offset }) => offset)).toEqual([40n, 40n]);
});

test("when the snapshots that knew it have expired, nobody can tell, and it begins as ever", async () => {
  await setBack([at(0, 3n), at(1, 4n)]);
  await writer.claim([{ feed: { ...OTHER, partition: 1 }, offset: 0n }]);
  const { snapshots, currentSnapshotId } = rig.world.metadata;
  const line = snapshots.filter(({ parentSnapshotId }) => parentSnapshotId !== null);
  const gone = line.filter(({ snapshotId }) => snapshotId !== currentSnapshotId).slice(0, 1);
  await expire(
    rig.world,
    gone.map(({ snapshotId }) => snapshotId),
  );
  const began = await begin({ reset: "latest" });
  expect(began.map(({ offset }) => offset)).toEqual([40n, 40n]);
});

test("a dead-letter table that was set back is asked about, too", async () => {
  const main = new AppRig();
  const mainWriter = await main.writer();
  await mainWriter.claim([at(0, 7n)]);
  await setBack([at(0, 3n)]);
  const side = deadLetters(rig.table);
  const message = await question(
    own({ main: mainWriter, sides: [side], former: [] }, [rig.world.feed(0)], "me"),
  );
  expect(message).toContain("kafka-iceberg offsets db.t --set t:0=3");
});

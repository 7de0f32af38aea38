/** A writer on a branch goes on from the rows that the branch's ancestors hold (SPEC 2.2). */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import type { TableRequirement } from "#iceberg/metadata/metadata.ts";
import { checkRequirements } from "#iceberg/metadata/updates.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";

const FEED = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };

const optionsOf = (branch: string): WriterOptions => ({ ...WRITER_OPTIONS, branch });

function partsOf(): WriterParts {
  const storage = createMemoryStorage();
  const txlog = { recovered: [], append: async () => undefined, close: async () => undefined };
  const parts = { storage, clock: systemClock, log: silentLogger };
  return {
    ...parts,
    random: seededRandom(1),
    txlog,
    catalog: createFileCatalog({ warehouse: "/wh", readOnly: false }, parts),
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
  };
}

test("a branch that is missing is made on main's head, with main's offsets, and main stays", async () => {
  const parts = partsOf();
  const main = await TableWriter.open(parts, optionsOf("main"), []);
  await main.claim([{ feed: FEED, offset: 5n }]);
  const audit = await TableWriter.open(parts, optionsOf("audit"), []);
  expect(await audit.positions([FEED])).toEqual([5n]);
  const result = await audit.claim([{ feed: { ...FEED, partition: 1 }, offset: 2n }]);
  expect(result.kind).toBe("committed");
  const { metadata } = audit.lastSeen;
  const head = metadata.snapshots.find(
    (each) => each.snapshotId === metadata.refs["audit"]?.snapshotId,
  );
  expect(head?.parentSnapshotId).toBe(metadata.currentSnapshotId);
  expect(await main.positions([FEED, { ...FEED, partition: 1 }])).toEqual([5n, null]);
});

test("the request that makes a branch no longer fits once main has moved, whatever its sequence number", async () => {
  const parts = partsOf();
  const sent: TableRequirement[][] = [];
  const commit = parts.catalog.commit.bind(parts.catalog);
  Object.assign(parts.catalog, {
    commit: (...request: Parameters<typeof commit>) => {
      sent.push([...request[1]]);
      return commit(...request);
    },
  });
  const audit = await TableWriter.open(parts, optionsOf("audit"), []);
  const before = audit.lastSeen.metadata;
  await audit.claim([{ feed: FEED, offset: 5n }]);
  const main = await TableWriter.open(parts, optionsOf("main"), []);
  await main.claim([{ feed: FEED, offset: 5n }]);
  const { refs } = main.lastSeen.metadata;
  const foreign = refs["main"];
  expect(foreign).toBeDefined();
  // What the table is when main has moved and the request for the branch comes late.
  const moved = { ...before, refs: foreign === undefined ? {} : { main: foreign } };
  expect(checkRequirements(before, sent[0] ?? [])).toBeNull();
  expect(checkRequirements(moved, sent[0] ?? [])).toContain("snapshot of main");
});

test("after main is fast-forwarded to the branch, a writer on main goes on from the branch's offsets", async () => {
  const parts = partsOf();
  const main = await TableWriter.open(parts, optionsOf("main"), []);
  await main.claim([{ feed: FEED, offset: 5n }]);
  const audit = await TableWriter.open(parts, optionsOf("audit"), []);
  await audit.claim([{ feed: { ...FEED, partition: 1 }, offset: 2n }]);
  const ref = audit.lastSeen.metadata.refs["audit"];
  expect(ref).toBeDefined();
  if (ref === undefined) return;
  const moved = { action: "set-snapshot-ref" as const, ref: "main", value: ref };
  expect((await parts.catalog.commit(optionsOf("main").name, [], [moved])).kind).toBe("committed");
  expect(await main.positions([FEED, { ...FEED, partition: 1 }])).toEqual([5n, 2n]);
});

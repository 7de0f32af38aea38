/**
 * Rows that move no offset (CHANGE_RULES 14): only for records that the head has passed and lacks.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { Addition, checkedCoordinates } from "#commit/addition.ts";
import { Append } from "#commit/append.ts";
import type { CommitResult } from "#commit/change.ts";
import { commit, newCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { emptyDocument, withOffsets } from "#commit/progressDocument.ts";
import { admit } from "#commit/rules.ts";
import { COORDINATES, readCoordinates } from "../../sim/rows.ts";
import { AppRig } from "../../support/appRig.ts";

const WITNESS = { columns: COORDINATES, read: readCoordinates };

/** A table that is committed up to an offset. */
async function tableAt(offset: bigint) {
  const rig = new AppRig();
  const table = new CommitTable(rig.parts, rig.options, rig.world.loaded());
  const feed = rig.world.feed(0);
  const claim = new Append(
    table.parts,
    "claim",
    [{ feed, expect: null, next: offset, rows: 0n }],
    [],
  );
  expect((await commit(table, newCommit(table, claim))).kind).toBe("committed");
  const add = (offsets: readonly bigint[]): Promise<CommitResult> => {
    const change = new Addition(table.parts, [{ feed, offsets }], [], WITNESS);
    return commit(table, newCommit(table, change));
  };
  return { rig, table, feed, add };
}

test("what the head has passed is added, and its offsets stay where they are", async () => {
  const { table, feed, add } = await tableAt(9n);
  expect((await add([3n, 8n])).kind).toBe("committed");
  const progress = await table.progressOf(await table.load());
  if (progress.kind === "unreadable") throw new Error(progress.reason);
  const source = progress.document.sources.get(`${feed.clusterId}/${feed.topic}`);
  expect([source?.offsets.get(0), source?.rows.get(0)]).toEqual([9n, 2n]);
});

test("a record at the table's offset is left to ingest, also with others that are below it", async () => {
  const { add } = await tableAt(9n);
  expect(await add([3n, 9n])).toMatchObject({ kind: "dropped" });
});

test("tables whose rows cannot be told apart are refused, with the key that helps", () => {
  const feed = { clusterId: "c", topic: "a", topicId: "1", partition: 0 };
  const one = withOffsets(emptyDocument("main"), [{ feed, offset: 1n }]);
  const two = withOffsets(one, [{ feed: { ...feed, topic: "b" }, offset: 1n }]);
  const columns = { topic: null, partition: "p", offset: "o" };
  expect(checkedCoordinates("t", columns, one)).toBe(columns);
  expect(() => checkedCoordinates("t", columns, two)).toThrow("source.metadata_columns");
  expect(() => checkedCoordinates("t", null, one)).toThrow("source.metadata_columns");
});

test("a feed is committed by the owner under which it was read, by nobody else, and a new one may name itself", () => {
  const feed = { clusterId: "c", topic: "a", topicId: "1", partition: 0 };
  const document = withOffsets(emptyDocument("main"), [{ feed, offset: 5n, claims: "me" }]);
  const advance = { feed, expect: 5n, next: 7n, rows: 0n };
  const verdict = (more: object): number =>
    admit(document, [{ ...advance, ...more }]).admitted.length;
  expect(verdict({ owner: "me" })).toBe(1);
  expect(verdict({ owner: "another" })).toBe(0);
  expect(verdict({})).toBe(0);
  expect(verdict({ claims: "another" })).toBe(1);
  expect(verdict({ claims: "another", expect: 4n })).toBe(0);
});

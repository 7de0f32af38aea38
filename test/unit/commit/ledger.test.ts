/**
 * The files of a commit and their states (SPEC 2.4): what may go, what never may.
 */
import { expect, test } from "bun:test";
import { type FileEvent, type FileState, Ledger, nextState } from "#commit/ledger.ts";

const EVENTS: readonly FileEvent[] = ["store", "send", "refuse", "land", "remove"];

/** What a ledger wants to know of a snapshot. */
const snapshot = (snapshotId: bigint, parentSnapshotId: bigint | null = 100n) => ({
  snapshotId,
  parentSnapshotId,
});

/** A ledger with one data file, written, and the manifests of an attempt that was sent. */
function sent(): Ledger {
  const ledger = new Ledger("c");
  ledger.plan(["data", "list-1"]);
  ledger.store(["data", "list-1"]);
  ledger.send(snapshot(1n), ["data", "list-1"], 7n);
  return ledger;
}

test("nothing leads from listed to gone, by any row of events", () => {
  const reached = new Set<FileState>(["listed"]);
  for (const state of reached) {
    for (const event of EVENTS) {
      try {
        reached.add(nextState(state, event));
      } catch {
        // Refused: no such step.
      }
    }
  }
  expect([...reached]).toEqual(["listed"]);
});

test("a file of a snapshot that landed cannot be reported as removed", () => {
  const ledger = sent();
  ledger.land(1n);
  expect(ledger.unlisted).toEqual([]);
  expect(() => ledger.remove(["data"])).toThrow("a file that is listed does not remove");
});

test("of refused attempts only what the landed one does not name may go", () => {
  const ledger = sent();
  ledger.refuse();
  ledger.plan(["list-2", "fenced"]);
  ledger.store(["list-2", "fenced"]);
  ledger.send(snapshot(2n), ["data", "list-2"], 8n);
  ledger.land(2n);
  expect(ledger.unlisted).toEqual(["list-1", "fenced"]);
});

test("a conflict that was none: what landed is kept, the attempt after it is not", () => {
  const ledger = sent();
  ledger.refuse();
  ledger.plan(["list-2"]);
  ledger.store(["list-2"]);
  ledger.send(snapshot(2n), ["data", "list-2"], 8n);
  ledger.refuse();
  ledger.land(1n);
  expect(ledger.unlisted).toEqual(["list-2"]);
});

test("only files that are stored are sent", () => {
  const ledger = new Ledger("c");
  ledger.plan(["data"]);
  expect(() => ledger.send(snapshot(1n), ["data"], 0n)).toThrow(
    "a file that is planned does not send",
  );
});

test("requests are known by the sequence numbers they build on, refused ones included", () => {
  const ledger = sent();
  expect(ledger.sent).toEqual({ first: 7n, last: 7n, parentless: false });
  ledger.refuse();
  expect(ledger.sent).toEqual({ first: 7n, last: null, parentless: false });
  ledger.send(snapshot(2n), ["data"], 9n);
  expect(ledger.sent).toEqual({ first: 7n, last: 9n, parentless: false });
  expect(new Ledger("d").sent).toBeNull();
});

test("a request without a parent is one until it is answered", () => {
  const ledger = sent();
  ledger.send(snapshot(2n, null), ["data"], 9n);
  expect(ledger.sent).toMatchObject({ last: 9n, parentless: true });
  ledger.refuse();
  expect(ledger.sent).toMatchObject({ last: null, parentless: false });
});

test("of a log any request may still be under way, and none may be missing from it", () => {
  const names = { table: "db.t", commitId: "c", uploadIds: {}, offsets: {}, filePaths: ["data"] };
  const attempt = { ...names, baseSequenceNumber: 5n, commits: [], landedSnapshotId: null };
  expect(Ledger.ofLog(attempt, ["data"]).sent).toMatchObject({ first: 5n, last: null });
  const tried = { tableUuid: "u", snapshotId: 1n, baseSnapshotId: null, filePaths: [] };
  const commits = [8n, 6n].map((baseSequenceNumber) => ({ ...tried, baseSequenceNumber }));
  const first = Ledger.ofLog({ ...attempt, commits }, []).sent;
  expect(first).toEqual({ first: 6n, last: 8n, parentless: true });
  const later = commits.map((each) => ({ ...each, baseSnapshotId: 4n }));
  expect(Ledger.ofLog({ ...attempt, commits: later }, []).sent?.parentless).toBe(false);
});

import { expect, test } from "bun:test";
import type { LogEntry, LoggedEntry } from "#txlog/log.ts";
import { openAttempts } from "#txlog/recover.ts";

const log = (...entries: LogEntry[]): LoggedEntry[] =>
  entries.map((entry, at) => ({ sequence: BigInt(at + 1), timeMs: at, entry }));

const started = (commit: string): LogEntry => ({
  type: "FlushStarted",
  table: "db.t",
  commit_id: commit,
  base_sequence_number: 0n,
  file_paths: [`/w/${commit}-1`],
  upload_ids: { [`/w/${commit}-1`]: "u1" },
  offsets: { "c/t/0": 10n },
});
const written = (commit: string, path: string): LogEntry => ({
  type: "ParquetWritten",
  commit_id: commit,
  file_path: path,
  record_count: 1,
  file_size: 1,
  sha256: "00",
  offsets: { "c/t/0": [0n, 10n] },
});
const attempted = (commit: string, snapshot: bigint): LogEntry => ({
  type: "CommitAttempt",
  table: "db.t",
  table_uuid: "uuid",
  commit_id: commit,
  snapshot_id: snapshot,
  base_snapshot_id: null,
  base_sequence_number: 4n,
  file_paths: [`/w/snap-${snapshot}.avro`],
});
const created = (commit: string, snapshot: bigint): LogEntry => ({
  type: "IcebergSnapshotCreated",
  table: "db.t",
  commit_id: commit,
  snapshot_id: snapshot,
  files_added: [],
  offsets: {},
});
const complete = (commit: string): LogEntry => ({
  type: "FlushComplete",
  table: "db.t",
  commit_id: commit,
  offsets: {},
  snapshot_id: 1n,
});
const abandoned = (commit: string): LogEntry => ({
  type: "FlushAbandoned",
  table: "db.t",
  commit_id: commit,
  removed: [],
  left: [],
});

test("an attempt that began and did not end is inherited with all that is known of it", () => {
  const entries = log(
    started("a"),
    written("a", "/w/a-1"),
    written("a", "/w/a-2"),
    attempted("a", 7n),
    attempted("a", 8n),
  );
  expect(openAttempts(entries)).toEqual([
    {
      table: "db.t",
      commitId: "a",
      baseSequenceNumber: 0n,
      filePaths: ["/w/a-1", "/w/a-2"],
      uploadIds: { "/w/a-1": "u1" },
      offsets: { "c/t/0": 10n },
      commits: [7n, 8n].map((snapshotId) => ({
        tableUuid: "uuid",
        snapshotId,
        baseSnapshotId: null,
        baseSequenceNumber: 4n,
        filePaths: [`/w/snap-${snapshotId}.avro`],
      })),
      landedSnapshotId: null,
    },
  ]);
});

test("complete and abandoned attempts are not inherited; those between are, oldest first", () => {
  const entries = log(
    started("a"),
    started("b"),
    started("c"),
    started("d"),
    complete("a"),
    abandoned("c"),
  );
  expect(openAttempts(entries).map(({ commitId }) => commitId)).toEqual(["b", "d"]);
});

test("an attempt that landed but was not finished names its snapshot", () => {
  const [attempt] = openAttempts(log(started("a"), attempted("a", 7n), created("a", 7n)));
  expect(attempt?.landedSnapshotId).toBe(7n);
});

test("a checkpoint replaces what stood before it", () => {
  const checkpoint: LogEntry = { type: "Checkpoint", open: [started("b"), attempted("b", 9n)] };
  const attempts = openAttempts(log(started("a"), checkpoint, started("c")));
  expect(attempts.map(({ commitId }) => commitId)).toEqual(["b", "c"]);
  expect(attempts[0]?.commits[0]?.snapshotId).toBe(9n);
});

test("entries of a flush whose start was lost are left out", () => {
  expect(openAttempts(log(written("x", "/w/x"), attempted("x", 1n), complete("x")))).toEqual([]);
});

test("a flush that names more files later has begun when it began, and what it has sent stays sent", () => {
  const more: LogEntry = {
    type: "FlushStarted",
    table: "db.t",
    commit_id: "a",
    base_sequence_number: 9n,
    file_paths: ["/w/a-1", "/w/a-2"],
    upload_ids: {},
    offsets: {},
  };
  const [open] = openAttempts(log(started("a"), attempted("a", 7n), more));
  expect(open?.filePaths).toEqual(["/w/a-1", "/w/a-2"]);
  expect(open?.commits.map(({ snapshotId }) => snapshotId)).toEqual([7n]);
  expect(open?.baseSequenceNumber).toBe(0n);
  expect(open?.offsets).toEqual({ "c/t/0": 10n });
});

import { expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { decodeEntry, encodeEntry, LOG_ENTRY_TYPES } from "#txlog/entries.ts";
import type { LogEntry } from "#txlog/log.ts";

const ENTRIES: readonly LogEntry[] = [
  { type: "OffsetCommit", topic: "t", partition: 3, offset: 5n },
  { type: "BufferSnapshot", record_count: 1, size_bytes: 2 },
  {
    type: "FlushStarted",
    table: "db.t",
    commit_id: "c",
    base_sequence_number: 0n,
    file_paths: ["/a", "/b é"],
    upload_ids: { "/a": "u" },
    offsets: { "k/t/0": 2n ** 63n - 1n, "k/t/1": 0n },
  },
  {
    type: "ParquetWritten",
    commit_id: "c",
    file_path: "/a",
    record_count: 1,
    file_size: 2,
    sha256: "ab",
    offsets: { "k/t/0": [1n, 2n ** 60n] },
  },
  {
    type: "CommitAttempt",
    table: "db.t",
    table_uuid: "u",
    commit_id: "c",
    snapshot_id: 2n ** 62n,
    base_snapshot_id: null,
    base_sequence_number: 0n,
    file_paths: [],
  },
  {
    type: "IcebergSnapshotCreated",
    table: "db.t",
    commit_id: "c",
    snapshot_id: 1n,
    files_added: ["/a"],
    offsets: {},
  },
  { type: "FlushComplete", table: "db.t", commit_id: "c", offsets: {}, snapshot_id: 1n },
  { type: "FlushAbandoned", table: "db.t", commit_id: "c", removed: ["/a"], left: ["/b"] },
  { type: "IdempotencyRecord", offsets: { a: 1n }, snapshot_id: 1n },
  { type: "SchemaEvolution", table: "db.t", old: "{}", new: "{}" },
  { type: "Recovery", replayed: 1, completed: 2, rolled_back: 3, offsets: {} },
  { type: "CatalogHealthCheck", catalog_type: "file", is_healthy: false, response_time_ms: 1.5 },
  { type: "CatalogError", catalog_type: "file", error_message: "m", retry_count: 1 },
  {
    type: "MaintenanceRun",
    table: "db.t",
    operation: "expire",
    outcome: "done",
    duration_ms: 1.5,
    counts: { snapshots: 3n },
    error: "",
  },
  { type: "Checkpoint", open: [] },
];

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("every type of entry comes back as it was, small and large integers as bigint", () => {
  const checkpoint: LogEntry = { type: "Checkpoint", open: ENTRIES };
  for (const entry of [...ENTRIES, checkpoint]) {
    const { code, payload } = encodeEntry(entry);
    expect(decodeEntry(code, payload)).toEqual(entry);
  }
  expect(ENTRIES.map(({ type }) => type as string).sort()).toEqual([...LOG_ENTRY_TYPES].sort());
});

test("unknown fields are ignored, so that an entry may gain some", () => {
  const payload = utf8('{"record_count": 1, "size_bytes": 2, "later": {"a": [1]}}');
  expect(decodeEntry(2, payload)).toEqual({
    type: "BufferSnapshot",
    record_count: 1,
    size_bytes: 2,
  });
});

test.each([
  ["an unknown type", 200, "{}"],
  ["no JSON", 1, "{"],
  ["no UTF-8", 1, "\xff"],
  ["no object", 1, "[]"],
  ["a missing field", 1, '{"topic": "t", "partition": 0}'],
  ["a wrong kind of value", 1, '{"topic": 1, "partition": 0, "offset": 1}'],
  ["an integer with a fraction", 1, '{"topic": "t", "partition": 0, "offset": 1.5}'],
  ["a checkpoint of an unknown type", 14, '{"open": [{"type": "toString"}]}'],
])("%s is refused", (_what, code, payload) => {
  let thrown: unknown;
  try {
    decodeEntry(code, Buffer.from(payload, "latin1"));
  } catch (error) {
    thrown = error;
  }
  expect(kindOf(thrown)).toBe("state");
});

test("an entry larger than a frame may be is refused", () => {
  const path = "x".repeat(LIMITS.logFrameBytesMax);
  expect(() =>
    encodeEntry({ type: "FlushAbandoned", table: "t", commit_id: "c", removed: [path], left: [] }),
  ).toThrow("too large");
});

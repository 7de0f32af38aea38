import { describe, expect, test } from "bun:test";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import {
  historyWindowMs,
  type RetentionPolicy,
  snapshotsToThin,
  THINNED_PER_COMMIT_MAX,
} from "#iceberg/metadata/retention.ts";
import {
  branchAt,
  readTableMetadata,
  writeTableMetadata,
} from "#iceberg/metadata/tableMetadataJson.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { appendOf, nextSnapshot, sampleTable } from "../../support/icebergSamples.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const OFFSETS = JSON.stringify({
  v: 1,
  branch: "main",
  sources: {
    "MkU3OEVBNTcwNTJENDM2Qk/events": {
      id: "6fa459ea-ee8a-3ca4-894e-db77e160355e",
      p: Object.fromEntries(Array.from({ length: 6 }, (_, p) => [p, 1_234_567_890 + p])),
    },
  },
});
const POLICY: RetentionPolicy = {
  branch: "main",
  keepAllMs: HOUR,
  retentionMs: 7 * DAY,
  snapshotsMax: 500,
};

/** What a real commit of ours has in its summary. */
const SUMMARY = {
  operation: "append",
  "added-data-files": "6",
  "added-records": "500000",
  "added-files-size": "45678901",
  "changed-partition-count": "1",
  "total-data-files": "60000",
  "total-records": "5000000000",
  "total-files-size": "456789012345",
  "total-delete-files": "0",
  "total-position-deletes": "0",
  "total-equality-deletes": "0",
  "kafka-iceberg.commit-id": "0f8fad5b-d9cb-469f-a165-70867728950e",
  "kafka-iceberg.group": "kafka-iceberg-events",
  "kafka-iceberg.offsets": OFFSETS,
};

function snapshotAt(metadata: TableMetadata, id: bigint, timestampMs: number): Snapshot {
  return {
    ...nextSnapshot(metadata, 4_000_000_000_000_000_000n + id, timestampMs),
    manifestList: `${metadata.location}/metadata/snap-${4_000_000_000_000_000_000n + id}-1-0f8fad5b-d9cb-469f-a165-70867728950e.avro`,
    summary: SUMMARY,
  };
}

/** Commits every `everyMs`, thinned as the writer does it. */
function run(count: number, everyMs: number, policy: RetentionPolicy | null): TableMetadata {
  let metadata = sampleTable("/data/warehouse/default/events");
  for (let n = 0; n < count; n++) {
    const nowMs = 1_700_000_000_000 + n * everyMs;
    const gone = policy === null ? [] : snapshotsToThin(metadata, policy, nowMs);
    metadata = applyUpdates(
      metadata,
      [
        ...appendOf(snapshotAt(metadata, BigInt(n + 1), nowMs)),
        { action: "remove-snapshots", snapshotIds: gone },
      ],
      {
        timestampMs: nowMs,
        previousLocation: `${metadata.location}/metadata/v${n + 1}.metadata.json`,
      },
    );
  }
  return metadata;
}

function nowOf(metadata: TableMetadata): number {
  return metadata.snapshots.at(-1)?.timestampMs ?? 0;
}

describe("snapshotsToThin", () => {
  test("after 10,000 commits every 5 s the metadata file is below 1 MB", () => {
    const metadata = run(10_000, 5_000, POLICY);
    const bytes = writeTableMetadata(metadata).length;
    console.log(
      `metadata.json after 10,000 commits: ${bytes} bytes, ${metadata.snapshots.length} snapshots`,
    );
    expect(metadata.snapshots.length).toBeLessThanOrEqual(721 + 500);
    expect(metadata.snapshots.length).toBeGreaterThan(720);
    expect(bytes).toBeLessThan(1_000_000);
    expect(readTableMetadata(writeTableMetadata(metadata))).toEqual(metadata);
  }, 60_000);

  test("young: all; then one per 10 minutes; then one per hour; beyond the retention none", () => {
    const policy = { ...POLICY, snapshotsMax: 100_000 };
    const metadata = run(9 * 24 * 60, MINUTE, policy);
    const now = nowOf(metadata);
    const between = (from: number, to: number): number =>
      metadata.snapshots.filter((s) => now - s.timestampMs >= from && now - s.timestampMs < to)
        .length;
    expect(between(0, HOUR)).toBe(60);
    expect(between(2 * HOUR, 12 * HOUR)).toBe(60);
    expect(between(2 * DAY, 6 * DAY)).toBe(96);
    expect(between(7 * DAY + HOUR, 100 * DAY)).toBe(0);
  }, 60_000);

  test("the head, heads of other refs and the chain down to our offsets are never removed", () => {
    let metadata = run(300, MINUTE, null);
    const snapshots = metadata.snapshots.map((s, index) =>
      // The newest 50 are foreign: our offsets are in the 51st from the head.
      index < 250 ? s : { ...s, summary: { operation: "append" } },
    );
    const tagged = snapshots[17]?.snapshotId ?? 0n;
    metadata = {
      ...metadata,
      snapshots,
      refs: { ...metadata.refs, old: { ...branchAt(tagged), type: "tag" } },
    };
    const gone = new Set(
      snapshotsToThin(metadata, { ...POLICY, snapshotsMax: 1 }, nowOf(metadata) + 30 * DAY),
    );
    expect(gone.size).toBe(THINNED_PER_COMMIT_MAX);
    expect(gone.has(tagged)).toBe(false);
    expect(snapshots.slice(249).some((s) => gone.has(s.snapshotId))).toBe(false);
  });

  test("nothing is removed from a branch on which no snapshot holds our offsets", () => {
    const metadata = run(100, MINUTE, null);
    const foreign = {
      ...metadata,
      snapshots: metadata.snapshots.map((s) => ({ ...s, summary: { operation: "append" } })),
    };
    expect(snapshotsToThin(foreign, POLICY, nowOf(metadata) + 30 * DAY)).toEqual([]);
  });

  test("rolled-back snapshots are left to expiry, however old the table grows", () => {
    let metadata = run(20, MINUTE, null);
    const rolledBack = metadata.snapshots.slice(-2).map((each) => each.snapshotId);
    const target = metadata.snapshots.at(-3)?.snapshotId ?? 0n;
    metadata = applyUpdates(
      metadata,
      [{ action: "set-snapshot-ref", ref: "main", value: branchAt(target) }],
      { timestampMs: nowOf(metadata) },
    );
    const start = nowOf(metadata);
    expect(snapshotsToThin(metadata, POLICY, start + 2 * HOUR)).not.toContain(rolledBack[0] ?? 0n);
    for (let hour = 1; hour < 20 * 24; hour++) {
      const nowMs = start + hour * HOUR;
      const gone = snapshotsToThin(metadata, POLICY, nowMs);
      metadata = applyUpdates(
        metadata,
        [
          ...appendOf(snapshotAt(metadata, BigInt(100 + hour), nowMs)),
          { action: "remove-snapshots", snapshotIds: gone },
        ],
        { timestampMs: nowMs },
      );
    }
    const left = metadata.snapshots.map((each) => each.snapshotId);
    expect(left).toEqual(expect.arrayContaining(rolledBack));
    expect(left.length).toBeLessThan(7 * 24 + 8);
  });

  test("nothing goes within the window, whatever snapshot_max says", () => {
    const metadata = run(719, 5_000, POLICY);
    expect(snapshotsToThin(metadata, { ...POLICY, snapshotsMax: 10 }, nowOf(metadata))).toEqual([]);
    const old = run(3_000, 5_000, { ...POLICY, snapshotsMax: 10 });
    expect(old.snapshots.length).toBe(721 + 10);
  });

  test("the table's own settings come first: gc.enabled, history.expire.*, ages of refs", () => {
    const metadata = run(100, MINUTE, null);
    const later = nowOf(metadata) + 30 * DAY;
    const withProperties = (properties: Record<string, string>): TableMetadata => ({
      ...metadata,
      properties,
    });
    const countOf = (table: TableMetadata, nowMs: number): number =>
      snapshotsToThin(table, POLICY, nowMs).length;
    expect(countOf(metadata, later)).toBe(99);
    const noGc = withProperties({ "gc.enabled": "false" });
    expect(countOf(noGc, later)).toBe(0);
    expect(historyWindowMs(noGc, POLICY)).toBeNull();
    const kept = withProperties({ "history.expire.min-snapshots-to-keep": "40" });
    expect(countOf(kept, later)).toBe(60);
    const aged = withProperties({ "history.expire.max-snapshot-age-ms": String(40 * DAY) });
    expect(countOf(aged, later)).toBe(0);
    expect(historyWindowMs(aged, POLICY)).toBe(40 * DAY);
    const main = { ...branchAt(metadata.currentSnapshotId ?? 0n), minSnapshotsToKeep: 30 };
    expect(countOf({ ...metadata, refs: { main } }, later)).toBe(70);
    const audit = { ...main, minSnapshotsToKeep: null, maxSnapshotAgeMs: 40 * DAY };
    expect(countOf({ ...metadata, refs: { main, audit } }, later)).toBe(0);
  });

  test("foreign snapshots and what a foreign compaction replaced are left to expiry", () => {
    const metadata = run(30, MINUTE, null);
    const foreign = (operation: string) => ({ operation });
    const snapshots = metadata.snapshots.map((each, index) => {
      if (index === 10) return { ...each, summary: foreign("append") };
      return index === 20 ? { ...each, summary: foreign("replace") } : each;
    });
    const gone = snapshotsToThin({ ...metadata, snapshots }, POLICY, nowOf(metadata) + 30 * DAY);
    const stays = [10, 19, 20, 29].map((index) => snapshots[index]?.snapshotId ?? 0n);
    expect(gone.length).toBe(26);
    expect(gone.filter((id) => stays.includes(id))).toEqual([]);
  });

  test("what only another branch reaches stays", () => {
    let metadata = run(10, MINUTE, null);
    const audit = snapshotAt(metadata, 500n, nowOf(metadata));
    metadata = applyUpdates(metadata, appendOf(audit, "audit"), { timestampMs: 0 });
    const next = {
      ...snapshotAt(metadata, 501n, nowOf(metadata)),
      parentSnapshotId: audit.snapshotId,
    };
    metadata = applyUpdates(metadata, appendOf(next, "audit"), { timestampMs: 0 });
    const gone = snapshotsToThin(metadata, POLICY, nowOf(metadata) + 30 * DAY);
    expect(gone).not.toContain(audit.snapshotId);
    expect(gone.length).toBe(9);
  });

  test("thinning again at the same time removes nothing more", () => {
    const metadata = run(2_000, 5_000, POLICY);
    const now = nowOf(metadata);
    const once = snapshotsToThin(metadata, POLICY, now);
    const thinned = applyUpdates(metadata, [{ action: "remove-snapshots", snapshotIds: once }], {
      timestampMs: now,
    });
    expect(snapshotsToThin(thinned, POLICY, now)).toEqual([]);
  });
});

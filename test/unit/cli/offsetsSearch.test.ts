/** `offsets TABLE` reads committed offsets as a start does, also when others have expired our snapshots. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { progressProperty } from "#commit/progress.ts";
import { emptyDocument } from "#commit/progressDocument.ts";
import { writeProperty } from "#commit/progressText.ts";
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { cli, makePlace, type Place } from "./place.ts";

const OURS = 7_000_000_000_000_000_001n;
const [FIRST, SECOND] = [OURS + 1n, OURS + 2n];

type Members = { [key: string]: Json };

/** Another engine rewrites the table twice and expires all but its last snapshot. */
function rewriteAndExpire({ folder }: Place): void {
  const versionAt = (version: number): string =>
    `${folder}/wh/default/events/metadata/v${version}.metadata.json`;
  const write = (version: number, head: bigint, snapshots: Members[]): void => {
    const table = parseJson(readFileSync(versionAt(2), "utf8")) as Members;
    const written = { snapshotId: OURS, sequenceNumber: 1n } as Snapshot;
    table["properties"] = {
      [progressProperty("main")]: writeProperty(emptyDocument("main"), written),
    };
    table["snapshots"] = snapshots;
    table["refs"] = { main: { "snapshot-id": head, type: "branch" } };
    table["current-snapshot-id"] = head;
    table["snapshot-log"] = [];
    table["metadata-log"] = Array.from({ length: version - 2 }, (_, index) => {
      return { "timestamp-ms": index, "metadata-file": versionAt(index + 2) };
    });
    writeFileSync(versionAt(version), writeJson(table));
  };
  const before = parseJson(readFileSync(versionAt(2), "utf8")) as Members;
  const [ours] = before["snapshots"] as Members[];
  const foreign = (id: bigint, parent: bigint): Members => {
    const summary = { operation: "replace" };
    return { ...ours, "snapshot-id": id, "parent-snapshot-id": parent, summary };
  };
  write(3, FIRST, [ours ?? {}, foreign(FIRST, OURS)]);
  write(4, SECOND, [foreign(SECOND, FIRST)]);
}

test("after rewrites and expiry the earlier metadata files tell the offsets", async () => {
  const place = await makePlace();
  rewriteAndExpire(place);
  const { code, out, err } = await cli(["offsets", "events", "--json", "--config", place.config]);
  expect([code, err]).toEqual([0, ""]);
  const rows = JSON.parse(out) as { offset: number }[];
  expect(rows.map(({ offset }) => offset)).toEqual([100, 200]);
});

/**
 * How long staging an append takes as a table grows: 6 files of 20 columns a commit, in memory.
 * `bun scripts/bench/stageAppend.ts [commits]` prints a line per thousand commits.
 */

import { manifestsOf } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { createMemoryStorage } from "../../test/fakes/memoryStorage.ts";
import { fileOf, tableOf } from "../../test/support/tableOf.ts";

const commits = Number(process.argv[2] ?? 10_000);
const columns = 20;
const filesPerCommit = 6;

function perColumn<T>(value: () => T): Map<number, T> {
  return new Map(Array.from({ length: columns }, (_, index) => [index + 1, value()]));
}

function file(commit: number): DataFile {
  const bound = (): Uint8Array => crypto.getRandomValues(new Uint8Array(16));
  return {
    ...fileOf(`00000-${commit}-${crypto.randomUUID()}`, [20_000 + Math.floor(commit / 5000)]),
    columnSizes: perColumn(() => 1_234_567n),
    valueCounts: perColumn(() => 100_000n),
    nullValueCounts: perColumn(() => 0n),
    lowerBounds: perColumn(bound),
    upperBounds: perColumn(bound),
  };
}

const storage = createMemoryStorage();
let metadata = tableOf(3);
let times: number[] = [];
for (let commit = 1; commit <= commits; commit++) {
  const files = Array.from({ length: filesPerCommit }, () => file(commit));
  const began = performance.now();
  const staged = await stageAppend({
    storage,
    metadata,
    branch: "main",
    snapshotId: BigInt(commit),
    timestampMs: commit * 5000,
    files,
    summary: {},
    nameSuffix: `${commit}-1`,
  });
  times.push(performance.now() - began);
  const { snapshot } = staged;
  const next = applyUpdates(metadata, staged.updates, { timestampMs: snapshot.timestampMs });
  // Older snapshots are thinned by the writer; here only the head is kept.
  const logged = { snapshotId: snapshot.snapshotId, timestampMs: snapshot.timestampMs };
  metadata = { ...next, snapshots: [snapshot], snapshotLog: [logged] };
  if (commit === 10 || commit === 100 || commit % 1000 === 0) {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number): string =>
      (sorted[Math.floor(share * sorted.length)] ?? 0).toFixed(1);
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    const manifests = (await manifestsOf(storage, snapshot)).length;
    console.log(
      `commits ${commit}: mean ${mean.toFixed(1)} ms, p50 ${at(0.5)}, p99 ${at(0.99)}, ` +
        `max ${at(0.999999)}, manifests ${manifests}`,
    );
    times = [];
  }
}

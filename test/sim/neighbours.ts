/**
 * What other engines and people do to a table whose history they do not keep: compaction, expiry to
 * one snapshot, removal of earlier metadata files, cherry-picks.
 */
import { listDataFiles } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { FOREIGN, rowBytes, type SimRow } from "./foreignRows.ts";
import { chainOf, expire, rollback, somebodyActs } from "./people.ts";
import { stageRewrite } from "./rewriteStage.ts";
import type { World } from "./world.ts";

/** One random act of whoever else is there. */
export async function anybodyActs(world: World): Promise<void> {
  // Where only heads can be seen, there is nothing to expire or to pick.
  const isNeighbour = world.showsAncestors && world.random.unit() > 0.8;
  await (isNeighbour ? neighbourActs(world) : somebodyActs(world));
}

async function neighbourActs(world: World): Promise<void> {
  const dice = world.random.unit();
  if (dice < 0.3) return await foreignRewrite(world);
  if (dice < 0.45) return loseMetadataFiles(world);
  if (dice < 0.8) return await cherryPick(world);
  await foreignRewrite(world);
  await expire(world, chainOf(world).slice(1), world.random.unit() < 0.5);
}

/** Another engine compacts all live files; its snapshot knows nothing of offsets. */
async function foreignRewrite(world: World): Promise<void> {
  const head = world.metadata.currentSnapshotId;
  if (head === null) return;
  const { rows, foreignPlaces } = await world.law.content(head);
  const pairs: SimRow[] = [...rows].flatMap(([partition, all]) =>
    all.map((number): SimRow => [partition, number]),
  );
  pairs.push(...foreignPlaces.map(({ number }): SimRow => [FOREIGN, number]));
  if (pairs.length === 0) return;
  const output = `/wh/db/t/data/compacted-${world.random.uuid()}.parquet`;
  await world.storage.put(output, rowBytes(pairs));
  const { snapshot } = await stageRewrite(world, {
    output,
    rows: BigInt(pairs.length),
    name: world.random.uuid(),
    summary: {},
  });
  const ref = world.metadata.refs["main"];
  if (ref === undefined) return;
  const value = { ...ref, snapshotId: snapshot.snapshotId };
  world.foreign(
    [
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", ref: "main", value },
    ],
    `foreign compaction as ${snapshot.snapshotId}`,
  );
}

/** Orphan removal, or a catalog that keeps no earlier metadata files. */
function loseMetadataFiles(world: World): void {
  world.metadataFiles.clear();
  world.say("the earlier metadata files are gone");
}

/**
 * A person rolls back and picks one of ours again (Iceberg's `cherrypick_snapshot`): appends only, not
 * an ancestor, not picked before; on its own parent it is a fast-forward. Not after the topic was made
 * again: rows of its lives have the same coordinates, so that nobody can tell what was picked.
 */
async function cherryPick(world: World): Promise<void> {
  const chain = chainOf(world);
  if (world.random.unit() < 0.6 && chain.length > 2) rollback(world, world.pick(chain.slice(1, 4)));
  const line = new Set(chainOf(world));
  const picked = new Set(
    [...line].map((id) => world.history.get(id)?.summary["source-snapshot-id"]),
  );
  const candidates = world.metadata.snapshots.filter(
    ({ snapshotId, summary }) =>
      !line.has(snapshotId) &&
      !world.abandoned.has(snapshotId) &&
      !picked.has(String(snapshotId)) &&
      summary["kafka-iceberg.commit-id"] !== undefined &&
      summary["operation"] === "append",
  );
  const isOneLife = world.topics.length === 1;
  if (candidates.length > 0 && isOneLife) await pick(world, world.pick(candidates));
}

async function pick(world: World, source: Snapshot): Promise<void> {
  if (source.parentSnapshotId === world.metadata.currentSnapshotId) {
    return rollback(world, source.snapshotId);
  }
  const storage = { ...world.storage };
  const files = [];
  for await (const live of listDataFiles(storage, world.metadata, source.snapshotId)) {
    if (live.snapshotId === source.snapshotId) files.push({ ...live.file, firstRowId: null });
  }
  if (files.length === 0) return;
  const staged = await stageAppend({
    storage,
    metadata: world.metadata,
    branch: "main",
    snapshotId: world.random.id63(),
    timestampMs: world.nowMs,
    files,
    summary: { "source-snapshot-id": String(source.snapshotId) },
    nameSuffix: world.random.uuid(),
  });
  world.foreign(staged.updates, `a person cherry-picks ${source.snapshotId}`);
  await world.law.content(staged.snapshot.snapshotId);
}

/**
 * What others do to the table and the topic: foreign engines, people, the topic's owner.
 */
import { AppError, fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import type { Change, CommitResult } from "#commit/change.ts";
import { commit, newCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { offsetsChange, planOffsets } from "#commit/offsets.ts";
import { progressProperty, visibleChain } from "#commit/progress.ts";
import { isPaused, pauseChange } from "#commit/properties.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { SnapshotId, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { FOREIGN, FOREIGN_ADDED, foreignDelete, rowBytes } from "./foreignRows.ts";
import { PERSON } from "./law.ts";
import { MemoryLog } from "./process.ts";
import { foreignFile, holes } from "./rows.ts";
import { NAME, type World } from "./world.ts";

/** Lives of the topic in one world. */
const TOPICS_MAX = 3;
const PARTITIONS_MAX = 4;

/** One random act. */
export async function somebodyActs(world: World): Promise<void> {
  world.fault = null;
  const chain = chainOf(world);
  const dice = world.random.unit();
  if (!world.showsAncestors && dice < 0.62) return await somebodyActsWithoutHistory(world);
  if (dice < 0.26 || (chain.length < 2 && world.showsAncestors)) {
    return await foreignChange(world, dice);
  }
  if (dice < 0.4) return rollback(world, world.pick(chain.slice(1)));
  if (dice < 0.62) return await expire(world, expirable(world, chain), world.random.unit() < 0.7);
  if (dice < 0.72) return await otherBranch(world);
  if (dice < 0.79) return await pause(world, !isPaused(world.loaded()));
  if (dice < 0.83) return grow(world);
  if (dice < 0.87 && world.topics.length < TOPICS_MAX) return recreateTopic(world);
  if (dice < 0.9) return forbidRemoval(world);
  if (dice < 0.93 && world.showsAncestors) return replaceWithoutData(world);
  await acceptAsIs(world);
}

/** Nothing is rolled back or expired in the table: the catalog's branch is set to another state. */
async function somebodyActsWithoutHistory(world: World): Promise<void> {
  if (world.random.unit() < 0.5 || world.states.length < 2) return await foreignAppend(world);
  const near = world.random.unit() < 0.7 ? world.states.slice(-4) : world.states;
  world.setTo(world.pick(near));
}

/**
 * `CREATE OR REPLACE TABLE` without a query: the branch is gone, identity and old snapshots stay. Not
 * where those are thinned later: what they alone list is then the orphan cleaner's, as the law has it not.
 */
export function replaceWithoutData(world: World): void {
  if (world.metadata.currentSnapshotId === null || world.thinning !== null) return;
  world.abandoned = new Set(world.history.keys());
  world.foreign([{ action: "remove-snapshot-ref", ref: "main" }], "the table is replaced in place");
}

/** A person forbids the removal of snapshots, or allows it again. */
function forbidRemoval(world: World): void {
  const forbidden = world.metadata.properties["gc.enabled"] === "false";
  const properties = { "gc.enabled": forbidden ? "true" : "false" };
  world.foreign([{ action: "set-properties", properties }], `gc.enabled is not ${forbidden}`);
}

/** Snapshot ids of the branch, head first. */
export function chainOf(world: World): SnapshotId[] {
  return visibleChain(world.metadata, "main").map((snapshot) => snapshot.snapshotId);
}

function expirable(world: World, chain: readonly SnapshotId[]): SnapshotId[] {
  const offChain = world.metadata.snapshots
    .map((snapshot) => snapshot.snapshotId)
    .filter((id) => !chain.includes(id) && !isRef(world, id));
  if (offChain.length > 0 && world.random.unit() < 0.3) return [world.pick(offChain)];
  return chain.slice(1 + world.below(chain.length - 1));
}

function isRef(world: World, id: SnapshotId): boolean {
  return Object.values(world.metadata.refs).some((ref) => ref.snapshotId === id);
}

/** Another engine's rows come and go, also by a person who rolls back. */
export async function changeForeignRows(world: World): Promise<void> {
  const dice = world.random.unit();
  const chain = chainOf(world);
  if (dice < 0.4) return await foreignAppend(world);
  if (dice < 0.85 || chain.length < 2 || !world.showsAncestors) return await foreignDelete(world);
  rollback(world, world.pick(chain.slice(1, 4)));
}

/** Another engine deletes rows of its own, or appends some. */
async function foreignChange(world: World, dice: number): Promise<void> {
  await (dice < 0.08 ? foreignDelete(world) : foreignAppend(world));
}

/** Another engine appends rows of its own. */
export async function foreignAppend(world: World, branch = "main"): Promise<void> {
  const path = `/wh/db/t/data/foreign-${world.random.uuid()}.parquet`;
  const numbers = [world.foreignRows++, world.foreignRows++];
  const bytes = rowBytes(numbers.map((number) => [FOREIGN, number]));
  await world.storage.put(path, bytes);
  const counts = { recordCount: BigInt(numbers.length), fileSizeBytes: BigInt(bytes.length) };
  const staged = await stageAppend({
    storage: { ...world.storage },
    metadata: world.metadata,
    branch,
    snapshotId: world.random.id63(),
    timestampMs: world.nowMs,
    files: [{ ...foreignFile(path), ...counts }],
    summary: { [FOREIGN_ADDED]: numbers.join() },
    nameSuffix: world.random.uuid(),
  });
  world.foreign(staged.updates, `foreign append as ${staged.snapshot.snapshotId} on ${branch}`);
}

/** Somebody commits to another branch: the sequence number moves, the head does not. */
export async function otherBranch(world: World): Promise<void> {
  await foreignAppend(world, "audit");
}

/** A person sets the branch back (or forth) to a visible snapshot. */
export function rollback(world: World, snapshotId: SnapshotId): void {
  const value = {
    snapshotId,
    type: "branch" as const,
    minSnapshotsToKeep: null,
    maxSnapshotAgeMs: null,
    maxRefAgeMs: null,
  };
  const update: TableUpdate = { action: "set-snapshot-ref", ref: "main", value };
  world.foreign([update], `a person sets the table to snapshot ${snapshotId}`);
}

/** Another engine expires snapshots, and with them the files that no other snapshot lists. */
export async function expire(
  world: World,
  ids: readonly SnapshotId[],
  withFiles = true,
): Promise<void> {
  const gone = ids.filter((id) => !isRef(world, id));
  const old = new Set<string>();
  for (const id of gone) for (const path of await pathsOf(world, id)) old.add(path);
  const update: TableUpdate = { action: "remove-snapshots", snapshotIds: gone };
  world.foreign([update], `foreign expiry of ${gone.join(", ")}, files too: ${withFiles}`);
  if (!withFiles) return;
  for (const { snapshotId } of world.metadata.snapshots) {
    for (const path of await pathsOf(world, snapshotId)) old.delete(path);
  }
  for (const path of old) world.storage.objects.delete(path);
}

async function pathsOf(world: World, id: SnapshotId): Promise<Iterable<string>> {
  return (await world.law.content(id)).paths;
}

/** A person holds the table, or lets it go on. */
export async function pause(world: World, paused: boolean): Promise<void> {
  world.say(`a person ${paused ? "pauses" : "resumes"} the table`);
  await personCommits(world, pauseChange(paused));
}

/** More partitions, which begin at 0. */
export function grow(world: World): void {
  if (world.partitions.length >= PARTITIONS_MAX) return;
  world.topic.records.push(holes(world.random));
  world.say(`the topic grows to ${world.partitions.length} partitions`);
}

/** The topic's owner deletes it and makes it anew. */
export function recreateTopic(world: World): void {
  const partitions = world.partitions.map(() => holes(world.random));
  world.createTopic(partitions);
}

/**
 * A person answers the question of a stopped table: takes the topic as it is now (`--accept-topic`),
 * or says what the table holds (`--set`) when its offsets cannot be read. Else does nothing.
 */
export async function acceptAsIs(world: World): Promise<void> {
  const truth = world.law.truth(world.metadata.currentSnapshotId);
  if (truth.picked === "broken") return backToSound(world);
  const readable = world.law.readable() === "yes";
  // Replaced in place: nothing of ours is behind the head, and the property tells that it was.
  const wasOurs = progressProperty("main") in world.metadata.properties;
  if (truth.topicId === null && !wasOurs) return;
  if (readable && truth.topicId === world.topic.id) return;
  const same = truth.topicId === world.topic.id;
  const wanted = world.partitions.map((partition) => ({
    feed: world.feed(partition),
    offset: same ? (truth.offsets.get(partition) ?? 0n) : 0n,
  }));
  if (!readable) wanted.push(...world.others.map((feed) => ({ feed, offset: 1_000_000n })));
  try {
    const change = offsetsChange(
      (head, progress) => planOffsets(head, progress, "main", wanted).document,
    );
    const result = await personCommits(world, change);
    world.personDecided = true;
    world.say(`a person says where to go on: ${result.kind}`);
  } catch (error) {
    // Offsets of partitions that the topic no longer has cannot be named.
    if (!(error instanceof AppError) || error.kind !== "progress") throw error;
    world.say(`a person is refused: ${error.message}`);
  }
}

/** A person undoes what fits no document, where a sound snapshot is in sight. */
function backToSound(world: World): void {
  const sound = chainOf(world).find((id) => world.law.truth(id).picked !== "broken");
  if (sound !== undefined) rollback(world, sound);
}

/** A person says where the feeds of another topic stand, before anything else happens. */
export async function adoptOthers(world: World): Promise<void> {
  if (world.others.length === 0) return;
  const wanted = world.others.map((feed) => ({ feed, offset: 1_000_000n }));
  const change = offsetsChange(
    (head, progress) => planOffsets(head, progress, "main", wanted).document,
  );
  await personCommits(world, change);
}

/** Commits of people are applied at once, and are in no process's log. */
async function personCommits(world: World, change: Change): Promise<CommitResult> {
  const storage = { ...world.storage };
  const loaded = (): LoadedTable => ({ ...world.loaded(), storage });
  const catalog: Catalog = {
    ...world.catalog(PERSON, () => true, storage),
    load: () => Promise.resolve(loaded()),
    commit: (...[, , updates]) => {
      world.foreign(updates, "a person commits");
      return Promise.resolve({ kind: "committed", table: loaded() });
    },
  };
  const clock = {
    nowMs: () => world.nowMs,
    monotonicMs: () => world.nowMs,
    sleep: () => Promise.reject(fail("internal", "people do not wait")),
    turn: () => Promise.resolve(),
  };
  const txlog = new MemoryLog().reopen(() => 0);
  const parts = { catalog, txlog, clock, random: world.random, logger: silentLogger };
  const table = new CommitTable(
    { ...parts, observe: () => undefined },
    { name: NAME, branch: "main", group: PERSON, commitRetriesMax: 0, thinning: null },
    loaded(),
  );
  return await commit(table, newCommit(table, change));
}

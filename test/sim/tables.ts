/**
 * Several tables of one topic in the pipeline simulation: the test's own router, the ranks of the
 * tables, and what holds of all of them together beside the law of each.
 */
import type { Route } from "#pipeline/pipelineParts.ts";
import type { CommitRank } from "#pipeline/sink.ts";
import { payloadOf } from "./group.ts";
import { ServedLog } from "./logs.ts";
import { rowNumber } from "./rows.ts";
import { World } from "./world.ts";

/** Ranks of the tables, in the order of a feed's outlets, by their number. */
const RANKS: Readonly<Record<1 | 2 | 3, readonly CommitRank[]>> = {
  1: ["main"],
  2: ["main", "dead_letter"],
  3: ["main", "late", "dead_letter"],
};
/** Tables in the order in which a cut is committed. */
const ORDER: readonly CommitRank[] = ["dead_letter", "late", "main"];

/** One table of the topic. */
export interface SimTable {
  readonly world: World;
  readonly rank: CommitRank;
}

/** The tables of a world's topic; the world's own is the first. */
export function tablesOf(world: World, count: 1 | 2 | 3): SimTable[] {
  return RANKS[count].map((rank, index) => {
    const own =
      index === 0 ? world : new World(index, world.compareAndSet, 0, world.showsAncestors, world);
    own.holds = (offset) => tableOf(offset, count) === index;
    return { world: own, rank };
  });
}

/** The table that a record is for: most are for the first one. */
function tableOf(offset: number, count: number): number {
  if (count > 1 && offset % 5 === 0) return count - 1;
  return count > 2 && offset % 5 === 1 ? 1 : 0;
}

/** Splits each batch by {@link tableOf}. */
export function routeOf(tables: readonly SimTable[]): Route {
  const [main] = tables;
  return (batch, outlets) =>
    outlets.map((_, index) => {
      if (main === undefined) return null;
      const { world } = main;
      const log = new ServedLog(world, world.topicOf(batch.feed), batch.feed.partition);
      const isOwn = (offset: number): boolean => tableOf(offset, tables.length) === index;
      const share = payloadOf(log, batch, isOwn);
      return share.payload === null ? null : share;
    });
}

/**
 * Below the least committed offset of all tables each record is in exactly one of them.
 * @param inOrder also: no table is ahead of one that is committed before it
 */
export async function unionViolations(
  tables: readonly SimTable[],
  inOrder: boolean,
): Promise<string[]> {
  const broken: string[] = [];
  const [main] = tables;
  if (main === undefined || tables.length === 1) return broken;
  const { topic, partitions } = main.world;
  // A person who cherry-picks has put rows where they were not.
  const truths = tables.map(({ world }) => world.law.truth(world.metadata.currentSnapshotId));
  if (truths.some((truth) => truth.picked !== undefined)) return broken;
  for (const partition of partitions) {
    const ends = tables.map(({ world, rank }) => {
      const truth = world.law.truth(world.metadata.currentSnapshotId);
      return { rank, end: truth.topicId === topic.id ? (truth.offsets.get(partition) ?? 0n) : 0n };
    });
    if (inOrder) broken.push(...orderViolations(ends).map((each) => `${each} in p${partition}`));
    const [least = 0n] = ends.map(({ end }) => end).sort((a, b) => Number(a - b));
    const seen = (await Promise.all(tables.map((table) => rowsOf(table, partition)))).flat();
    for (const offset of topic.records[partition] ?? []) {
      const times = seen.filter((number) => number === rowNumber(topic, offset)).length;
      if (times === 1 || (times === 0 && BigInt(offset) >= least)) continue;
      broken.push(`UNION: p${partition} ${offset} is in ${times} tables`);
    }
  }
  return broken;
}

/** Tables that are ahead of one that is committed before them. */
function orderViolations(
  ends: readonly { readonly rank: CommitRank; readonly end: bigint }[],
): string[] {
  const sorted = ORDER.flatMap((rank) => ends.filter((each) => each.rank === rank));
  return sorted.flatMap(({ rank, end }, index) => {
    const before = sorted[index - 1];
    if (before === undefined || end <= before.end) return [];
    return [`ORDER: ${rank} is at ${end}, ${before.rank} at ${before.end}`];
  });
}

async function rowsOf({ world }: SimTable, partition: number): Promise<readonly number[]> {
  const { currentSnapshotId } = world.metadata;
  if (currentSnapshotId === null) return [];
  return (await world.law.content(currentSnapshotId)).rows.get(partition) ?? [];
}

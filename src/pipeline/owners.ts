/**
 * A start names itself the owner of its feeds in a table and in the side tables beside it, before it
 * reads (SPEC 2.8). Each commit demands that the head's owner is still the one under which its records
 * were read. So from then on nothing that an earlier process judged can come into any of the tables,
 * and what the side tables have past the table's offset is known for good: those records were put
 * aside, whatever this process would make of them. All others are judged anew, and what is put aside
 * now may lie below a side table's offset.
 *
 * The owner names the side tables that its records go to. A start whose configuration has one of them no more
 * (another action, another name) owns that one too, and refuses where it is ahead of the table: its records
 * would come into the table as well.
 *
 * Side tables come first and the table last, always: two starts at a time end with one that owns all,
 * or with two that find out when they read back.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { type Feed, type FeedKey, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { TableName } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { OffsetSet } from "#commit/offsetSet.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import type { SideTable } from "./sides.ts";
import type { Sink } from "./sink.ts";
import { tablePaused } from "./start.ts";

/** Tries until an owner is in one table. */
const CLAIM_TRIES_MAX = 10;

/** Where a table and its side tables stand, under one owner. */
export interface Owned {
  /** Of the table. */
  readonly offsets: readonly FeedOffset[];
  /** Of each side table, feed by feed as above. */
  readonly sides: ReadonlyMap<SideTable, readonly FeedOffset[]>;
  /** Records at or past the table's offset that a side table has; feeds without any are left out. */
  readonly taken: ReadonlyMap<FeedKey, OffsetSet>;
}

/** What `own` owns beside its feeds. */
interface Tables {
  readonly main: TableWriter;
  readonly sides: readonly SideTable[];
  /** Side tables of earlier owners that are none any more. */
  readonly former: readonly TableWriter[];
}

/**
 * Owns feeds that a table has offsets of. Side tables that are missing are created; where one does not
 * know a feed it begins at the table's offset.
 * @param id of this start
 * @throws AppError `catalog_unreachable` when another start was in between, `paused`, `progress`, also
 * where a former side table is ahead of the table
 */
export async function own(
  { main, sides: tables, former }: Tables,
  feeds: readonly Feed[],
  id: string,
): Promise<Owned> {
  const owner = ownerOf(id, tables);
  const first = await known(main, feeds);
  for (const writer of former) {
    await claim(writer, first, owner);
    // What an earlier process has on its way into it is fenced: this is the last word.
    refuseAhead(main, await known(main, feeds), writer, await readBack(writer, feeds, owner));
  }
  const writers = new Map<SideTable, TableWriter>();
  for (const table of tables) {
    const writer = await table.sink.open();
    await claim(writer, first, owner);
    writers.set(table, writer);
  }
  await claim(main, first, owner);
  const sides = new Map<SideTable, readonly FeedOffset[]>();
  for (const [table, writer] of writers) sides.set(table, await readBack(writer, feeds, owner));
  const offsets = await readBack(main, feeds, owner);
  const taken = new Map<FeedKey, OffsetSet>();
  for (const [table, writer] of writers) {
    await addTaken(taken, writer, table, offsets, sides.get(table) ?? []);
  }
  return { offsets, sides, taken };
}

/** The side tables of earlier owners that a table has no more, where they are there still. */
export async function formerSides(
  { parts, options }: Sink,
  offsets: readonly FeedOffset[],
  tables: readonly SideTable[],
): Promise<TableWriter[]> {
  const now = new Set(tables.map(({ sink }) => sink.name));
  const named = new Map<string, TableName>();
  for (const owner of new Set(offsets.map((each) => each.owner ?? ""))) {
    for (const name of sidesOf(owner)) named.set(fullName(name), name);
  }
  const writers: TableWriter[] = [];
  for (const [text, name] of named) {
    if (now.has(text) || (await parts.catalog.load(name)) === null) continue;
    writers.push(await TableWriter.open(parts, { ...options, name, key: [] }, []));
  }
  return writers;
}

/** An owner as tables keep it: its id, and the names of its side tables, level by level. */
function ownerOf(id: string, tables: readonly SideTable[]): string {
  const names = tables.map(({ sink }) => sink.options.name);
  const levels = names.map(({ namespace, table }) => [...namespace, table]);
  return levels.length === 0 ? id : `${id} ${JSON.stringify(levels)}`;
}

/** The side tables that an owner names. */
function sidesOf(owner: string): TableName[] {
  const [, text = "[]"] = /^\S+ (.*)$/s.exec(owner) ?? [];
  const names = JSON.parse(text) as readonly (readonly string[])[];
  return names.map((levels) => ({
    namespace: levels.slice(0, -1),
    table: levels.at(-1) ?? "",
  }));
}

function refuseAhead(
  main: TableWriter,
  offsets: readonly FeedOffset[],
  former: TableWriter,
  side: readonly FeedOffset[],
): void {
  const ahead = side.findIndex(({ offset }, index) => offset > (offsets[index]?.offset ?? 0n));
  const at = offsets[ahead];
  if (at === undefined) return;
  const { topic, partition } = at.feed;
  const sentence =
    `Table ${former.name} took dead letters or late rows of ${main.name}, and the configuration names it no more. It ` +
    `may have records of ${topic}/${partition} from offset ${at.offset} on, at which ${main.name} stands, and they would come ` +
    "into that one too. Run once with dead_letter.action and source.late_table as they were, until it has " +
    "committed, and change them then";
  throw fail("progress", sentence, { table: main.name, topic, partition });
}

/** Names the owner in one table, where it stands by its newest head. */
async function claim(
  writer: TableWriter,
  first: readonly FeedOffset[],
  owner: string,
): Promise<void> {
  for (let tries = 0; tries < CLAIM_TRIES_MAX; tries++) {
    const now = await writer.committed(first.map(({ feed }) => feed));
    const positions = first.map((each, index) => {
      const found = now[index] ?? null;
      return { ...(found ?? each), isKnown: found !== null };
    });
    const result = await writer.own(positions, owner);
    if (result.kind === "held") throw notYet(writer, result.cause);
    if (result.kind === "paused") throw tablePaused(writer.name);
    // Fenced: somebody has committed in between.
    if (result.kind === "committed" && result.fenced.length === 0) return;
  }
  throw notYet(writer);
}

/** Where a table stands, if it belongs to this start still. */
async function readBack(
  writer: TableWriter,
  feeds: readonly Feed[],
  owner: string,
): Promise<FeedOffset[]> {
  const offsets = await known(writer, feeds);
  if (offsets.some((each) => each.owner !== owner)) throw notYet(writer);
  return offsets;
}

async function known(writer: TableWriter, feeds: readonly Feed[]): Promise<FeedOffset[]> {
  const offsets = (await writer.committed(feeds)).flatMap((each) => each ?? []);
  // A person may have rolled the table back behind its first positions.
  if (offsets.length !== feeds.length) throw notYet(writer);
  return offsets;
}

/** Adds what a side table has at or past the table's offsets. All its rows lie below its own. */
async function addTaken(
  taken: Map<FeedKey, OffsetSet>,
  writer: TableWriter,
  { coordinates, topicOf }: SideTable,
  offsets: readonly FeedOffset[],
  side: readonly FeedOffset[],
): Promise<void> {
  const ends = new Map<string, Map<number, bigint>>();
  const keys = new Map<string, FeedKey>();
  for (const [index, { feed, offset }] of offsets.entries()) {
    const own = side[index];
    assert(own !== undefined, "a side table is owned for every feed");
    if (own.offset <= offset) continue;
    const topic = topicOf(feed);
    const byPartition = ends.get(topic) ?? new Map<number, bigint>();
    ends.set(topic, byPartition.set(feed.partition, offset));
    keys.set(`${topic}/${feed.partition}`, feedKey(feed));
  }
  if (ends.size === 0) return;
  for (const [topic, byPartition] of await writer.rowsPast(ends, coordinates)) {
    for (const [partition, set] of byPartition) {
      const key = keys.get(`${topic}/${partition}`);
      if (key === undefined) continue;
      const all = taken.get(key);
      if (all === undefined) taken.set(key, set);
      else all.addAll(set);
    }
  }
}

function notYet(writer: TableWriter, cause?: unknown): Error {
  const what = `Table ${writer.name} does not belong to this process yet`;
  return fail("catalog_unreachable", what, {}, cause);
}

/**
 * Several tables of one topic in the pipeline simulation: the test's own router, dead letters beside
 * their table, and what holds of all of them together beside the law of each.
 *
 * Whether a record is a row or a dead letter is judged anew by each process, and by the same one some
 * time later: what one puts aside is a row for the other.
 */
import type { Field } from "#columns/schema.ts";
import type { Format } from "#decode/format.ts";
import { jsonFormat } from "#decode/json/format.ts";
import { topicIdField } from "#decode/lateRows.ts";
import { LETTER_FIELDS } from "#decode/letters.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { selectRecords } from "#decode/records.ts";
import type { ValueReader } from "#decode/segment.ts";
import type { Lateness } from "#pipeline/lateRows.ts";
import type { CommitRank, Route } from "#pipeline/pipelineParts.ts";
import { judgeStop } from "./process.ts";
import { progressOf } from "./rewriter.ts";
import { FIELDS, rowNumber, TOPIC } from "./rows.ts";
import { World } from "./world.ts";

/** The column of the topic's id in late tables; the second column, as in dead letters. */
export const TOPIC_ID: Field = topicIdField("topic_id");
const LATE_FIELDS: readonly Field[] = [TOPIC, TOPIC_ID, ...FIELDS];

/** How late rows are told: which records they are depends on where a process has begun to read. */
export const LATENESS: Lateness = {
  thresholdMs: 5000,
  timeColumn: "at",
  offsetColumn: "_kafka_offset",
};

/** When the event of a record happened, UTC ms: one in four is ten seconds behind its neighbours. */
export function eventTimeMs(offset: number): number {
  return 1_600_000_000_000 + 1000 * (offset % 4 === 3 ? offset - 10 : offset);
}

/** Which tables the topic fills. */
export interface Shape {
  /** Tables that share the records. */
  readonly mains: 1 | 2;
  /** Each has a dead-letter table. */
  readonly letters: boolean;
  /** Each has a late table; default false. */
  readonly late?: boolean;
  /** Beside the one table there is the log of its changes, which has every record as well; default false. */
  readonly log?: boolean;
  /** Rows are written before their commit is due; default false. */
  readonly ahead?: boolean;
  /** The tables that share the records are committed in one request; default false. */
  readonly together?: boolean;
}

/** One table of the topic. */
export interface SimTable {
  readonly world: World;
  readonly rank: CommitRank;
  /** The table that it is beside; null: it is no side table. */
  readonly beside: SimTable | null;
  /** Of a log of changes the table that it is of, and committed before; null: it is none. */
  readonly logs: SimTable | null;
  readonly writesAhead: boolean;
  /** It is committed in one request with others of its topic. */
  readonly together: boolean;
}

/** The tables of a world's topic; the world's own is the first, side tables follow theirs. */
export function tablesOf(world: World, shape: Shape): SimTable[] {
  const { mains, letters, late = false, log = false, ahead = false, together = false } = shape;
  const how = { writesAhead: ahead, together };
  const tables: SimTable[] = [];
  world.has.eventTimes = late;
  for (let index = 0; index < mains; index++) {
    const own = index === 0 ? world : sibling(world, index);
    own.isDue = (offset) => tableOf(offset, mains) === index;
    own.mayHold = own.isDue;
    const main: SimTable = { world: own, rank: "main", beside: null, logs: null, ...how };
    tables.push(main);
    if (letters) tables.push(lettersOf(main, world, 10 + index));
    if (late) tables.push(sideOf(main, "late", sibling(world, 20 + index, LATE_FIELDS)));
    if (log) {
      const logging: SimTable = { ...main, world: sibling(world, 30), rank: "changes", logs: main };
      tables.push(logging);
      if (letters) tables.push(lettersOf(logging, world, 31));
    }
  }
  return tables;
}

function lettersOf(of: SimTable, world: World, number: number): SimTable {
  world.has.oddRecords = false;
  return sideOf(of, "dead_letter", sibling(world, number, LETTER_FIELDS));
}

/** What it holds is not its table's. */
function sideOf(main: SimTable, rank: CommitRank, aside: World): SimTable {
  const { world: own } = main;
  const isLeft = own.isDue;
  own.isDue = (offset, partition, number) =>
    isLeft(offset, partition, number) && !aside.law.headHolds(partition, number);
  aside.isDue = () => false;
  aside.mayHold = own.mayHold;
  // Also from before its own first position: a person may have them read again for its table.
  aside.mayHoldBelow = true;
  const { writesAhead, together } = main;
  return { world: aside, rank, beside: main, logs: null, writesAhead, together };
}

function sibling(world: World, number: number, fields?: readonly Field[]): World {
  const { compareAndSet, showsAncestors } = world;
  return new World(number, compareAndSet, 0, showsAncestors, world, fields);
}

/** The table that a record is for: most are for the first one. */
function tableOf(offset: number, mains: number): number {
  return mains > 1 && offset % 5 === 0 ? 1 : 0;
}

/** The same of these tables; undefined: each gets every record. */
export function routeBetween(tables: readonly SimTable[]): Route | undefined {
  if (tables.some(({ logs }) => logs !== null)) return undefined;
  return routeOf(tables.filter(({ beside }) => beside === null).length);
}

/** Splits each batch by {@link tableOf}. */
export function routeOf(mains: number): Route {
  return (batch, outlets) =>
    outlets.map((_, index) => {
      const { payload, feed, baseOffset: wantedOffset } = batch;
      if (payload === null) return null;
      const { topic, partition } = feed;
      const isOwn = (offset: bigint): boolean => tableOf(Number(offset), mains) === index;
      return selectRecords({ ...batch, payload, topic, partition, wantedOffset }, isOwn);
    });
}

/** Judges why a table stopped: with the log of its changes it ends together, for the reason of one of them. */
export function judgeEnd(
  tables: readonly SimTable[],
  table: SimTable,
  ...[name, error, groups]: [name: string, error: unknown, groups: number]
): readonly string[] {
  const twin = table.logs ?? tables.find(({ logs }) => logs === table) ?? table;
  const own = judgeStop(table.world, name, error, groups);
  return own.length === 0 ? own : judgeStop(twin.world, name, error, groups);
}

/** Partitions of which one of the tables, side tables apart, lacks something. */
export async function behindOf(tables: readonly SimTable[]): Promise<Set<number>> {
  const behind = new Set<number>();
  for (const { world, beside } of tables) {
    if (beside !== null) continue;
    const progress = await progressOf(world);
    const source = progress.kind === "readable" ? progress.document.sources.get("c/t") : null;
    for (const partition of world.partitions) {
      const offset = source?.offsets.get(partition);
      if (source == null || offset !== world.logEnd(partition)) behind.add(partition);
    }
  }
  return behind;
}

/** JSON of which one record in `badOf` is bad: which ones is a matter of `judge`. */
export function pickyFormat(
  judge: () => number,
  badOf: number,
  eventTimeField: string | null = null,
): Format {
  const json = jsonFormat({ ...DECODER_DEFAULTS, eventTimeField });
  return { ...json, reader: (...args) => picky(json.reader(...args), judge, badOf) };
}

function picky(reader: ValueReader, judge: () => number, badOf: number): ValueReader {
  let refused: "bad_json" | "missing_field" | null = null;
  return {
    get root() {
      return reader.root;
    },
    get reason() {
      return refused ?? reader.reason;
    },
    get path() {
      return reader.path;
    },
    get conflict() {
      return reader.conflict;
    },
    get evolving() {
      return reader.evolving;
    },
    set evolving(evolving: boolean) {
      reader.evolving = evolving;
    },
    read: (bytes, start, end, row) => {
      const { n } = JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)));
      const isBad = (n + judge()) % badOf === 0;
      // The second is the schema's to refuse: the table's head is looked at first.
      refused = isBad ? (n % 4 === 0 ? "missing_field" : "bad_json") : null;
      return !isBad && reader.read(bytes, start, end, row);
    },
    readNull: (row) => reader.readNull(row),
    get effect() {
      return reader.effect;
    },
    get sawUnknown() {
      return reader.sawUnknown;
    },
    set sawUnknown(saw: boolean) {
      reader.sawUnknown = saw;
    },
    get asks() {
      return reader.asks;
    },
  };
}

/** What holds of several tables together: {@link unionViolations}, of a log and its side tables apart; {@link logViolations}. */
export async function togetherViolations(
  tables: readonly SimTable[],
  isDisordered: boolean,
): Promise<string[]> {
  const isOfLog = ({ logs, beside }: SimTable): boolean => (beside?.logs ?? logs) !== null;
  const [own, ofLog] = [tables.filter((each) => !isOfLog(each)), tables.filter(isOfLog)];
  return [
    ...(await unionViolations(own, isDisordered)),
    ...(await unionViolations(ofLog, isDisordered)),
    ...(isDisordered ? [] : await logViolations(ofLog)),
  ];
}

/**
 * A log is committed before its table: what that has passed is in the log, or in the log's dead letters. A log
 * without a row moves its offsets in a commit of its own time.
 */
async function logViolations(ofLog: readonly SimTable[]): Promise<string[]> {
  const broken: string[] = [];
  for (const log of ofLog) {
    for (const [partition, passed] of passedByTable(log)) {
      const seen = (await Promise.all(ofLog.map((each) => rowsOf(each, partition)))).flat();
      const missing = passed.filter((at) => !seen.includes(rowNumber(log.world.topic, at)));
      if (missing.length === 0) continue;
      broken.push(`ORDER: p${partition}: the table has passed ${missing}, which its log has not`);
    }
  }
  return broken;
}

/** Offsets of records that a table has passed and its log stands before, by partition. */
function passedByTable({ world, logs }: SimTable): (readonly [number, number[]])[] {
  if (logs === null) return [];
  const [log, table] = [world, logs.world].map((each) =>
    each.law.truth(each.metadata.currentSnapshotId),
  );
  if (log?.topicId !== table?.topicId) return [];
  return world.partitions.map((partition) => {
    const [from, to] = [log, table].map((truth) => truth?.offsets.get(partition));
    // A first position is the table's first.
    if (from === undefined || to === undefined) return [partition, []] as const;
    const records = world.topic.records[partition] ?? [];
    return [partition, records.filter((at) => from <= at && at < to)] as const;
  });
}

/**
 * Below the least committed offset of all tables each record is in exactly one of them; past it, in one
 * at most.
 * @param mayBeTwice a person has gone forward to rows that were put aside meanwhile
 */
export async function unionViolations(
  tables: readonly SimTable[],
  mayBeTwice: boolean,
): Promise<string[]> {
  const broken: string[] = [];
  const [main] = tables;
  if (main === undefined || tables.length === 1) return broken;
  const { topic, partitions } = main.world;
  // A person who cherry-picks has put rows where they were not.
  const mains = tables.filter(({ beside }) => beside === null);
  const truths = mains.map(({ world }) => world.law.truth(world.metadata.currentSnapshotId));
  if (truths.some((truth) => truth.picked !== undefined)) return broken;
  for (const partition of partitions) {
    const [least = 0n] = truths
      .map((truth) => (truth.topicId === topic.id ? (truth.offsets.get(partition) ?? 0n) : 0n))
      .sort((a, b) => Number(a - b));
    const seen = (await Promise.all(tables.map((table) => rowsOf(table, partition)))).flat();
    for (const offset of topic.records[partition] ?? []) {
      const times = seen.filter((number) => number === rowNumber(topic, offset)).length;
      if (isRight(times, BigInt(offset) < least, mayBeTwice)) continue;
      broken.push(`UNION: p${partition} ${offset} is in ${times} tables`);
    }
  }
  return broken;
}

function isRight(times: number, isPassed: boolean, mayBeTwice: boolean): boolean {
  if (times === 0) return !isPassed;
  return times === 1 || mayBeTwice;
}

async function rowsOf({ world }: SimTable, partition: number): Promise<readonly number[]> {
  const { currentSnapshotId } = world.metadata;
  if (currentSnapshotId === null) return [];
  return (await world.law.content(currentSnapshotId)).rows.get(partition) ?? [];
}

/**
 * `offsets TABLE`: the committed offsets, and the two ways in which a person may set them (SPEC 2.5).
 *
 * Both are checked against the topic's partitions and their logs, and both say before they act what
 * each partition skips, has lost, reads again or doubles. Whatever costs a row or doubles one needs `--yes`.
 */
import { EXIT, type ExitCode, fail, kindOf } from "#base/errors.ts";
import type { Feed, FeedOffset } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { latestOf } from "#columns/latest.ts";
import type { MetadataChange } from "#commit/change.ts";
import { clearStopsChange, keptStopProperties } from "#commit/keptStops.ts";
import type { CoordinateColumns } from "#commit/liveRows.ts";
import { type OffsetChange, offsetsChange, planOffsets } from "#commit/offsets.ts";
import type { Progress } from "#commit/progress.ts";
import { offsetOf, type ProgressDocument, sourceKey } from "#commit/progressDocument.ts";
import { ProgressReader } from "#commit/progressSearch.ts";
import { coordinatesBeside } from "#config/besideTables.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import { coordinateColumns } from "#config/buildWriter.ts";
import type { PipelineValues } from "#config/keys.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import type { Actions, Terminal, TopicDescription } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { commitChange } from "./commit.ts";
import { type OffsetEffect, offsetEffect, outsideLog } from "./offsetEffect.ts";
import { type FindRows, findRows, unknownRows } from "./offsetRows.ts";
import { type FoundTable, type Opened, openConfig, withTable } from "./open.ts";
import { type Cell, printRows } from "./output.ts";

/** `--set T:P=OFFSET`; a configuration key never holds a colon. */
const OFFSET_SET = /^([^:=]+):(\d+)=(\d+)$/;

/** Runs the command. */
export async function offsetsCommand(
  parsed: ParsedArguments,
  actions: Actions,
  terminal: Terminal,
): Promise<ExitCode> {
  const sets = parsed.list("set");
  const wanted = sets.filter((text) => OFFSET_SET.test(text));
  const bad = sets.find((text) => /^[^=]*:/.test(text) && !OFFSET_SET.test(text));
  if (bad !== undefined) throw fail("usage", `--set ${bad}: wants TOPIC:PARTITION=OFFSET`);
  requireOnce(wanted);
  const keys = sets.filter((text) => !OFFSET_SET.test(text));
  const opened = await openConfig(parsed, "inspect", keys);
  const name = parsed.value("table") ?? "";
  const accepted = parsed.value("accept-topic");
  if (accepted !== undefined && wanted.length > 0) {
    throw fail("usage", "--accept-topic sets all partitions of a topic: give --set another time");
  }
  if (wanted.length === 0 && accepted === undefined) {
    if (parsed.value("from") !== undefined) throw fail("usage", "--from goes with --accept-topic");
    await withTable(opened, name, true, (found) => show(found, parsed, terminal));
    return EXIT.ok;
  }
  return withTable(opened, name, parsed.flag("dry-run"), async (found) => {
    const names = [accepted, ...wanted.map(topicOf)].filter((topic) => topic !== undefined);
    const topics = await describe(opened, found, actions, names);
    const resolve = (progress: Progress): readonly FeedOffset[] => {
      if (accepted === undefined) {
        return wanted.map((text) => wantedOffset(text, progress, topics));
      }
      const known = committedOf(progress);
      const offsets = acceptedOffsets(topics, accepted, parsed.value("from"), known);
      return refuseLower(found.table, offsets, known);
    };
    return change(found, resolve, topics, parsed, terminal);
  });
}

/** Offsets that go on below those of the rows that the table has would make no row the newest (`columns/latest.ts`). */
function refuseLower(
  { name, metadata }: LoadedTable,
  offsets: readonly FeedOffset[],
  known: (feed: Feed) => bigint | null,
): readonly FeedOffset[] {
  const isLower = offsets.some(({ feed, offset }) => offset < (known(feed) ?? offset + 1n));
  if (!isLower || latestOf(metadata.properties)?.orderField !== null) return offsets;
  throw fail(
    "usage",
    `Table ${fullName(name)} knows by offsets which row of a key is the newest, and those of this topic begin anew: ` +
      "follow it in a new table",
  );
}

/** A partition that is set twice would be told twice, and only one of the two would count. */
function requireOnce(wanted: readonly string[]): void {
  const seen = new Set<string>();
  for (const text of wanted) {
    const [, topic, partition] = OFFSET_SET.exec(text) ?? [];
    const place = `${topic}:${Number(partition)}`;
    if (seen.has(place)) throw fail("usage", `--set ${text}: ${place} is set twice`);
    seen.add(place);
  }
}

/** Reads offsets as a start does: where the head does not tell, earlier metadata files and the rows do. */
export function searchProgress({ table, pipeline, catalog }: FoundTable): Promise<Progress> {
  const { values } = pipeline;
  const columns = coordinatesOf(values, table);
  const witness = columns === null ? null : { columns, read: readCoordinates };
  const { showsAncestors } = catalog.traits;
  return new ProgressReader(values["iceberg.branch"], witness, showsAncestors).read(table);
}

/** Of the table that was found: those beside another have their own, in every mode. */
function coordinatesOf(values: PipelineValues, { name }: LoadedTable): CoordinateColumns | null {
  return coordinatesBeside(values, name) ?? coordinateColumns(values);
}

async function show(found: FoundTable, parsed: ParsedArguments, terminal: Terminal): Promise<void> {
  const progress = await searchProgress(found);
  if (progress.kind === "unreadable") {
    throw fail("progress", `The committed offsets cannot be read: ${progress.reason}`);
  }
  const rows = [...progress.document.sources].flatMap(([key, { topicId, offsets }]) => {
    const slash = key.indexOf("/");
    return [...offsets].map(([partition, offset]) => ({
      topic: key.slice(slash + 1),
      partition,
      offset,
      topic_id: topicId,
      cluster_id: key.slice(0, slash),
      group: progress.group === "" ? null : progress.group,
    }));
  });
  printRows(terminal, rows, parsed.flag("json"), "The table has no committed offsets");
}

function topicOf(text: string): string {
  return OFFSET_SET.exec(text)?.[1] ?? "";
}

/** The source of a topic in the table's document; null when there is none or several. */
function knownSource(
  progress: Progress,
  topic: string,
): { clusterId: string; topicId: string } | null {
  const sources = progress.kind === "readable" ? [...progress.document.sources] : [];
  const found = sources.filter(([key]) => key.endsWith(`/${topic}`));
  const [only] = found;
  if (only === undefined || found.length > 1) return null;
  return { clusterId: only[0].slice(0, -topic.length - 1), topicId: only[1].topicId };
}

/** Asks Kafka for the topics; one that it does not have, but the table, is left out. */
async function describe(
  { environment }: Opened,
  found: FoundTable,
  actions: Actions,
  names: readonly string[],
): Promise<readonly TopicDescription[]> {
  const { consumer } = await buildPipeline(found.pipeline, environment, "");
  const { topicPattern: _, ...others } = consumer;
  const described: TopicDescription[] = [];
  for (const topic of new Set(names)) {
    try {
      described.push(...(await actions.describeTopics({ ...others, topics: [topic] })));
    } catch (error) {
      if (kindOf(error) !== "topic_unreadable") throw error;
      if (knownSource(await searchProgress(found), topic) === null) throw error;
    }
  }
  return described;
}

function wantedOffset(
  text: string,
  progress: Progress,
  topics: readonly TopicDescription[],
): FeedOffset {
  const [, topic = "", partition, offset] = OFFSET_SET.exec(text) ?? [];
  const described = topics.find((each) => each.topic === topic);
  const known = knownSource(progress, topic);
  const source = described ?? known;
  if (source === null) throw fail("usage", `Neither the table nor Kafka knows the topic ${topic}`);
  if (described !== undefined && known !== null && described.topicId !== known.topicId) {
    const sentence = `Topic ${topic} was deleted and created again: accept it with --accept-topic ${topic}`;
    throw fail("usage", sentence, { topic });
  }
  const { clusterId, topicId } = source;
  const feed = { clusterId, topic, topicId, partition: Number(partition) };
  const wanted = { feed, offset: BigInt(offset ?? 0) };
  if (described !== undefined) requireInLog(wanted, described);
  return wanted;
}

/**
 * Where partitions go on when the topic is taken as it is now. Without `--from`: at the first record
 * that the table cannot have, so that nothing is doubled.
 */
function acceptedOffsets(
  topics: readonly TopicDescription[],
  topic: string,
  from: string | undefined,
  known: (feed: Feed) => bigint | null,
): FeedOffset[] {
  const described = topics.find((each) => each.topic === topic);
  if (described === undefined) throw fail("topic_unreadable", `Kafka has no topic ${topic}`);
  if (from !== undefined && from !== "earliest" && from !== "latest" && !/^\d+$/.test(from)) {
    throw fail("usage", `--from ${from}: must be earliest, latest or an offset`);
  }
  const { clusterId, topicId, partitions } = described;
  return partitions.flatMap(({ partition, logStart, logEnd }) => {
    const feed = { clusterId, topic, topicId, partition };
    const committed = known(feed);
    // Of the same topic, a partition whose offset Kafka still has goes on where it is.
    if (committed !== null && committed >= logStart && committed <= logEnd) return [];
    const safe = committed !== null && committed > logEnd ? "latest" : "earliest";
    const word = from ?? safe;
    const offset = word === "earliest" ? logStart : word === "latest" ? logEnd : BigInt(word);
    const wanted = { feed, offset };
    requireInLog(wanted, described);
    return [wanted];
  });
}

/** @throws AppError `usage` for a partition or an offset that the topic does not have */
function requireInLog({ feed, offset }: FeedOffset, { topic, partitions }: TopicDescription): void {
  const log = partitions.find(({ partition }) => partition === feed.partition);
  const where = `${topic}/${feed.partition}`;
  const problem =
    log === undefined
      ? `Topic ${topic} has no partition ${feed.partition}: it has ${partitions.length}, counted from 0`
      : outsideLog(where, offset, log);
  if (problem !== null) throw fail("usage", problem, { topic, partition: feed.partition });
}

/** Committed offsets of exactly the topic that Kafka has now; null where there is none. */
function committedOf(progress: Progress): (feed: Feed) => bigint | null {
  if (progress.kind === "unreadable") return () => null;
  const { document } = progress;
  return (feed) => {
    const source = document.sources.get(sourceKey(feed));
    return source?.topicId === feed.topicId ? offsetOf(document, feed) : null;
  };
}

async function change(
  found: FoundTable,
  resolve: (progress: Progress) => readonly FeedOffset[],
  topics: readonly TopicDescription[],
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<ExitCode> {
  const { values } = found.pipeline;
  const branch = values["iceberg.branch"];
  let isFirst = true;
  const plan = async (head: LoadedTable, progress: Progress): Promise<ProgressDocument | null> => {
    const { changes, document } = planOffsets(head, progress, branch, resolve(progress));
    // Rows are counted once: while a large table is read, other commits come first again and again.
    const rowsOf = isFirst
      ? await findRows(head, coordinatesOf(values, head), document, leastOf(changes))
      : unknownRows("others have committed since the rows were counted");
    const planned = changes.map((each) => plannedChange(each, progress, topics, rowsOf));
    if (isFirst) printRows(terminal, planned.map(changeRow), parsed.flag("json"), "No change");
    isFirst = false;
    const back = planned.find(goesBack);
    const isAppended =
      values["source.mode"] === "kstream" || coordinatesBeside(values, head.name) !== null;
    if (!isAppended && back !== undefined) {
      throw fail("usage", `Nothing was changed: ${backwards(back)}`);
    }
    if (parsed.flag("dry-run")) return null;
    const risks = risksOf(planned);
    if (risks !== "" && !parsed.flag("yes")) {
      throw fail("usage", `Nothing was changed: ${risks}. Add --yes to do it`);
    }
    return document;
  };
  await commitChange(found, offsetsChange(plan));
  if (!parsed.flag("dry-run")) await commitChange(found, answeredStops(parsed, branch));
  return EXIT.ok;
}

/** The person has answered for these partitions: stops of them that are kept hold no longer. */
function answeredStops(parsed: ParsedArguments, branch: string): MetadataChange {
  const accepted = parsed.value("accept-topic");
  const sets = parsed.list("set").map((text) => OFFSET_SET.exec(text));
  const isAnswered = (topic: string, partition: number): boolean =>
    topic === accepted || sets.some((set) => set?.[1] === topic && Number(set[2]) === partition);
  return clearStopsChange((head) => keptStopProperties(head, branch, isAnswered));
}

function leastOf(changes: readonly OffsetChange[]): bigint {
  let least: bigint | null = null;
  for (const { after } of changes) if (least === null || after < least) least = after;
  return least ?? 0n;
}

function goesBack({ before, after, isNewTopic }: PlannedChange): boolean {
  return before !== null && !isNewTopic && after < before;
}

/** Rows that later changes have left would be taken for earlier ones. */
function backwards({ feed, before, after }: PlannedChange): string {
  return (
    `${feed.topic}/${feed.partition} would go back from ${before} to ${after}, and the table would hold rows ` +
    "from different times until it has caught up (source.mode ktable, cdc). Roll the table back to a " +
    "snapshot with another engine instead: its offsets go back with its rows"
  );
}

/** A change with what it does. */
interface PlannedChange extends OffsetChange {
  readonly isNewTopic: boolean;
  readonly effect: OffsetEffect;
}

function plannedChange(
  change: OffsetChange,
  progress: Progress,
  topics: readonly TopicDescription[],
  rowsOf: FindRows,
): PlannedChange {
  const { feed, before, after } = change;
  const described = topics.find(({ topic }) => topic === feed.topic);
  const log = described?.partitions.find(({ partition }) => partition === feed.partition) ?? null;
  const isNewTopic = before !== null && committedOf(progress)(feed) === null;
  const isReadable = progress.kind === "readable";
  const rows = rowsOf(feed);
  const effect = offsetEffect({ before, after, isReadable, isNewTopic, log, rows });
  return { ...change, isNewTopic, effect };
}

function changeRow({ feed, before, after, effect }: PlannedChange): Readonly<Record<string, Cell>> {
  const { topic, partition } = feed;
  const { skipped, gone, doubled, sentence } = effect;
  return { topic, partition, before, after, skipped, gone, doubled, effect: sentence };
}

/** What a person has to agree to, over all partitions; empty when nothing is at risk. */
function risksOf(planned: readonly PlannedChange[]): string {
  const sum = (of: (effect: OffsetEffect) => bigint): bigint =>
    planned.reduce((total, { effect }) => total + of(effect), 0n);
  const parts: readonly (readonly [count: bigint, what: string])[] = [
    [sum(({ skipped }) => skipped), "offsets would be skipped"],
    [sum(({ gone }) => gone), "offsets are gone from Kafka"],
    [sum(({ doubled, isCounted }) => (isCounted ? doubled : 0n)), "rows would be doubled"],
    [
      sum(({ doubled, isCounted }) => (isCounted ? 0n : doubled)),
      "offsets would be read again and at most as many rows doubled",
    ],
    [sum(({ reused }) => reused), "offsets would be used again for other records"],
    [BigInt(planned.filter((each) => each.isNewTopic).length), "partitions begin a new topic"],
  ];
  return parts
    .filter(([count]) => count > 0n)
    .map(([count, what]) => `${count} ${what}`)
    .join(", ");
}

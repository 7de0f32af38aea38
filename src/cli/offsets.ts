/**
 * `offsets TABLE`: the committed offsets, and the two ways in which a person may set them (SPEC 2.5).
 */
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import type { Feed, FeedOffset } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { offsetOf, readProgress, sourceKey } from "#commit/progress.ts";
import { commitOffsets, type OffsetChange, planOffsets } from "#commit/steer.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import type { Actions, Terminal, TopicDescription } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { commitChange } from "./commit.ts";
import { type FoundTable, type Opened, openConfig, systemParts, withTable } from "./open.ts";
import { printRows } from "./output.ts";

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
  const bad = sets.find(
    (text) => text.includes(":") && !text.includes(".") && !OFFSET_SET.test(text),
  );
  if (bad !== undefined) throw fail("usage", `--set ${bad}: wants TOPIC:PARTITION=OFFSET`);
  const keys = sets.filter((text) => !OFFSET_SET.test(text));
  const opened = await openConfig(parsed, "inspect", keys);
  const name = parsed.value("table") ?? "";
  const accepted = parsed.value("accept-topic");
  if (wanted.length === 0 && accepted === undefined) {
    if (parsed.value("from") !== undefined) throw fail("usage", "--from goes with --accept-topic");
    await withTable(opened, name, true, async ({ table, pipeline }) => {
      show(table, pipeline.values["iceberg.branch"], parsed, terminal);
    });
    return EXIT.ok;
  }
  return withTable(opened, name, parsed.flag("dry-run"), async (found) => {
    const topics =
      accepted === undefined && allKnown(found, wanted)
        ? []
        : await describe(opened, found, actions, [accepted, ...wanted.map(topicOf)]);
    const resolve = (table: LoadedTable): FeedOffset[] =>
      accepted === undefined
        ? wanted.map((text) => wantedOffset(text, table, found, topics))
        : acceptedOffsets(
            topics,
            accepted,
            parsed.value("from") ?? "earliest",
            committedOf(table, found.pipeline.values["iceberg.branch"]),
          );
    return change(found, resolve, parsed, terminal);
  });
}

function show(
  table: LoadedTable,
  branch: string,
  parsed: ParsedArguments,
  terminal: Terminal,
): void {
  const progress = readProgress(table.metadata, branch);
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
  { pipeline }: FoundTable,
  table: LoadedTable,
  topic: string,
): { clusterId: string; topicId: string } | null {
  const progress = readProgress(table.metadata, pipeline.values["iceberg.branch"]);
  const sources = progress.kind === "readable" ? [...progress.document.sources] : [];
  const found = sources.filter(([key]) => key.endsWith(`/${topic}`));
  const [only] = found;
  if (only === undefined || found.length > 1) return null;
  return { clusterId: only[0].slice(0, -topic.length - 1), topicId: only[1].topicId };
}

function allKnown(found: FoundTable, wanted: readonly string[]): boolean {
  return wanted.every((text) => knownSource(found, found.table, topicOf(text)) !== null);
}

/** Asks Kafka for topics that the table does not know well enough. */
async function describe(
  { environment }: Opened,
  { pipeline }: FoundTable,
  actions: Actions,
  names: readonly (string | undefined)[],
): Promise<readonly TopicDescription[]> {
  const topics = [...new Set(names.filter((name) => name !== undefined))];
  const { consumer } = await buildPipeline(pipeline, environment, "");
  const { topicPattern: _, ...others } = consumer;
  return actions.describeTopics({ ...others, topics });
}

function wantedOffset(
  text: string,
  table: LoadedTable,
  found: FoundTable,
  topics: readonly TopicDescription[],
): FeedOffset {
  const [, topic = "", partition, offset] = OFFSET_SET.exec(text) ?? [];
  const described = topics.find((each) => each.topic === topic);
  const source = described ?? knownSource(found, table, topic);
  if (source === null) throw fail("usage", `Neither the table nor Kafka knows the topic ${topic}`);
  const { clusterId, topicId } = source;
  const feed = { clusterId, topic, topicId, partition: Number(partition) };
  return { feed, offset: BigInt(offset ?? 0) };
}

function acceptedOffsets(
  topics: readonly TopicDescription[],
  topic: string,
  from: string,
  known: (feed: Feed) => bigint | null,
): FeedOffset[] {
  const described = topics.find((each) => each.topic === topic);
  if (described === undefined) throw fail("topic_unreadable", `Kafka has no topic ${topic}`);
  if (from !== "earliest" && from !== "latest" && !/^\d+$/.test(from)) {
    throw fail("usage", `--from ${from}: must be earliest, latest or an offset`);
  }
  const { clusterId, topicId, partitions } = described;
  return partitions.flatMap(({ partition, logStart, logEnd }) => {
    const feed = { clusterId, topic, topicId, partition };
    const committed = known(feed);
    // Of the same topic, a partition whose offset Kafka still has goes on where it is.
    if (committed !== null && committed >= logStart && committed <= logEnd) return [];
    const offset = from === "earliest" ? logStart : from === "latest" ? logEnd : BigInt(from);
    return [{ feed, offset }];
  });
}

/** Committed offsets of a head, of exactly the topic that Kafka has now; null where there is none. */
function committedOf(table: LoadedTable, branch: string): (feed: Feed) => bigint | null {
  const progress = readProgress(table.metadata, branch);
  if (progress.kind === "unreadable") return () => null;
  const { document } = progress;
  return (feed) => {
    const source = document.sources.get(sourceKey(feed));
    return source?.topicId === feed.topicId ? offsetOf(document, feed) : null;
  };
}

async function change(
  found: FoundTable,
  resolve: (table: LoadedTable) => FeedOffset[],
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<ExitCode> {
  const { values } = found.pipeline;
  const parts = { ...found, ...systemParts };
  await commitChange(found, async (head, isFirst) => {
    const { changes, document } = planOffsets(head, values["iceberg.branch"], resolve(head));
    if (isFirst) printRows(terminal, changes.map(changeRow), parsed.flag("json"), "No change");
    if (parsed.flag("dry-run")) return "nothing to do";
    if (changes.some(isRisky) && !parsed.flag("yes")) {
      throw fail("usage", "Nothing was changed: records would be skipped or read again; add --yes");
    }
    return commitOffsets(parts, head, document, values["kafka.consumer_group"]);
  });
  return EXIT.ok;
}

function changeRow({
  feed,
  before,
  after,
}: OffsetChange): Record<string, string | number | bigint | null> {
  const { topic, partition } = feed;
  return { topic, partition, before, after, effect: effectOf(before, after) };
}

function effectOf(before: bigint | null, after: bigint): string {
  if (before === null) return "begins here";
  if (after === before) return "none";
  return after > before ? "skips records" : "reads records again";
}

/** A feed without an offset has nothing to skip. */
function isRisky({ before, after }: OffsetChange): boolean {
  return before !== null && before !== after;
}

/**
 * `replay TABLE --topic T --partition P --from OFFSET [--to OFFSET]`: reads a range again and replaces its rows
 * (SPEC section 3).
 */
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import { ignoreObservations } from "#base/events.ts";
import { armFailpoint } from "#base/failpoint.ts";
import { writePortableJson } from "#base/json.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed, OffsetRange } from "#base/offsets.ts";
import { fullName } from "#catalog/names.ts";
import type { Terminal } from "#cli/actions.ts";
import type { ParsedArguments } from "#cli/arguments.ts";
import { parseTime } from "#cli/log.ts";
import { searchProgress } from "#cli/offsets.ts";
import { type FoundTable, openConfig, systemParts, withTable } from "#cli/open.ts";
import { offsetOf } from "#commit/progressDocument.ts";
import { buildPipeline, type PipelineOptions } from "#config/buildPipeline.ts";
import type { FreeConsumer } from "#consumer/consumer.ts";
import { createKafkaConsumer } from "#consumer/kafkaConsumer.ts";
import { createLoneDecoder } from "#decode/loneDecoder.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { noLog } from "#txlog/log.ts";
import { followsChanges } from "#writer/parts.ts";
import { asideTables, readAside } from "./aside.ts";
import { type ReplayPlace, type ReplayReport, replay } from "./replay.ts";

/** Where the command's words go. */
export interface ReplayParts {
  readonly terminal: Terminal;
}

/** Runs the command. */
export async function replayCommand(
  parsed: ParsedArguments,
  { terminal }: ReplayParts,
): Promise<ExitCode> {
  const opened = await openConfig(parsed, "inspect");
  const { environment } = opened;
  armFailpoint(environment.variable("KAFKA_ICEBERG_FAILPOINT") ?? null);
  const isDry = parsed.flag("dry-run");
  return withTable(opened, parsed.value("table") ?? "", isDry, async (found) => {
    const options = await buildPipeline(found.pipeline, environment, "");
    const topic = topicOf(parsed, options);
    const writer = writerOf(found, options, topic);
    const range = await rangeOf(parsed, found, options, topic);
    const sides = asideTables(options, topic, writer);
    const encoder = createWorkerEncoder({ clock: systemParts.clock });
    const parts = {
      ...{ ...systemParts, catalog: found.catalog, encoder, txlog: noLog },
      ...{ logger: silentLogger, observe: ignoreObservations },
    };
    const place: ReplayPlace = {
      ...{ parts, options: writer, isDry, isVouchedFor: parsed.flag("yes") },
      newDecoder: () => decoderOf(options),
      newConsumer: () => openConsumer(options, topic),
      aside: (asked) => readAside(found.catalog, sides, asked),
      progress: (line) => terminal.progress?.(line),
    };
    try {
      const report = await replay(place, found.table, range);
      terminal.progress?.("");
      terminal.out(parsed.flag("json") ? jsonOf(report, range) : textOf(report, range, isDry));
      return EXIT.ok;
    } finally {
      await encoder.close();
    }
  });
}

/** The topic that is meant. @throws AppError `usage` where the pipeline does not read it */
function topicOf(parsed: ParsedArguments, { consumer, name }: PipelineOptions): string {
  const { topics = [], topicPattern } = consumer;
  const asked = parsed.value("topic");
  const [only] = topics;
  if (asked === undefined) {
    if (only !== undefined && topics.length === 1 && topicPattern === undefined) return only;
    throw fail("usage", `Pipeline ${name} reads several topics: name one with --topic`);
  }
  const isRead =
    topics.includes(asked) ||
    (topicPattern !== undefined && new RegExp(`^(?:${topicPattern})$`, "u").test(asked));
  if (isRead) return asked;
  throw fail("usage", `Pipeline ${name}, which fills this table, does not read topic ${asked}`);
}

/** The table's settings, where its rows can be replaced by those of this topic. */
function writerOf({ table }: FoundTable, options: PipelineOptions, topic: string) {
  const writer = options.writer(topic);
  const name = fullName(table.name);
  if (fullName(writer.name) !== name) {
    throw fail("usage", `Topic ${topic} fills table ${fullName(writer.name)}, not ${name}`);
  }
  if (followsChanges(writer)) {
    throw fail(
      "usage",
      `Table ${name} follows changes: what came after a record may have changed its row again, so that no ` +
        "range of it can be replaced. Have the source send these rows again (an update of each, or a new snapshot)",
    );
  }
  if (options.routing !== null) {
    throw fail(
      "usage",
      `Records name the tables that they go to (iceberg.route_field): which of a range are for ${name} was ` +
        "decided by the configuration of then, so that no range of it can be replaced exactly",
    );
  }
  return writer;
}

function decoderOf({ decoder, registry }: PipelineOptions) {
  const { clock, random } = systemParts;
  const parts = { clock, random, log: silentLogger, observe: ignoreObservations };
  return createLoneDecoder(decoder, registry, parts);
}

/** A consumer of one topic that is no member of any group. */
async function openConsumer({ consumer }: PipelineOptions, topic: string): Promise<FreeConsumer> {
  const { groupInstanceId: _, topicPattern: __, ...others } = consumer;
  const { clock, random } = systemParts;
  const parts = { clock, random, log: silentLogger, observe: ignoreObservations };
  const opened = createKafkaConsumer({ ...others, topics: [topic] }, parts);
  try {
    await opened.open({ join: false });
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** The range that the flags name. */
async function rangeOf(
  parsed: ParsedArguments,
  found: FoundTable,
  options: PipelineOptions,
  topic: string,
): Promise<OffsetRange> {
  const consumer = await openConsumer(options, topic);
  try {
    const feed = feedOf(parsed, consumer.feeds(), topic);
    const start = await edgeOf(parsed, "from", consumer, feed);
    if (start === undefined) throw fail("usage", "replay wants --from OFFSET or --from-time TIME");
    const end = (await edgeOf(parsed, "to", consumer, feed)) ?? (await committedOf(found, feed));
    if (start !== null && start < end) return { feed, start, end };
    throw fail(
      "usage",
      `The range of ${topic}/${feed.partition} is empty: it begins at ${start ?? "its log's end"} and ends at ${end}`,
    );
  } finally {
    await consumer.close();
  }
}

function feedOf(parsed: ParsedArguments, feeds: readonly Feed[], topic: string): Feed {
  if (feeds.length === 0) {
    throw fail("topic_unreadable", `Kafka has no topic ${topic}, or does not show it to us`);
  }
  const asked = parsed.value("partition");
  const [only] = feeds;
  if (asked === undefined && only !== undefined && feeds.length === 1) return only;
  const feed = feeds.find(({ partition }) => String(partition) === asked);
  if (feed !== undefined) return feed;
  throw fail(
    "usage",
    `--partition wants one of the ${feeds.length} of topic ${topic}, counted from 0`,
  );
}

/** An offset, or the first record of a time; null: none is as young; undefined: neither was given. */
async function edgeOf(
  parsed: ParsedArguments,
  name: "from" | "to",
  consumer: FreeConsumer,
  feed: Feed,
): Promise<bigint | null | undefined> {
  const [offset, time] = [parsed.value(name), parsed.value(`${name}-time`)];
  if (offset !== undefined && time !== undefined) {
    throw fail("usage", `--${name} and --${name}-time both say the same: give one`);
  }
  if (offset !== undefined && !/^\d{1,19}$/.test(offset)) {
    throw fail("usage", `--${name} ${offset}: must be an offset`);
  }
  if (offset !== undefined) return BigInt(offset);
  if (time === undefined) return undefined;
  const [found = null] = await consumer.offsetsAt([feed], parseTime(`${name}-time`, time));
  return found;
}

async function committedOf(found: FoundTable, feed: Feed): Promise<bigint> {
  const progress = await searchProgress(found);
  return progress.kind === "readable" ? (offsetOf(progress.document, feed) ?? 0n) : 0n;
}

function jsonOf(report: ReplayReport, { feed, start, end }: OffsetRange): string {
  const value = {
    ...{ topic: feed.topic, partition: feed.partition, from: start, to: end },
    ...{ rows_before: report.before, rows_after: report.after, aside: report.aside },
    refused: Object.fromEntries(report.refused),
    snapshot_id: report.snapshotId,
  };
  return `${writePortableJson(value, 2)}\n`;
}

function textOf(report: ReplayReport, { feed, start, end }: OffsetRange, isDry: boolean): string {
  const { before, after, aside, refused, snapshotId } = report;
  const where = `offsets ${start} to ${end - 1n} of ${feed.topic}/${feed.partition}`;
  const lines = [
    `${before} rows of ${where} ${isDry ? "would be" : "are"} replaced by ${after}` +
      (snapshotId === null ? "" : ` (snapshot ${snapshotId})`),
  ];
  if (aside > 0) lines.push(`${aside} records are dead letters or late rows, and stay there`);
  for (const [reason, count] of refused) {
    lines.push(`${count} records do not fit and are in no table: ${reason}`);
  }
  return `${lines.join("\n")}\n`;
}

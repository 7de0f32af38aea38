/**
 * `check --suggest`: reads a bounded sample of a pipeline's topics, without joining its group, and says
 * what columns the records suggest. Nothing is committed anywhere.
 */
import { type Clock, systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { ignoreObservations } from "#base/events.ts";
import { LIMITS } from "#base/limits.ts";
import { silentLogger } from "#base/log.ts";
import { type FeedKey, feedKey } from "#base/offsets.ts";
import { systemRandom } from "#base/random.ts";
import { utf8Text } from "#base/text.ts";
import type { TopicSuggestion } from "#cli/actions.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import type { FreeConsumer, LogBounds, RecordBatch } from "#consumer/consumer.ts";
import { createKafkaConsumer } from "#consumer/kafkaConsumer.ts";
import { Survey, type SurveyedColumn } from "#decode/json/survey.ts";
import { RecordCursor } from "#decode/records.ts";
import { Shaping } from "#decode/shaping.ts";

/** Topics that are looked at, at most: by name, the first ones. */
const TOPICS_MAX = 20;
/** All samples together end after this, however little has come. */
const WAIT_MS_MAX = 15_000;

/** Reads the newest `schema.infer_rows` records of each topic. */
export async function suggest(options: PipelineOptions): Promise<readonly TopicSuggestion[]> {
  const { format, inferRows, flattenSeparator } = options.decoder;
  const shaping = new Shaping(options.decoder.shaping ?? undefined);
  if (format !== "json") {
    const sentence = `check --suggest reads JSON; the columns of source.format = "${format}" are known without a sample`;
    throw fail("usage", sentence);
  }
  const { groupInstanceId: _, ...others } = options.consumer;
  const consumer = createKafkaConsumer(others, {
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    observe: ignoreObservations,
  });
  try {
    await consumer.open({ join: false });
    const byTopic = Map.groupBy(consumer.feeds(), ({ topic }) => topic);
    const missing = (options.consumer.topics ?? []).find((topic) => !byTopic.has(topic));
    if (missing !== undefined) {
      throw fail("topic_unreadable", `Kafka has no topic ${missing}, or does not show it to us`);
    }
    const topics = [...byTopic.keys()].sort().slice(0, TOPICS_MAX);
    const found: TopicSuggestion[] = [];
    const deadline = new Deadline(systemClock, WAIT_MS_MAX);
    for (const topic of topics) {
      const bounds = await consumer.bounds(byTopic.get(topic) ?? []);
      const survey = await sample(consumer, bounds, inferRows, deadline);
      found.push({
        topic,
        records: survey.documents + survey.unreadable,
        unreadable: survey.unreadable,
        columns: survey.columns(flattenSeparator).flatMap((column) => shapedOf(column, shaping)),
      });
    }
    return found;
  } finally {
    await consumer.close();
  }
}

/** A field's column as `source.transform` leaves it; of one with something shaped inside no type is said. */
function shapedOf(column: SurveyedColumn, shaping: Shaping): SurveyedColumn[] {
  const { name, type } = column;
  if (shaping.ignores(name)) return [];
  const isCovered = shaping.coverOf(name) !== null;
  const isShapedInside = shaping.paths.some(([, path]) => path !== name && path.startsWith(name));
  const shaped = isCovered ? ({ kind: "string" } as const) : isShapedInside ? null : type;
  return [{ ...column, name: shaping.columnName(name, name), type: shaped }];
}

/** Looks at the newest records of these partitions, as many of each. */
async function sample(
  consumer: FreeConsumer,
  bounds: readonly LogBounds[],
  recordsMax: number,
  deadline: Deadline,
): Promise<Survey> {
  const survey = new Survey();
  const share = BigInt(Math.max(1, Math.ceil(recordsMax / Math.max(1, bounds.length))));
  const open = new Map<FeedKey, bigint>();
  const starts = bounds.flatMap(({ feed, logStart, lastStableOffset: end }) => {
    if (end <= logStart) return [];
    open.set(feedKey(feed), end);
    return [{ feed, offset: end - logStart > share ? end - share : logStart }];
  });
  consumer.assign(starts.map(({ feed }) => feed));
  consumer.start(starts);
  let bytes = 0;
  while (open.size > 0 && bytes < LIMITS.sampleBytesMax) {
    const event = await deadline.orNull(() => consumer.next());
    if (event === null) break;
    if (event.type === "batch_corrupt" || event.type === "out_of_range") {
      open.delete(feedKey(event.feed));
      continue;
    }
    if (event.type !== "batch") continue;
    const { batch } = event;
    const end = open.get(batch.key);
    if (end === undefined) continue;
    bytes += look(survey, batch);
    if (batch.nextOffset >= end) open.delete(batch.key);
  }
  consumer.pause(starts.map(({ feed }) => feedKey(feed)));
  return survey;
}

/** Bytes that were looked at. */
function look(survey: Survey, batch: RecordBatch): number {
  const { payload, feed } = batch;
  if (payload === null) return 0;
  const { topic, partition } = feed;
  const cursor = new RecordCursor({ ...batch, payload, topic, partition });
  const wantedDelta = Number(batch.wantedOffset - batch.baseOffset);
  while (cursor.next()) {
    if (cursor.offsetDelta < wantedDelta || cursor.valueStart < 0) continue;
    survey.add(utf8Text(cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)));
  }
  return payload.length;
}

/** A time by which waiting ends. Once it has passed, nothing more is asked for. */
class Deadline {
  readonly #passed: Promise<null>;
  #isOver = false;

  constructor(clock: Clock, ms: number) {
    this.#passed = clock.sleep(ms).then(() => {
      this.#isOver = true;
      return null;
    });
  }

  /** What `ask` answers; null when the time is over first. */
  orNull<T>(ask: () => Promise<T>): Promise<T | null> {
    return this.#isOver ? this.#passed : Promise.race([ask(), this.#passed]);
  }
}

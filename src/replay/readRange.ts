/**
 * Reads the records of an offset range from Kafka once more, without joining a group: the record batches as a
 * pipeline gets them, in order, each once.
 *
 * All of the range must still be there. The log's start is looked at again behind the last batch:
 * retention may have been faster than the reading.
 */
import { fail } from "#base/errors.ts";
import type { Feed, OffsetRange } from "#base/offsets.ts";
import type { ConsumerEvent, FreeConsumer, RecordBatch } from "#consumer/consumer.ts";

/** The part of a consumer that a range is read with. */
export type RangeConsumer = Pick<FreeConsumer, "assign" | "start" | "pause" | "next" | "bounds">;

/**
 * The batches of a range; the first and the last may hold records outside of it. A batch's bytes are valid until the next one is asked
 * for.
 * @throws AppError `progress` when Kafka does not have all of the range any more, `batch_corrupt`,
 *   `topic_unreadable`, and what the consumer throws
 */
export async function* readRange(
  consumer: RangeConsumer,
  { feed, start, end }: OffsetRange,
): AsyncGenerator<RecordBatch> {
  await requireLog(consumer, { feed, start, end });
  consumer.assign([feed]);
  consumer.start([{ feed, offset: start }]);
  for (let position = start; position < end; ) {
    const batch = batchOf(await consumer.next(), feed);
    if (batch === null) continue;
    position = batch.nextOffset;
    yield batch;
  }
  await requireLog(consumer, { feed, start, end });
}

/** The log begins at or below the range, and ends behind it. */
async function requireLog(
  consumer: RangeConsumer,
  { feed, start, end }: OffsetRange,
): Promise<void> {
  const [bounds] = await consumer.bounds([feed]);
  if (bounds === undefined || bounds.logStart > start) {
    const { topic, partition } = feed;
    throw fail(
      "progress",
      `Kafka no longer has the records of ${topic}/${partition} below offset ${bounds?.logStart ?? 0n}: ` +
        "nothing was replaced. Replay what is still there",
      { topic, partition, offset: start },
    );
  }
  // A log that ends too early is waited for by a fetch, for half a minute.
  if (bounds.highWatermark < end) throw endsEarly(feed, bounds.highWatermark);
}

/** Null: nothing of the range. */
function batchOf(event: ConsumerEvent | null, feed: Feed): RecordBatch | null {
  switch (event?.type) {
    case undefined:
      throw fail("kafka_unreachable", "Reading from Kafka has ended before the range");
    case "batch":
      return event.batch;
    case "out_of_range":
      throw endsEarly(feed, event.logEnd);
    case "batch_corrupt":
    case "topic_failed":
      throw event.error;
    case "assigned":
    case "revoked":
    case "trouble":
      return null;
  }
}

function endsEarly({ topic, partition }: Feed, logEnd: bigint): Error {
  return fail(
    "progress",
    `Kafka does not have all of the range of ${topic}/${partition}: its log ends at ${logEnd}, was cut, ` +
      "or retention has passed the range. Nothing was replaced",
    { topic, partition, offset: logEnd },
  );
}

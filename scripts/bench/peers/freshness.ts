/**
 * Produce -> committed at a steady, modest rate: from each record's own timestamp to the first
 * sight of the snapshot that holds it, over every row of the phase.
 */
import { produceEvents } from "../../events/events.ts";
import { createTopic, deleteTopic } from "../../events/topics.ts";
import { launch, withFolder } from "./observe.ts";
import type { Job, Side } from "./side.ts";
import { checkRows, type Freshness } from "./tables.ts";
import { topicRange } from "./topic.ts";

/** How much is produced. */
export interface FreshnessLoad {
  /** Records a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly partitions: number;
}

/** Until these are committed, the side has not started. */
const FIRST_RECORDS = 1000;

/** Starts the side on a new topic, waits for its first commit, then produces and measures. */
export function measureFreshness(
  side: Side,
  job: Omit<Job, "folder" | "topic">,
  load: FreshnessLoad,
): Promise<Freshness> {
  return withFolder(side.name, async (folder) => {
    const { bootstrap } = job;
    const topic = `freshness-${side.name}-${crypto.randomUUID()}`;
    await createTopic(bootstrap, { topic, partitions: load.partitions });
    await produceEvents({ bootstrap, topic, count: FIRST_RECORDS });
    const running = await launch(side, { ...job, folder, topic });
    try {
      await running.finished(FIRST_RECORDS);
      const sinceMs = Date.now();
      const count = load.rate * load.seconds;
      await produceEvents({
        bootstrap,
        topic,
        count,
        first: FIRST_RECORDS,
        rate: load.rate,
        codec: "lz4",
        lingerMs: 5,
      });
      await running.finished(FIRST_RECORDS + count);
      running.head?.stop();
      const seen = Object.fromEntries(
        (running.head?.commits ?? []).map(({ sequence, seenMs }) => [sequence, seenMs]),
      );
      const metadata = running.head?.metadata() ?? "";
      const partitions = await topicRange(bootstrap, topic);
      const check = { metadata, partitions, coordinates: true, codec: job.codec, seen, sinceMs };
      const { freshness, violations } = await checkRows(check);
      if (freshness === undefined || violations.length > 0) {
        throw new Error(`${side.name} has wrong rows:\n${violations.join("\n")}`);
      }
      return freshness;
    } finally {
      await running.kill();
      await deleteTopic(bootstrap, topic);
    }
  });
}

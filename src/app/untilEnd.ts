/**
 * `run --until-end`: waits until everything that the topics held at the start, up to the last stable
 * offset, is in the tables.
 */
import type { Clock } from "#base/clock.ts";
import { policyOf } from "#base/errors.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import type { Consumer } from "#consumer/consumer.ts";
import type { Pipeline } from "#pipeline.ts";

const POLL_MS = 50;
/** Partitions that other members read are looked up in the table this often. */
const TABLE_POLL_MS = 1000;

/** Resolves when every partition's committed offset has reached the end, or its table has stopped. */
export async function untilEnd(
  consumer: Consumer,
  pipeline: Pipeline,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const bounds = await consumer.bounds(consumer.feeds());
  let open = bounds.map(({ feed, lastStableOffset }) => ({ feed, end: lastStableOffset }));
  let lookedMs = clock.monotonicMs();
  while (open.length > 0 && !signal.aborted) {
    open = open.filter(({ feed, end }) => !reached(pipeline, feed, end));
    pipeline.hurry(open);
    if (clock.monotonicMs() - lookedMs >= TABLE_POLL_MS) {
      lookedMs = clock.monotonicMs();
      open = await notInTable(pipeline, open);
    }
    if (open.length > 0) await clock.sleep(POLL_MS, signal);
  }
}

function reached(pipeline: Pipeline, feed: Feed, end: bigint): boolean {
  const run = pipeline.feeds.get(feedKey(feed));
  if (run === undefined) return false;
  if (run.stopped !== null || run.table.state.kind === "stopped") return true;
  return run.epoch > 0 && run.committed >= end;
}

type Open = { readonly feed: Feed; readonly end: bigint };

/** Asks the tables about partitions that this process does not read. */
async function notInTable(pipeline: Pipeline, open: Open[]): Promise<Open[]> {
  const still: Open[] = [];
  for (const each of open) {
    const mine = pipeline.feeds.get(feedKey(each.feed)) !== undefined;
    const table = mine ? undefined : pipeline.tableFor(each.feed);
    const positions = await table?.writer?.positions([each.feed]).catch((error: unknown) => {
      if (policyOf(error).action !== "again") throw error;
      return [null];
    });
    const committed = positions?.[0] ?? null;
    if (committed === null || committed < each.end) still.push(each);
  }
  return still;
}

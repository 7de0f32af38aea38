/**
 * Stops that only a person may answer, kept in the table so that no later process reads on: a
 * partition's log ended before its committed offset, and no leader epoch is known that would show it
 * once the log has grown past that offset (decisions 0190, 0240).
 *
 * Each is a table property of its own, so that two processes never write each other's away. It holds
 * for as long as the table's offset of that topic id is not past the one that it was kept with.
 */
import { fail } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { MetadataChange } from "./change.ts";
import { sourceKey } from "./progressDocument.ts";
import { propertiesChange } from "./properties.ts";

/** What the names of the properties begin with; branch, topic and partition follow. */
const PROPERTY = "kafka-iceberg.stopped.";
/** Their values: topic id, table's offset, end of the log. */
const KEPT = /^topic (\S+) offset (\d+) log-end (\d+)$/;

/** A log that ended before what the table has of it. */
export interface KeptStop {
  readonly feed: Feed;
  /** The table's offset: what it has, or will have once its rows are written. */
  readonly offset: bigint;
  /** Where the log ended. */
  readonly logEnd: bigint;
}

function propertyOf(branch: string, feed: Feed): string {
  return `${PROPERTY}${branch}.${sourceKey(feed)}/${feed.partition}`;
}

/**
 * Where the log of a feed ended that nobody has answered for yet; null: nothing is kept that holds.
 * @throws AppError `progress` for a property that is not ours
 */
export function keptLogEnd(
  { metadata }: LoadedTable,
  branch: string,
  feed: Feed,
  committed: bigint,
): bigint | null {
  const name = propertyOf(branch, feed);
  const text = metadata.properties[name];
  if (text === undefined) return null;
  const found = KEPT.exec(text);
  if (found === null) throw fail("progress", `The table property ${name} is damaged: remove it`);
  const [, topicId, offset = "", logEnd = ""] = found;
  return topicId === feed.topicId && committed <= BigInt(offset) ? BigInt(logEnd) : null;
}

/** Names of the properties of a branch's kept stops; default: of all topics and partitions. */
export function keptStopProperties(
  { metadata }: LoadedTable,
  branch: string,
  isMeant: (topic: string, partition: number) => boolean = () => true,
): string[] {
  const start = `${PROPERTY}${branch}.`;
  return Object.keys(metadata.properties).filter((name) => {
    if (!name.startsWith(start)) return false;
    const [, topic = "", partition] = name.slice(start.length).split("/");
    return isMeant(topic, Number(partition));
  });
}

/** Keeps a stop in the table. */
export function keepStopChange(branch: string, { feed, offset, logEnd }: KeptStop): MetadataChange {
  const name = propertyOf(branch, feed);
  const text = `topic ${feed.topicId} offset ${offset} log-end ${logEnd}`;
  return propertiesChange(({ metadata }) =>
    metadata.properties[name] === text
      ? null
      : { action: "set-properties", properties: { [name]: text } },
  );
}

/** Takes kept stops out of the table, once a person has answered. */
export function clearStopsChange(names: (head: LoadedTable) => readonly string[]): MetadataChange {
  return propertiesChange((head) => {
    const keys = names(head);
    return keys.length === 0 ? null : { action: "remove-properties", keys };
  });
}

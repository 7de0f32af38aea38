/**
 * Which pipelines of the process read which cluster as which group. Two of them in one group would
 * share partitions, so that each table missed the other's records without a word: the second one is
 * refused. The configuration is looked at before (`config/combinations.ts`); here the clusters have
 * said their ids, so that two spellings of one broker count as one.
 */
import { fail } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";

/** What a pipeline reads. */
export interface Reader {
  readonly pipeline: string;
  readonly group: string;
  /** True: it takes every topic that matches, also those that appear later. */
  readonly byPattern: boolean;
  /** Every partition of its topics. */
  readonly feeds: readonly Feed[];
}

/** The readers of one process. */
export class Readers {
  readonly #known = new Map<string, { readonly reader: Reader; readonly topics: Set<string> }>();

  /**
   * Takes a pipeline in.
   * @throws AppError `usage` when another one reads the same topics of the same cluster as the same
   * group, or might once topics appear
   */
  add(reader: Reader): void {
    const topics = new Set(reader.feeds.map(({ clusterId, topic }) => `${clusterId}/${topic}`));
    const clusters = clustersOf(topics);
    for (const other of this.#known.values()) {
      const { pipeline, group, byPattern } = other.reader;
      if (pipeline === reader.pipeline || group !== reader.group) continue;
      const sameCluster = !clusters.isDisjointFrom(clustersOf(other.topics));
      const sharesTopics = !topics.isDisjointFrom(other.topics);
      if (!sharesTopics && !(sameCluster && byPattern && reader.byPattern)) continue;
      throw fail(
        "usage",
        `Pipelines ${pipeline} and ${reader.pipeline} read the same Kafka cluster as group ` +
          `${group}, so that each would get only a part of the partitions: give each its own ` +
          "kafka.consumer_group",
      );
    }
    this.#known.set(reader.pipeline, { reader, topics });
  }

  /** Takes a pipeline out that has ended. */
  remove(pipeline: string): void {
    this.#known.delete(pipeline);
  }
}

function clustersOf(topics: ReadonlySet<string>): Set<string> {
  return new Set([...topics].map((each) => each.slice(0, each.indexOf("/"))));
}

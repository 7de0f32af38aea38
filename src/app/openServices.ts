/**
 * What a running pipeline asks of its services' side: the stores, the catalog behind its circuit breaker,
 * a cache of the catalog for those who only read, its consumer, and the topic of its dead letters.
 */
import type { Clock } from "#base/clock.ts";
import type { Disk } from "#base/disk.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { type GuardedCatalog, guardedCatalog } from "#catalog/guard.ts";
import { withLatestViews } from "#catalog/latestViews.ts";
import { createMetadataCache, type MetadataCache } from "#catalog/metadataCache.ts";
import { openCatalog } from "#catalog/open.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import { queueBytesOf } from "#config/memory.ts";
import type { Consumer } from "#consumer/consumer.ts";
import { createKafkaConsumer } from "#consumer/kafkaConsumer.ts";
import { TopicProducer } from "#consumer/produce/topicProducer.ts";
import { LetterTopic } from "#pipeline/letterTopic.ts";
import { createGate } from "#storage/gate.ts";
import { openStorage } from "#storage/open.ts";
import type { Storage } from "#storage/storage.ts";
import { type VendedStore, withVended } from "#storage/vended.ts";

/** What they are opened with. */
export interface ServiceParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Logger;
  readonly observe: Observe;
}

/** The opened services; `catalog.open` connects. */
export interface OpenServices {
  readonly storage: Storage;
  readonly catalog: GuardedCatalog;
  readonly cache: MetadataCache;
}

/** Opens them; nothing is sent yet. All stores of a pipeline share one bound on their requests. */
export function openServices(
  {
    storage: stores,
    catalog: options,
    catalogGuard,
    metadataCache,
  }: Pick<PipelineOptions, "storage" | "catalog" | "catalogGuard" | "metadataCache">,
  parts: ServiceParts,
): OpenServices {
  const bounded = { ...parts, gate: createGate(stores.requestsMax) };
  const storage = openStorage(stores, bounded);
  const storageWith = (vended: VendedStore): Storage =>
    openStorage(withVended(stores, vended), bounded);
  const opened = openCatalog(options, { ...parts, storage, storageWith });
  const load: GuardedCatalog["load"] = (name) => catalog.load(name);
  const cache = createMetadataCache(metadataCache, { ...parts, catalog: { load } });
  const watched = withLatestViews(cache.watched(opened), parts);
  const catalog = guardedCatalog(watched, catalogGuard, parts);
  return { storage, catalog, cache };
}

/** The consumer of a pipeline; what it may hold beside a hot buffer of so many bytes goes by that. */
export function consumerOf(
  { consumer }: Pick<PipelineOptions, "consumer">,
  bufferBytesMax: number,
  parts: ServiceParts,
): Consumer {
  return createKafkaConsumer({ ...consumer, queueBytesMax: queueBytesOf(bufferBytesMax) }, parts);
}

/** The dead-letter topic of a pipeline; null: its letters go elsewhere. */
export function letterTopicOf(
  { letterTopic, consumer }: Pick<PipelineOptions, "letterTopic" | "consumer">,
  parts: ServiceParts,
): LetterTopic | null {
  if (letterTopic === null) return null;
  return new LetterTopic(new TopicProducer(consumer, letterTopic, parts));
}

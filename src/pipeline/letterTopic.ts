/**
 * Rejected records on their way into a Kafka topic (`dead_letter.action = "topic"`): as they came, with
 * headers that say where they are from and why they are there.
 *
 * At least once: no table's offset passes a record before the topic has it (`commits.ts` asks), and a
 * record that is read again is put there again. Its headers name its topic's id, partition and offset.
 */
import { LIMITS } from "#base/limits.ts";
import type { Feed } from "#base/offsets.ts";
import type { FramedHeader } from "#base/recordFrames.ts";
import type { ProducedRecord } from "#consumer/produce/recordBatch.ts";
import type { Rejected } from "#decode/decoder.ts";
import { NO_TIMESTAMP } from "#decode/metadata.ts";
import { headersOf } from "#decode/records.ts";
import type { Sink } from "./sink.ts";

/** What puts records into the topic; `TopicProducer` has the words. */
export interface LetterProducer {
  readonly topic: string;
  readonly waitingBytes: number;
  open(): Promise<void>;
  put(number: number, record: ProducedRecord, smaller: ProducedRecord | null): number;
  delivered(ticket: number): Promise<void>;
  /** Called with why records wait, at each try that failed. */
  troubled: (error: unknown) => void;
  close(): void;
}

/** What our headers begin with. */
const PREFIX = "kafka-iceberg.";

const encoder = new TextEncoder();

/** The dead-letter topic of a pipeline. */
export class LetterTopic {
  readonly #producer: LetterProducer;
  /** The last ticket of each table with letters on their way. */
  readonly #tickets = new Map<Sink, number>();

  /** Cuts that wait for their letters. */
  readonly #waiting = new Set<readonly Sink[]>();

  constructor(producer: LetterProducer) {
    this.#producer = producer;
    producer.troubled = (error) => this.#hold(error);
  }

  get name(): string {
    return this.#producer.topic;
  }

  /** Throws `kafka_unreachable`, and `kafka_refused` when there is no such topic for us. */
  open(): Promise<void> {
    return this.#producer.open();
  }

  /** Takes rejected records of a table, those of a partition in their order; their bytes are copied. */
  put(sink: Sink, feed: Feed, rejected: readonly Rejected[]): void {
    for (const each of rejected) {
      const { whole, smaller } = letterRecords(each, feed.topicId, sink.name);
      this.#tickets.set(sink, this.#producer.put(feed.partition, whole, smaller));
    }
  }

  /**
   * Null when the topic has all letters of these tables, else what to wait for: it throws what stops them,
   * and `kafka_unreachable` at the end of the process.
   */
  delivered(sinks: readonly Sink[]): Promise<void> | null {
    const own = sinks.flatMap((sink) => this.#tickets.get(sink) ?? []);
    if (own.length === 0) return null;
    const last = Math.max(...own);
    this.#waiting.add(sinks);
    const delivered = this.#producer.delivered(last).then(() => {
      for (const sink of sinks) {
        if ((this.#tickets.get(sink) ?? 0) <= last) this.#tickets.delete(sink);
      }
    });
    return delivered.finally(() => this.#waiting.delete(sinks));
  }

  /** True while so many letters are on their way that nothing more may be read. */
  get isFull(): boolean {
    return this.#producer.waitingBytes > LIMITS.lettersBytesMax;
  }

  /** Tables whose commits wait say why, until their flush has gone through. */
  #hold(cause: unknown): void {
    for (const sinks of this.#waiting) {
      for (const sink of sinks) {
        const { kind } = sink.state;
        if (sink.sealed && kind !== "paused") sink.apply({ kind: "held", cause });
      }
    }
  }

  close(): void {
    this.#producer.close();
  }
}

/** A letter as a record, and the same without what may be too large for the topic. */
export function letterRecords(
  { topic, partition, offset, timestampMs, reason, detail, record }: Rejected,
  topicId: string,
  table: string,
): { readonly whole: ProducedRecord; readonly smaller: ProducedRecord } {
  const about = [
    header("table", table),
    header("topic", topic),
    header("topic-id", topicId),
    header("partition", String(partition)),
    header("offset", String(offset)),
    ...(timestampMs === NO_TIMESTAMP ? [] : [header("timestamp", String(timestampMs))]),
    header("reason", reason),
    header("detail", detail),
  ];
  const own = (headersOf(record.headers) ?? []).map(({ key, value }) => {
    return { key: key.slice(), value: value?.slice() ?? null };
  });
  const key = record.key?.slice() ?? null;
  const bytes = header("value-bytes", String(record.value?.length ?? 0));
  return {
    whole: { key, value: record.value?.slice() ?? null, headers: [...own, ...about] },
    smaller: { key: null, value: null, headers: [...about, bytes] },
  };
}

function header(name: string, text: string): FramedHeader {
  return { key: encoder.encode(PREFIX + name), value: encoder.encode(text.toWellFormed()) };
}

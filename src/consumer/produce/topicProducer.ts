/**
 * Puts records into one topic, each at least once: what was taken is sent until all replicas in sync have
 * it. One request is under way at a time, so that the records of a partition keep their order.
 *
 * A request whose answer is lost is sent again, and its records may be there twice.
 */
import type { Clock } from "#base/clock.ts";
import { AppError, describe, fail, kindOf, policyOf } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import { LIMITS } from "#base/limits.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { backoffMs } from "#base/retry.ts";
import { type KafkaConsumerOptions, withDefaults } from "#consumer/options.ts";
import { AnswerBuffers } from "#consumer/wire/answers.ts";
import { Cluster } from "#consumer/wire/cluster.ts";
import { CODE, codeName } from "#consumer/wire/codes.ts";
import { checkKafkajs } from "#consumer/wire/kafkajs.ts";
import { metadataRequest } from "#consumer/wire/metadataRequest.ts";
import { produceRequest } from "./produceRequest.ts";
import { encodeBatch, type ProducedRecord } from "./recordBatch.ts";

/** A record on its way. */
interface Waiting {
  /** Records of one number go into one partition, in their order. */
  readonly number: number;
  record: ProducedRecord;
  /** What is sent in its place where the topic refuses it as too large; null: nothing would help. */
  smaller: ProducedRecord | null;
  readonly bytes: number;
  isThere: boolean;
}

const ANSWER_BYTES = 64 * 1024;
const BACKOFF = { retriesMax: 0, baseDelayMs: 100, delayMsMax: 5000 };
/** Answers after which the same is sent again: leaders move, replicas are away. */
const AGAIN: ReadonlySet<number> = new Set([3, 5, 6, 7, 13, 19, 20, 56]);
/** MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE. */
const TOO_LARGE: ReadonlySet<number> = new Set([10, 18]);

/** A topic that is refused for so long is not waited for: one that was created a moment ago is not everywhere yet. */
const REFUSED_MS_MAX = 60_000;

/** What a producer is made of. */
interface ProducerParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observe: Observe;
}

/** Records into a topic. */
export class TopicProducer {
  readonly topic: string;
  /** Called with why records wait, at each try that failed. Default: nobody. */
  troubled: (error: unknown) => void = () => undefined;
  readonly #cluster: Cluster;
  readonly #parts: ProducerParts;
  readonly #closed: AbortController = new AbortController();
  /** In the order in which they came. */
  #queue: Waiting[] = [];
  #leaders: ReadonlyMap<number, number> = new Map();
  #isSending = false;
  /** Less than the limit where the topic takes none of that size. */
  #requestBytesMax: number = LIMITS.produceBytesMax;
  #taken = 0;
  #delivered = 0;
  #bytes = 0;
  #error: AppError | null = null;
  /** The topic is not there, or not for us, since then (monotonic). */
  #refusal: { readonly error: AppError; readonly sinceMs: number } | null = null;
  #moved: PromiseWithResolvers<void> = Promise.withResolvers();

  /** Nothing is connected before `open` or the first record. */
  constructor(options: KafkaConsumerOptions, topic: string, parts: ProducerParts) {
    checkKafkajs();
    const buffers = new AnswerBuffers(ANSWER_BYTES, ANSWER_BYTES);
    this.topic = topic;
    this.#parts = parts;
    this.#cluster = new Cluster(withDefaults(options), { ...parts, buffers });
  }

  /**
   * Looks whether the topic is there.
   * @throws AppError `kafka_unreachable`, `kafka_refused` when it does not exist or is not for us
   */
  async open(): Promise<void> {
    const answer = await this.#cluster.sendAny(metadataRequest([this.topic]));
    this.#cluster.setBrokers(answer.brokers);
    const [found] = answer.topics;
    const code = found?.code ?? CODE.unknownTopicOrPartition;
    if (code === CODE.none) this.#leaders = found?.leaders ?? new Map();
    else if (code === CODE.leaderNotAvailable) throw this.#away(code);
    else throw this.#refused(code);
  }

  /** Bytes of records that were taken and are not there yet. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /**
   * Takes a record; a ticket for `delivered`.
   * @param number records of one number go into one partition
   * @param smaller sent in its place where the topic takes no record of its size
   */
  put(number: number, record: ProducedRecord, smaller: ProducedRecord | null): number {
    // Who asks for it is told why it never will be there.
    if (this.#error !== null) return ++this.#taken;
    const headers = record.headers.reduce(
      (sum, { key, value }) => sum + key.length + sizeOf(value),
      0,
    );
    const bytes = sizeOf(record.key) + sizeOf(record.value) + headers;
    this.#queue.push({ number, record, smaller, bytes, isThere: false });
    this.#bytes += bytes;
    if (!this.#isSending) void this.#run();
    return ++this.#taken;
  }

  /**
   * Resolves when the record of a ticket and all before it are in the topic; waits for as long as the
   * topic cannot be reached, or until `close`. Throws `kafka_refused` when they never will be: also after a
   * minute in which the topic was not there.
   */
  async delivered(ticket: number): Promise<void> {
    await this.#until(() => this.#delivered >= ticket);
    if (this.#delivered < ticket) throw fail("kafka_unreachable", "The producer is closed");
  }

  /** Ends; what is not delivered is not waited for. */
  close(): void {
    this.#closed.abort();
    this.#cluster.close();
    this.#tell();
  }

  async #until(isReached: () => boolean): Promise<void> {
    while (!isReached() && !this.#closed.signal.aborted) {
      if (this.#error !== null) throw this.#error;
      await this.#moved.promise;
    }
  }

  #tell(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    this.#isSending = true;
    for (let failures = 0; this.#queue.length > 0 && !signal.aborted; ) {
      try {
        await this.#send(this.#next());
        failures = 0;
        this.#refusal = null;
      } catch (error) {
        if (signal.aborted) break;
        await this.#failed(error, failures++);
      }
      this.#settle();
    }
    this.#isSending = false;
    this.#tell();
  }

  /** Gives up, or waits for the next try. */
  async #failed(error: unknown, failures: number): Promise<void> {
    if (policyOf(error).action === "again") {
      await this.#waitFor(this.#refusal?.error ?? error, failures);
      return;
    }
    const isOurs = error instanceof AppError;
    this.#giveUp(isOurs ? error : fail("internal", "Letters cannot be sent", {}, error));
  }

  /** Tells why records wait, and after a while looks whether the topic is there for us. */
  async #waitFor(error: unknown, failures: number): Promise<void> {
    const { clock, random, log, observe } = this.#parts;
    const { signal } = this.#closed;
    observe({ type: "error", kind: kindOf(error) });
    const what = `Dead letters wait for topic ${this.topic}: ${describe(error)}`;
    log.log("warn", what, { topic: this.topic });
    this.troubled(error);
    await clock.sleep(backoffMs(BACKOFF, failures, random), signal);
    try {
      await this.open();
      this.#refusal = null;
    } catch (refusal) {
      if (signal.aborted || !(refusal instanceof AppError)) return;
      if (policyOf(refusal).action === "again") return;
      const nowMs = clock.monotonicMs();
      const sinceMs = this.#refusal?.sinceMs ?? nowMs;
      this.#refusal = { error: refusal, sinceMs };
      if (nowMs - sinceMs >= REFUSED_MS_MAX) this.#giveUp(refusal);
    }
  }

  /** What waits will never be there: who asks for it is told, and it holds nobody up. */
  #giveUp(error: AppError): void {
    this.#error = error;
    this.#queue = [];
    this.#bytes = 0;
  }

  /** What goes into the next request: at least one record. */
  #next(): Waiting[] {
    const waiting = this.#queue.filter(({ isThere }) => !isThere);
    let bytes = 0;
    const end = waiting.findIndex((each, index) => {
      bytes += each.bytes;
      return index > 0 && bytes > this.#requestBytesMax;
    });
    return waiting.slice(0, end < 0 ? undefined : end);
  }

  async #send(records: readonly Waiting[]): Promise<void> {
    if (this.#leaders.size === 0) await this.open();
    const count = this.#leaders.size;
    if (count === 0) throw this.#away(CODE.leaderNotAvailable);
    const nowMs = this.#parts.clock.nowMs();
    const byPartition = Map.groupBy(records, ({ number }) => number % count);
    const byLeader = Map.groupBy(byPartition.keys(), (each) => this.#leaders.get(each) ?? -1);
    for (const [leader, partitions] of byLeader) {
      if (leader < 0) throw this.#away(CODE.leaderNotAvailable);
      const batches = partitions.map((partition) => {
        const own = (byPartition.get(partition) ?? []).map(({ record }) => record);
        return { partition, bytes: encodeBatch(own, nowMs) };
      });
      const answers = await this.#cluster.send(
        leader,
        "produce",
        produceRequest(this.topic, batches),
      );
      for (const { partition, code } of answers) this.#note(byPartition.get(partition) ?? [], code);
    }
  }

  #note(records: readonly Waiting[], code: number): void {
    if (code === CODE.none) {
      for (const each of records) each.isThere = true;
    } else if (AGAIN.has(code)) {
      throw this.#away(code);
    } else if (TOO_LARGE.has(code) && records.length > 1) {
      this.#requestBytesMax = Math.floor(this.#requestBytesMax / 4);
    } else {
      const [only] = records;
      if (!TOO_LARGE.has(code) || only?.smaller == null) throw this.#refused(code);
      only.record = only.smaller;
      only.smaller = null;
    }
  }

  /** Counts what is there, from the first on: a ticket stands for all before it. */
  #settle(): void {
    const first = this.#queue.findIndex(({ isThere }) => !isThere);
    const gone = this.#queue.splice(0, first < 0 ? this.#queue.length : first);
    for (const { bytes } of gone) this.#bytes -= bytes;
    this.#delivered += gone.length;
    if (gone.length === 0) return;
    this.#requestBytesMax = Math.min(
      Math.max(1, this.#requestBytesMax) * 2,
      LIMITS.produceBytesMax,
    );
    this.#tell();
  }

  #away(code: number): AppError {
    const sentence = `Kafka does not take records for topic ${this.topic} now (${codeName(code)})`;
    return fail("kafka_unreachable", sentence, { topic: this.topic, code });
  }

  #refused(code: number): AppError {
    const help =
      code === CODE.unknownTopicOrPartition
        ? "create it, or name another one with dead_letter.topic"
        : "see to its rights and settings";
    const sentence = `Kafka refuses records for topic ${this.topic} (${codeName(code)}): ${help}`;
    return fail("kafka_refused", sentence, { topic: this.topic, code });
  }
}

function sizeOf(bytes: Uint8Array | null): number {
  return bytes?.length ?? 0;
}

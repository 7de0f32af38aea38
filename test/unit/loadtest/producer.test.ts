/**
 * The pace of a producer, on a clock that the test turns.
 */
import { describe, expect, test } from "bun:test";
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { PartitionBatch, ProduceAnswer } from "#consumer/produce/produceRequest.ts";
import { type ProduceJob, type Progress, produce } from "#loadtest/producer.ts";
import { rejection } from "../../support/rejection.ts";

const START_MS = 1_767_225_600_000;
const BATCH_BYTES = 65_536;

/** A cluster that takes `bytesPerMs`, on a clock that only sleeping and waiting move. */
class Bench {
  readonly sent: { readonly leader: number; readonly partition: number; readonly atMs: number }[] =
    [];
  readonly shown: Progress[] = [];
  /** Error code of the n-th answer. */
  codes: readonly number[] = [];
  readonly #ends = new Map<number, bigint>();
  readonly #bytesPerMs: number;
  readonly #rows: number;
  #nowMs = 0;
  #busyUntilMs = 0;
  #open: { readonly atMs: number; readonly done: () => void }[] = [];

  constructor(rows: number, bytesPerMs: number) {
    this.#rows = rows;
    this.#bytesPerMs = bytesPerMs;
  }

  readonly clock: Clock = {
    nowMs: () => START_MS + this.#nowMs,
    monotonicMs: () => this.#nowMs,
    sleep: (ms) => this.#pass(ms),
    turn: () => this.#pass(0.01),
  };

  /** What happens while somebody waits; answers arrive in the order of the requests. */
  async #pass(ms: number): Promise<void> {
    this.#nowMs += ms;
    const due = this.#open.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#open = this.#open.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { done } of due) done();
    for (let turns = 0; turns < 10; turns++) await Promise.resolve();
  }

  send(leader: number, batches: readonly PartitionBatch[]): Promise<readonly ProduceAnswer[]> {
    const code = this.codes[this.sent.length] ?? 0;
    const answers = batches.map(({ partition }) => {
      this.sent.push({ leader, partition, atMs: this.#nowMs });
      const baseOffset = this.#ends.get(partition) ?? 0n;
      this.#ends.set(partition, baseOffset + BigInt(this.#rows));
      return { partition, code, baseOffset };
    });
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#nowMs) + bytes / this.#bytesPerMs;
    const { promise, resolve } = Promise.withResolvers<readonly ProduceAnswer[]>();
    this.#open.push({ atMs: this.#busyUntilMs, done: () => resolve(answers) });
    return promise;
  }

  /** Lets time pass while the producer waits for nothing but answers. */
  async run(job: ProduceJob, stop: AbortSignal = new AbortController().signal) {
    const stamps: number[] = [];
    const batch = (timestampMs: number): Uint8Array => {
      stamps.push(timestampMs);
      return new Uint8Array(BATCH_BYTES);
    };
    const result = produce(
      job,
      {
        clock: this.clock,
        batch,
        send: (leader, batches) => this.send(leader, batches),
        progress: (progress) => this.shown.push(progress),
      },
      stop,
    );
    let ended = false;
    const end = (): void => {
      ended = true;
    };
    result.then(end, end);
    while (!ended) {
      // Real turns, so that the producer's own steps come first; they move the clock themselves.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#open.length > 0) await this.#pass(0.5);
    }
    return { ...(await result), stamps };
  }
}

const job = (more: Partial<ProduceJob>): ProduceJob => ({
  rate: 100_000,
  seconds: 2,
  rowsPerBatch: 500,
  leaders: new Map([
    [0, 1],
    [1, 2],
    [2, 1],
  ]),
  ...more,
});

describe("the producer", () => {
  test("sends what was asked for, evenly, and not before its time", async () => {
    const bench = new Bench(500, 1_000_000);
    const { rows, ends, beganMs, endedMs } = await bench.run(job({}));
    expect(rows).toBe(200_000);
    expect([...ends.values()].reduce((sum, end) => sum + end)).toBe(200_000n);
    expect(endedMs - beganMs).toBeWithin(1950, 2100);
    bench.sent.forEach(({ atMs }, i) => {
      expect(i * 500).toBeLessThanOrEqual((atMs / 1000) * 100_000 + 500);
    });
    for (const { behindMs } of bench.shown) expect(behindMs).toBeLessThan(50);
  });

  test("gives every partition its turn, at the broker that leads it", async () => {
    const bench = new Bench(500, 1_000_000);
    const { ends } = await bench.run(job({ seconds: 0.3 }));
    expect([...ends]).toEqual([
      [0, 10_000n],
      [1, 10_000n],
      [2, 10_000n],
    ]);
    for (const { leader, partition } of bench.sent) expect(leader).toBe(partition === 1 ? 2 : 1);
  });

  test("stamps events with the time of sending, also when it is late", async () => {
    const { stamps, beganMs, endedMs } = await new Bench(500, 2000).run(job({}));
    expect([...stamps].sort((a, b) => a - b)).toEqual(stamps);
    expect(stamps.at(-1)).toBeWithin(beganMs, endedMs + 1);
  });

  test("ends when the time is over although the brokers took less, and says how late it is", async () => {
    const bench = new Bench(500, 2000);
    const { rows, beganMs, endedMs } = await bench.run(job({ rate: 1_000_000 }));
    expect(rows).toBeLessThan(200_000);
    expect(rows).toBe(bench.sent.length * 500);
    const unsentMs = (8 * 1024 * 1024) / 2000;
    expect(endedMs - beganMs).toBeLessThan(2000 + unsentMs + 500);
    expect(bench.shown.at(-1)?.behindMs).toBeGreaterThan(1500);
  });

  test("ends early when it is stopped, with all that it sent acknowledged", async () => {
    const bench = new Bench(500, 1_000_000);
    const stop = new AbortController();
    const send = bench.send.bind(bench);
    bench.send = (leader, batches) => {
      if (bench.sent.length >= 100) stop.abort();
      return send(leader, batches);
    };
    const { rows } = await bench.run(job({ seconds: 3600 }), stop.signal);
    expect(rows).toBe(bench.sent.length * 500);
    expect(bench.sent.length).toBeWithin(100, 105);
  });

  test("ends with an error as soon as a batch is refused: nothing is sent twice", async () => {
    const bench = new Bench(500, 1_000_000);
    bench.codes = [0, 0, 19];
    const failing = bench.run(job({ seconds: 3600 }));
    expect((await rejection(failing)).message).toContain(
      "Kafka refused what was produced to partition",
    );
  });

  test("ends with the error of a connection", async () => {
    const bench = new Bench(500, 1_000_000);
    bench.send = () => Promise.reject(fail("kafka_unreachable", "No answer"));
    expect((await rejection(bench.run(job({})))).message).toContain("No answer");
  });
});

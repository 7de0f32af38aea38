import { expect, test } from "bun:test";
import { LIMITS } from "#base/limits.ts";
import { queueBytesOf } from "#config/memory.ts";
import { answerBytesMax, largestAnswerBytes } from "#consumer/fetch/fetcher.ts";

const MIB = 1024 * 1024;

test("one broker is asked for large answers, and never for more than the configuration says", () => {
  const queueBytesMax = LIMITS.fetchQueueBytesMax;
  expect(answerBytesMax(2, { queueBytesMax, fetchBytesMax: 32 * MIB })).toBe(4 * MIB);
  expect(answerBytesMax(2, { queueBytesMax, fetchBytesMax: 1000 })).toBe(1000);
});

test("beside a small buffer answers are smaller: memory is used again when all of an answer is read", () => {
  const queueBytesMax = queueBytesOf(128 * MIB);
  expect(answerBytesMax(2, { queueBytesMax, fetchBytesMax: 32 * MIB })).toBe(2 * MIB);
  expect(largestAnswerBytes({ queueBytesMax })).toBe(2 * MIB);
});

test("long polls to many quiet brokers leave half of the queue to the answers of others", () => {
  for (const buffer of [1, 128, 192, 500, 10_000]) {
    const queueBytesMax = queueBytesOf(buffer * MIB);
    expect(queueBytesMax).toBeLessThanOrEqual(LIMITS.fetchQueueBytesMax);
    for (let brokers = 1; brokers <= 64; brokers++) {
      const each = answerBytesMax(2 * brokers, { queueBytesMax, fetchBytesMax: 32 * MIB });
      expect(brokers * each).toBeLessThanOrEqual(queueBytesMax / 2);
    }
  }
});

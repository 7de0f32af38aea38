import { expect, test } from "bun:test";
import { LIMITS } from "#base/limits.ts";
import { ANSWER_BYTES_MAX, answerBytesMax } from "#consumer/fetch/fetcher.ts";

const MIB = 1024 * 1024;

test("one broker is asked for large answers, and never for more than the configuration says", () => {
  expect(answerBytesMax(2, 32 * MIB)).toBe(ANSWER_BYTES_MAX);
  expect(answerBytesMax(2, 1000)).toBe(1000);
});

test("long polls to a hundred quiet brokers leave half of the queue to the answers of others", () => {
  for (let brokers = 1; brokers <= 100; brokers++) {
    const polls = brokers * answerBytesMax(2 * brokers, 32 * MIB);
    expect(polls).toBeLessThanOrEqual(LIMITS.fetchQueueBytesMax / 2);
  }
});

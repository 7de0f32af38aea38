import { expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from "#consumer/group/subscription.ts";
import { Writer } from "#consumer/wire/wire.ts";

test("a subscription comes back as it was, whatever its nonce", () => {
  const subscription = {
    topics: ["a", "b"],
    owned: [
      { topic: "a", partition: 3 },
      { topic: "a", partition: 0 },
      { topic: "b", partition: 7 },
    ],
    generation: 12,
  };
  expect(decodeSubscription(encodeSubscription(subscription, "n1"))).toEqual(subscription);
  expect(encodeSubscription(subscription, "n1")).not.toEqual(
    encodeSubscription(subscription, "n2"),
  );
});

test("a subscription of an older version owns nothing", () => {
  const w = new Writer().int16(0);
  w.array(["a"], (topic) => w.string(topic));
  w.bytes(new Uint8Array(0));
  expect(decodeSubscription(w.finish())).toEqual({ topics: ["a"], owned: [], generation: -1 });
});

test("an assignment comes back with the topics as its leader saw them", () => {
  const assignment = {
    partitions: [{ topic: "a", partition: 1 }],
    topics: [{ topic: "a", topicId: "id-a", partitions: 2 }],
  };
  expect(decodeAssignment(encodeAssignment(assignment))).toEqual(assignment);
  expect(decodeAssignment(new Uint8Array(0))).toEqual({ partitions: [], topics: [] });
});

test("an assignment that another program wrote is refused, not misread", () => {
  const w = new Writer().int16(0);
  w.array([], () => undefined);
  w.bytes(Buffer.from("\u0001\u0002"));
  try {
    decodeAssignment(w.finish());
    throw new Error("it was read");
  } catch (error) {
    expect(kindOf(error)).toBe("kafka_refused");
  }
});

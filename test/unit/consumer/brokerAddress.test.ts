import { describe, expect, test } from "bun:test";
import { parseBrokerAddress, splitServers } from "#consumer/wire/brokerAddress.ts";

describe("parseBrokerAddress()", () => {
  for (const [text, host, port] of [
    ["localhost:9092", "localhost", 9092],
    ["kafka_1.internal:1", "kafka_1.internal", 1],
    ["b-1.msk.eu-west-1.amazonaws.com.:65535", "b-1.msk.eu-west-1.amazonaws.com.", 65_535],
    ["10.0.0.1:9092", "10.0.0.1", 9092],
    ["münchen.example:9092", "münchen.example", 9092],
    ["[::1]:9092", "::1", 9092],
    ["[fe80::1%eth0]:9092", "fe80::1%eth0", 9092],
    ["[::ffff:10.0.0.1]:9092", "::ffff:10.0.0.1", 9092],
  ] as const) {
    test(`${text} is a host and a port`, () => {
      expect(parseBrokerAddress(text)).toEqual({ host, port });
    });
  }

  for (const [text, problem] of [
    ["", "extra comma"],
    ["localhost", "no port"],
    ["[::1]", "no port"],
    ["localhost:", "between 1 and 65535"],
    ["localhost:0", "between 1 and 65535"],
    ["localhost:65536", "between 1 and 65535"],
    ["localhost:9092x", "between 1 and 65535"],
    ["[::1]9092", "between 1 and 65535"],
    ["localhost:kafka", "between 1 and 65535"],
    ["http://localhost:9092", "URL"],
    ["SASL_SSL://broker:9093", "URL"],
    ["::1", "brackets"],
    ["fe80::1:9092", "brackets"],
    [":9092", "no host"],
    ["[]:9092", "no host"],
    ["[localhost]:9092", "no host"],
    ["a b:9092", "no host"],
    ["a/b:9092", "no host"],
    ["user@host:9092", "no host"],
    ["-a:9092", "no host"],
  ] as const) {
    test(`"${text}" is refused without being quoted`, () => {
      const parsed = parseBrokerAddress(text);
      expect(parsed).toEqual({ problem: expect.stringContaining(problem) });
    });
  }

  test("a list is split at commas, spaces around them do not count", () => {
    expect(splitServers("a:1 , b:2")).toEqual(["a:1", "b:2"]);
  });
});

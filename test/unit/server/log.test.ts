/**
 * Log lines (SPEC section 9).
 */
import { describe, expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { createLogger, type LogOptions } from "#server/log.ts";

function logger(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  let nowMs = Date.UTC(2026, 0, 8);
  const made = createLogger({
    level: "info",
    format: "json",
    colour: false,
    write: (line) => void lines.push(line),
    clock: { nowMs: () => nowMs },
    ...options,
  });
  return {
    log: made,
    lines,
    wait: (ms: number) => {
      nowMs += ms;
    },
    objects: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

describe("a repeated warning", () => {
  test("is one line though each try's file has another name", () => {
    const { log, lines, wait } = logger();
    for (let n = 0; n < 5; n++) {
      log.log("warn", `No room to write /w/data/${crypto.randomUUID()}-0.parquet`, {
        table: "a.b",
      });
      wait(1000);
    }
    expect(lines).toHaveLength(1);
  });

  test("is two lines when what differs is an offset", () => {
    const { log, lines } = logger();
    log.log("warn", "Skipped at t/0 offset 11111111-22222222", { table: "a.b" });
    log.log("warn", "Skipped at t/0 offset 11111111-33333333", { table: "a.b" });
    expect(lines).toHaveLength(2);
  });
});

describe("a JSON line", () => {
  test("has time, level, message, trace and the fields, in this order", () => {
    const { log, lines } = logger();
    log.with({ table: "a.b" }).with({ trace_id: "t1" }).log("info", "Flush", { rows: 3 });
    expect(lines).toEqual([
      '{"timestamp":"2026-01-08T00:00:00.000Z","level":"info","message":"Flush","trace_id":"t1","table":"a.b","rows":3}\n',
    ]);
  });

  test("stays short however many partitions a field names", () => {
    const { log, lines } = logger();
    const ranges = Object.fromEntries(
      Array.from({ length: 1000 }, (_, each) => [`events/${each}`, `0-${each}`]),
    );
    log.log("info", "Flush committed", { ranges, feeds: Object.keys(ranges), few: [1, 2] });
    expect(lines[0]?.length).toBeLessThan(1500);
    const line = JSON.parse(lines[0] ?? "") as { ranges: object; feeds: string[]; few: number[] };
    expect(line.ranges).toMatchObject({ "events/0": "0-0", "events/19": "0-19", "…": "980 more" });
    expect([line.feeds.length, line.feeds.at(-1)]).toEqual([21, "980 more"]);
    expect(line.few).toEqual([1, 2]);
  });

  test("keeps every digit of 64-bit numbers, as a string where a double would lose some", () => {
    const { log, lines } = logger();
    log.log("info", "x", { id: 9_223_372_036_854_775_807n, list: [1n] });
    expect(lines[0]).toContain('"id":"9223372036854775807","list":[1]');
  });

  test("shows errors as one line, without user information of URLs", () => {
    const { log, objects } = logger();
    const error = fail("catalog_unreachable", "No answer from http://me:hunter2@host/x", {}, "why");
    log.log("error", "x", { error, url: "s3://id:hunter2@bucket/key", bytes: new Uint8Array(3) });
    expect(objects()[0]).toMatchObject({
      error: "No answer from http://***@host/x: why",
      url: "s3://***@bucket/key",
      bytes: "3 bytes",
    });
  });

  test("shows where errors of ours come from that must not happen", () => {
    const { log, objects } = logger();
    log.log("error", "x", { error: new TypeError("oops") });
    expect(String(objects()[0]?.["error"])).toContain("log.test.ts");
  });

  test("holds no secret by its field's name, at any depth", () => {
    const { log, lines } = logger();
    const secrets = { password: "hunter2", sasl_password: "hunter2", api_token: "hunter2" };
    const map = new Map([["clientSecret", "hunter2"]]);
    log.log("info", "x", { ...secrets, nested: { list: [{ accessKey: "hunter2", ok: 1 }] }, map });
    expect(lines.join("")).not.toContain("hunter2");
    expect(lines.join("")).toContain('"ok":1');
  });

  test("below the level is not written", () => {
    const { log, lines } = logger({ level: "warn" });
    log.log("debug", "a");
    log.log("info", "b");
    log.log("warn", "c");
    expect(lines).toHaveLength(1);
  });
});

describe("repeated errors", () => {
  test("of one message and table within 10 s are counted, not repeated", () => {
    const { log, objects, wait } = logger();
    for (let i = 0; i < 5; i++) {
      log.log("warn", "Catalog is away", { table: "a", attempt: i });
      wait(1000);
    }
    log.log("warn", "Catalog is away", { table: "b" });
    expect(objects()).toHaveLength(2);
    wait(6000);
    log.log("info", "something else");
    expect(objects()[2]).toMatchObject({ message: "Catalog is away", attempt: 4, repeated: 4 });
    expect(objects()).toHaveLength(4);
  });

  test("are written again after 10 s", () => {
    const { log, objects, wait } = logger();
    log.log("error", "x");
    wait(10_000);
    log.log("error", "x");
    expect(objects()).toHaveLength(2);
    expect(objects()[1]).not.toHaveProperty("repeated");
  });

  test("that are held back are written by flush", () => {
    const { log, objects } = logger();
    log.log("error", "x");
    log.log("error", "x");
    log.flush();
    log.flush();
    expect(objects().map(({ repeated }) => repeated)).toEqual([undefined, 1]);
  });

  test("information is never held back", () => {
    const { log, lines } = logger();
    log.log("info", "x");
    log.log("info", "x");
    expect(lines).toHaveLength(2);
  });
});

describe("a text line", () => {
  test("quotes only what needs it", () => {
    const { log, lines } = logger({ format: "text" });
    log.log("warn", "Slow", { table: "a.b", why: "two words", n: 5n, list: [1], none: undefined });
    expect(lines[0]).toBe(
      '2026-01-08T00:00:00.000Z WARN  Slow table=a.b why="two words" n=5 list=[1]\n',
    );
  });

  test("is coloured only when asked", () => {
    const { log, lines } = logger({ format: "text", colour: true });
    log.log("error", "x");
    expect(lines[0]).toContain("\u001B[31mERROR\u001B[0m");
    expect(lines[0]).toEndWith("\u001B[K\n");
  });
});

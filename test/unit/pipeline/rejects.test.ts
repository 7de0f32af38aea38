import { expect, test } from "bun:test";
import type { LogFields, Logger } from "#base/log.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import type { DecodeResult, Rejected } from "#decode/decoder.ts";
import type { Outlet } from "#pipeline/feeds.ts";
import { judgeRejects, Rejects } from "#pipeline/rejects.ts";
import type { Sink } from "#pipeline/sink.ts";
import type { Sinks } from "#pipeline/sinks.ts";

interface Line {
  readonly message: string;
  readonly fields: LogFields;
}

function rejected(offset: number, reason = "bad_json", detail = "It is no JSON"): Rejected {
  const record = { key: null, value: null, headers: new Uint8Array(0) };
  return {
    topic: "t",
    partition: 3,
    offset: BigInt(offset),
    timestampMs: 0,
    reason,
    detail,
    record,
  };
}

function skip(records: readonly Rejected[]): { lines: Line[]; counted: unknown[] } {
  const lines: Line[] = [];
  const counted: unknown[] = [];
  const logger: Logger = {
    log: (_, message, fields = {}) => lines.push({ message, fields }),
    with: () => logger,
  };
  const result: DecodeResult = { rows: 0, skipped: 0, rejected: records, timestampMsMax: 0 };
  const parts = { logger, observe: (event: unknown) => counted.push(event) };
  expect(judgeRejects(parts, { action: "skip" }, "db.t", result)).toBeNull();
  return { lines, counted };
}

test("skipped records are named by runs of offsets, one line for each cause", () => {
  const records = [1, 5, 6, 7].map((offset) => rejected(offset));
  const { lines, counted } = skip([...records, rejected(9, "too_deep", "It is nested too deeply")]);
  expect(lines.map(({ message }) => message)).toEqual([
    "Skipped at t/3 offset 1, 5-7: It is no JSON",
    "Skipped at t/3 offset 9: It is nested too deeply",
  ]);
  expect(lines[0]?.fields).toEqual({
    table: "db.t",
    topic: "t",
    partition: 3,
    kafka_offset_range: "1, 5-7",
    reason: "bad_json",
    records_skipped: 4,
  });
  expect(counted).toEqual([
    { type: "rejected", reason: "bad_json", records: 4 },
    { type: "rejected", reason: "too_deep", records: 1 },
  ]);
});

test("records that are skipped for one reason make one line, whatever the fields are called", () => {
  const records = Array.from({ length: 500 }, (_, n) =>
    rejected(n, "too_deep", `Field "f${n}" is`),
  );
  const { lines } = skip(records);
  expect(lines.map(({ message }) => message)).toEqual([
    'Skipped at t/3 offset 0-499: Field "f0" is (the first of 500 such causes)',
  ]);
});

test("a line stays short when every second record of a batch is skipped", () => {
  const { lines } = skip(Array.from({ length: 5000 }, (_, n) => rejected(n * 2)));
  expect(lines).toHaveLength(1);
  expect(lines[0]?.message.length).toBeLessThan(1000);
  expect(lines[0]?.message).toContain("196, 198 and 4900 more: It is no JSON");
  expect(lines[0]?.fields["records_skipped"]).toBe(5000);
});

test("a table that is gone is not kept for the lines that were written about its records", async () => {
  let lines = 0;
  const logger: Logger = { log: () => void lines++, with: () => logger };
  const letterTopic = { name: "letters", put: () => undefined };
  const ports = { logger, letterTopic, observe: () => undefined };
  const rejects = new Rejects(
    ports as unknown as ConstructorParameters<typeof Rejects>[0],
    { action: "topic" },
    [] as unknown as Sinks,
    () => undefined,
  );
  const result: DecodeResult = {
    ...{ rows: 0, skipped: 0, timestampMsMax: 0 },
    rejected: [rejected(1), rejected(2)],
  };
  const refuseOf = (): WeakRef<Sink> => {
    const sink = { name: "t" } as Sink;
    const batch = { feed: {} } as RecordBatch;
    rejects.take({ sink } as Outlet, batch, result, () => undefined);
    return new WeakRef(sink);
  };
  const tables = Array.from({ length: 50 }, refuseOf);
  // A weak reference holds what it refers to until the turn ends.
  await new Promise((resolve) => setTimeout(resolve, 0));
  Bun.gc(true);
  const kept = tables.filter((each) => each.deref() !== undefined).length;
  expect(lines).toBe(50);
  // What a register or the stack happens to hold.
  expect(kept).toBeLessThan(10);
});

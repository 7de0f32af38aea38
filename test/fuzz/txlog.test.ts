/**
 * Whatever happens to the bytes of a log, reading it never yields an entry that was not written:
 * damage is cut or reported.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { encodeEntry } from "#txlog/entries.ts";
import { encodeFrame, type FrameScan, scanFrames } from "#txlog/frames.ts";
import type { LogEntry } from "#txlog/log.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 20261121);
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

const entry: fc.Arbitrary<LogEntry> = fc.oneof(
  fc.record({
    type: fc.constant("OffsetCommit" as const),
    topic: text,
    partition: fc.nat(),
    offset: int64,
  }),
  fc.record({
    type: fc.constant("FlushAbandoned" as const),
    table: text,
    commit_id: text,
    removed: fc.array(text, { maxLength: 3 }),
    left: fc.array(text, { maxLength: 3 }),
  }),
  fc.record({
    type: fc.constant("IdempotencyRecord" as const),
    offsets: fc.dictionary(text, int64, { noNullPrototype: true, maxKeys: 4 }),
    snapshot_id: int64,
  }),
);

const log = fc.array(fc.tuple(entry, fc.nat()), { minLength: 1, maxLength: 12 });

function encode(items: readonly (readonly [LogEntry, number])[]): Buffer {
  const frames = items.map(([item, timeMs], at) =>
    encodeFrame(encodeEntry(item), BigInt(at + 1), timeMs),
  );
  return Buffer.concat(frames);
}

const keyOf = (sequence: bigint, timeMs: number, item: LogEntry): string =>
  `${sequence} ${timeMs} ${JSON.stringify(item, (_, v) => (typeof v === "bigint" ? `${v}n` : v))}`;

/** Each entry read is one that was written, once and in order; each byte lost is accounted for. */
function check(items: readonly (readonly [LogEntry, number])[], bytes: Buffer): FrameScan {
  const written = items.map(([item, timeMs], at) => keyOf(BigInt(at + 1), timeMs, item));
  const scan = scanFrames(bytes, 24);
  let from = 0;
  for (const { sequence, timeMs, entry: found } of scan.entries) {
    const at = written.indexOf(keyOf(sequence, timeMs, found), from);
    expect(at).toBeGreaterThanOrEqual(from);
    from = at + 1;
  }
  if (scan.entries.length < items.length && bytes.length === encode(items).length)
    expect(scan.damages.length + (scan.tail === null ? 0 : 1)).toBeGreaterThan(0);
  expect(scan.end + (scan.tail?.bytes ?? 0)).toBe(24 + bytes.length);
  return scan;
}

test("a log that nothing happened to is read whole", () => {
  fc.assert(
    fc.property(log, (items) => {
      const scan = check(items, encode(items));
      expect(scan.entries.length).toBe(items.length);
      expect(scan.damages).toEqual([]);
      expect(scan.tail).toBeNull();
    }),
    { seed: SEED, numRuns: 200 },
  );
});

interface Harm {
  readonly kind: "flip" | "cut" | "zero" | "remove" | "repeat";
  readonly at: number;
  readonly size: number;
}

const harm: fc.Arbitrary<Harm> = fc.record({
  kind: fc.constantFrom("flip", "cut", "zero", "remove", "repeat"),
  at: fc.nat(),
  size: fc.nat(400),
});

function applyHarm(bytes: Buffer, { kind, at: anywhere, size }: Harm): Buffer {
  if (bytes.length === 0) return bytes;
  const at = anywhere % bytes.length;
  const before = bytes.subarray(0, at);
  switch (kind) {
    case "flip":
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (size & 7));
      return bytes;
    case "cut":
      return bytes.subarray(0, Math.max(0, bytes.length - size));
    case "zero":
      return bytes.fill(0, at, Math.min(bytes.length, at + size));
    case "remove":
      return Buffer.concat([before, bytes.subarray(at + size)]);
    case "repeat":
      return Buffer.concat([before, bytes.subarray(at, at + size), bytes.subarray(at)]);
  }
}

test("flipped bits, cuts and overwritten stretches never make a wrong entry", () => {
  fc.assert(
    fc.property(log, fc.array(harm, { minLength: 1, maxLength: 4 }), (items, harms) => {
      const bytes = harms.reduce(applyHarm, encode(items));
      const scan = scanFrames(bytes, 24);
      const written = new Set(
        items.map(([item, timeMs], at) => keyOf(BigInt(at + 1), timeMs, item)),
      );
      for (const { sequence, timeMs, entry: found } of scan.entries)
        expect(written.has(keyOf(sequence, timeMs, found))).toBe(true);
    }),
    { seed: SEED, numRuns: 1500 },
  );
});

test("one flipped bit costs one entry at most, and it is reported", () => {
  fc.assert(
    fc.property(log, fc.nat(), fc.nat(7), (items, anywhere, bit) => {
      const bytes = encode(items);
      const at = anywhere % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      const scan = check(items, bytes);
      expect(scan.entries.length).toBe(items.length - 1);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test("a log cut anywhere keeps the entries before the cut", () => {
  fc.assert(
    fc.property(log, fc.nat(), (items, anywhere) => {
      const whole = encode(items);
      const bytes = Buffer.from(whole.subarray(0, anywhere % whole.length));
      const scan = scanFrames(bytes, 24);
      const kept = scanFrames(whole, 24).entries.slice(0, scan.entries.length);
      expect(scan.entries).toEqual(kept);
      expect(scan.damages).toEqual([]);
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test("random bytes hold no entries", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      expect(scanFrames(bytes, 24).entries).toEqual([]);
    }),
    { seed: SEED, numRuns: 300 },
  );
});

/** What makes compactions begin early: files, deleted rows, hours that close; and windows of the day. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { closedSpan, endsIn, lastEnd, markClosed, spanOf } from "#maintenance/closedPartitions.ts";
import { CompactTrigger } from "#maintenance/compactTrigger.ts";
import { msUntilWindow, parseWindow } from "#maintenance/windows.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { tableOf } from "../../support/tableOf.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** A head with these totals. */
class Watched {
  readonly name = "db.t";
  files = 0;
  deletes = 0;
  rows = 1000;
  nowMs = 1000 * HOUR;
  beganMs: number | null = null;
  transform = "identity";

  seen = (): LoadedTable => {
    const summary = {
      "total-data-files": String(this.files),
      "total-position-deletes": String(this.deletes),
      "total-records": String(this.rows),
    };
    const snapshot: Snapshot = {
      ...{ snapshotId: 1n, parentSnapshotId: null, sequenceNumber: 1n, timestampMs: 1 },
      ...{ manifestList: "", summary, schemaId: 0, firstRowId: null, addedRows: null },
    };
    const field = { sourceId: 2, fieldId: 1000, name: "p", transform: this.transform };
    const properties: Record<string, string> =
      this.beganMs === null ? {} : { "kafka-iceberg.maintenance.compact": `${this.beganMs} x` };
    const empty = tableOf(2, properties, { specId: 0, fields: [field] });
    const metadata = { ...empty, snapshots: [snapshot], currentSnapshotId: 1n };
    const name = { namespace: ["db"], table: "t" };
    return { name, metadata, metadataLocation: "", storage: createMemoryStorage() };
  };

  watermarkMs = (): number => this.nowMs;
  open = async (): Promise<null> => null;
}

function trigger(): CompactTrigger {
  return new CompactTrigger({ files: 100, deleteRatio: 0.1, closedAfterMs: 10 * MINUTE });
}

test("many files that came since the last run ask for one, not those that were there", () => {
  const table = new Watched();
  const watched = trigger();
  table.files = 5000;
  expect(watched.wanted(table)).toBe(null);
  table.files = 5099;
  expect(watched.wanted(table)).toBe(null);
  table.files = 5100;
  expect(watched.wanted(table)).toBe("100 data files came");
  watched.ended(table);
  table.files = 5199;
  expect(watched.wanted(table)).toBe(null);
  // Another process has compacted.
  table.files = 20;
  expect(watched.wanted(table)).toBe(null);
  table.files = 120;
  expect(watched.wanted(table)).toBe("100 data files came");
});

test("so many deleted rows ask for a run as make a file be written anew", () => {
  const table = new Watched();
  const watched = trigger();
  expect(watched.wanted(table)).toBe(null);
  table.deletes = 99;
  expect(watched.wanted(table)).toBe(null);
  table.deletes = 100;
  expect(watched.wanted(table)).toBe("100 rows were deleted");
});

test("an hour that the rows have passed asks for one run", () => {
  const table = new Watched();
  table.transform = "hour";
  const watched = trigger();
  table.beganMs = table.nowMs - 5 * MINUTE;
  table.nowMs += 9 * MINUTE;
  expect(watched.wanted(table)).toBe(null);
  table.nowMs += MINUTE;
  expect(watched.wanted(table)).toContain("the hour until 1970-02-11T16:00:00.000Z has closed");
  table.beganMs = table.nowMs;
  table.nowMs += 59 * MINUTE;
  expect(watched.wanted(table)).toBe(null);
});

test("the last end of a span of time, and the partitions that ended in another", () => {
  const at = Date.UTC(2026, 2, 15, 7, 30);
  expect(["hour", "day", "month", "year"].map((span) => lastEnd(span, at))).toEqual([
    Date.UTC(2026, 2, 15, 7),
    Date.UTC(2026, 2, 15),
    Date.UTC(2026, 2),
    Date.UTC(2026, 0),
  ]);
  const fields = [
    { sourceId: 1, fieldId: 1000, name: "b", transform: "bucket[4]" },
    { sourceId: 2, fieldId: 1001, name: "d", transform: "day" },
  ];
  const specs = { partitionSpecs: [{ specId: 3, fields }] };
  expect(spanOf({ specId: 3, fields })).toBe("day");
  const closed = endsIn(specs, { from: Date.UTC(2026, 2, 13), to: Date.UTC(2026, 2, 15) });
  const day = (n: number): number => Date.UTC(2026, 2, n) / (24 * HOUR);
  const isClosed = [12, 13, 14, 15].map((n) => closed({ specId: 3, partition: [0, day(n)] }));
  expect(isClosed).toEqual([false, true, true, false]);
  expect(closed({ specId: 3, partition: [0, null] })).toBe(false);
  expect(closed({ specId: 4, partition: [day(13)] })).toBe(false);
});

/** Up to when the rows are at 40 runs: of an interval, the first one of a night, or the first one after a stop of days. */
function untilsOf(seed: number): number[] {
  const random = seededRandom(seed);
  let [nowMs, lagMs, seenMs] = [500_000 * HOUR, 0, 0];
  return Array.from({ length: 40 }, () => {
    const hours = [1, 16, 24 * 9 * random.unit()][Math.floor(random.unit() * 3)] ?? 1;
    nowMs += Math.floor(hours * HOUR);
    // What has fallen behind comes up, or falls behind further.
    lagMs = random.unit() < 0.5 ? 0 : Math.min(lagMs + hours * HOUR, 10 * 24 * HOUR);
    seenMs = Math.max(seenMs, Math.floor(nowMs - lagMs));
    return seenMs;
  });
}

test("whatever windows, stops and lags there are, what ends is put together by the next run and two more, and by few after them", () => {
  const field = { sourceId: 2, fieldId: 1000, name: "p", transform: "hour" };
  const partitionSpecs = [{ specId: 0, fields: [field] }];
  for (let seed = 1; seed <= 100; seed++) {
    const untils = untilsOf(seed);
    let properties: Readonly<Record<string, string>> = {};
    const spans = untils.map((untilMs) => {
      properties = { ...properties, ...markClosed({ properties, partitionSpecs }, untilMs) };
      return closedSpan({ properties }, 3 * HOUR) ?? { from: 0, to: 0 };
    });
    for (const [run, { from, to }] of spans.entries()) {
      const [until = 0, threeBefore] = [untils[run], untils[run - 3]];
      const first = threeBefore ?? until - 31 * 24 * HOUR;
      expect({ from, to }).toEqual({ from: Math.min(until - 3 * HOUR, first), to: until });
    }
    expect(untils).toEqual([...untils].sort((a, b) => a - b));
  }
});

test("the first runs of a table look back a month, also where its property is not ours, and tables without times are not marked", () => {
  const by = (transform: string) => {
    const field = { sourceId: 2, fieldId: 1000, name: "p", transform };
    return [{ specId: 0, fields: [field] }];
  };
  const at = 500_000 * HOUR;
  for (const text of ["", "x", "1 2 ", "1e9"]) {
    const properties = { "kafka-iceberg.maintenance.compact.closed": text };
    expect(closedSpan({ properties }, HOUR)).toBe(undefined);
    const marked = markClosed({ properties, partitionSpecs: by("day") }, at);
    const span = closedSpan({ properties: marked }, HOUR);
    expect(span).toEqual({ from: at - 31 * 24 * HOUR, to: at });
  }
  expect(markClosed({ properties: {}, partitionSpecs: by("identity") }, at)).toEqual({});
});

test("windows of the day, also over midnight", () => {
  const night = parseWindow("22:00-06:30");
  const noon = parseWindow("12:00-13:00");
  if (night === null || noon === null) throw new Error("both are windows");
  const at = (hour: number, minute: number): number => Date.UTC(2026, 0, 1, hour, minute);
  expect(msUntilWindow([], at(5, 0))).toBe(0);
  expect(msUntilWindow([night], at(23, 59))).toBe(0);
  expect(msUntilWindow([night], at(6, 29))).toBe(0);
  expect(msUntilWindow([night], at(6, 30))).toBe(15.5 * HOUR);
  expect(msUntilWindow([night, noon], at(11, 59) + 30_000)).toBe(30_000);
  for (const text of ["22-6", "24:00-01:00", "10:00-10:00", "", "9:00-10:00"]) {
    expect(parseWindow(text)).toBe(null);
  }
});

/**
 * Every durable step of a flush dies once and fails once; what follows is judged by foreign readers.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FAILPOINTS } from "#base/failpoint.ts";
import { type FailpointsReport, proveFailpoints } from "../../scripts/prove/failpoints.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

const SIGKILLED = 137;

let broker: KafkaBroker;
let report: FailpointsReport;

beforeAll(async () => {
  broker = await startKafka();
  report = await proveFailpoints(broker.bootstrap, "failpoints", () => undefined);
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

describe("failpoints", () => {
  test.each(FAILPOINTS)(
    "a crash at %s ends the process there, and the next one goes on",
    (name) => {
      const hit = report.hits.find((each) => each.name === name && each.action === "crash");
      expect(hit?.exitCode).toBe(SIGKILLED);
    },
  );

  test.each(FAILPOINTS)("after an error at %s the same process goes on to commit", (name) => {
    const hit = report.hits.find((each) => each.name === name && each.action === "error");
    expect(hit).toEqual({ name, action: "error", exitCode: 0, wentOn: true });
  });

  test("no row is lost or doubled in any snapshot, and no file is left or missing", () => {
    expect(report.verdict.violations).toEqual([]);
    expect(report.verdict.judged).toBe(report.verdict.snapshots);
    expect(report.files).toEqual({ ...report.files, unnamed: [], missing: [] });
  });
});

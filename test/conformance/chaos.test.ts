/**
 * Exactly once while things die: processes, broker, store, answers, members of the group, and while others
 * write the table. The proofs of scripts/prove with small figures; the large ones: docs/PROOFS.md.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Verdict } from "../../scripts/judge/judge.ts";
import { proveFaults } from "../../scripts/prove/faults.ts";
import { proveComingAndGoing, proveZombies } from "../../scripts/prove/group.ts";
import {
  type KillsReport,
  proveCompactedKills,
  proveKills,
  proveTwoTables,
} from "../../scripts/prove/kills.ts";
import { proveNeighbour, proveTopics } from "../../scripts/prove/neighbours.ts";
import { ACTS, proveOffsetsSurvive } from "../../scripts/prove/offsetsSurvive.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { startS3 } from "../../scripts/services/versitygw.ts";

const RECOVERY_MS_MAX = 10_000;

let broker: KafkaBroker;
let bootstrap: string;
const say = (): void => undefined;

beforeAll(async () => {
  broker = await startKafka();
  ({ bootstrap } = broker);
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

/** Each retained snapshot holds exactly the records before its offsets, each once. */
function expectLaw(verdict: Verdict): void {
  expect(verdict.violations).toEqual([]);
  expect(verdict.judged).toBe(verdict.snapshots);
}

function expectRecovered(report: KillsReport): void {
  expectLaw(report.verdict);
  expect(report.files.missing).toEqual([]);
  expect(report.files.unnamed).toEqual([]);
  expect(Math.max(...report.recoveriesMs)).toBeLessThan(RECOVERY_MS_MAX);
}

describe("kill -9", () => {
  test("in any phase loses, doubles and leaves nothing, while transactions flow", async () => {
    const size = { events: 40_000, rate: 2000, kills: 12, seed: 7 };
    const report = await proveKills({ bootstrap, topic: "kills", partitions: 3, ...size, say });
    expectRecovered(report);
    expect(report.whileFlowing).toBeGreaterThanOrEqual(6);
    expect(report.withoutRecovery).toBe(0);
  }, 300_000);

  test("over compaction holes loses, doubles and leaves nothing", async () => {
    const size = { partitions: 2, events: 60_000, kills: 4, seed: 3 };
    const report = await proveCompactedKills({ bootstrap, topic: "holes", ...size, say });
    expectRecovered(report);
  }, 300_000);

  test("between the commits of two tables fed by one topic keeps the law in both", async () => {
    const size = { partitions: 2, events: 20_000, rate: 2000, kills: 6, seed: 3 };
    const { verdicts } = await proveTwoTables({ bootstrap, topic: "both", ...size, say });
    for (const verdict of verdicts) expectLaw(verdict);
    const [one, two] = verdicts.map((each) => each.committed["both"]);
    expect(one).toEqual(two ?? {});
  }, 300_000);
});

describe("several instances of one group", () => {
  test("one that was stopped beyond its session commits nothing that another has committed", async () => {
    const size = { rate: 1500, cycles: 2, seed: 1 };
    const report = await proveZombies({ bootstrap, topic: "zombies", ...size, say });
    expectLaw(report.verdict);
    expect(report.movedMeanwhile).toBeGreaterThan(0);
  }, 300_000);

  test("join, leave and die without a loss or a double", async () => {
    const size = { rate: 2000, cycles: 10, seed: 1 };
    const report = await proveComingAndGoing({ bootstrap, topic: "group", ...size, say });
    expectLaw(report.verdict);
    expect(report.movedMeanwhile).toBeGreaterThan(0);
  }, 300_000);
});

describe("others", () => {
  test("PyIceberg may append to the table and roll it back while we write it", async () => {
    const size = { rate: 1000, actions: 15, seed: 1 };
    const report = await proveNeighbour({ bootstrap, topic: "shared", ...size });
    expect(report.verdict.violations).toEqual([]);
    expect(report.appends).toBeGreaterThan(0);
    expect(report.rollbacks).toBeGreaterThan(0);
  }, 300_000);

  test("a table that is expired to one snapshot, compacted, rolled back or overwritten loses and doubles nothing at a restart", async () => {
    const size = { events: 200, acts: ACTS.slice(-2) };
    const report = await proveOffsetsSurvive({ bootstrap, topic: "offsets", ...size, say });
    expect(report.violations).toEqual([]);
    expect(Object.values(report.acts)).toEqual([800, 1200]);
  }, 300_000);

  test("a deleted and a re-created topic stop their tables alone, and the command is named", async () => {
    const report = await proveTopics(bootstrap, "topic");
    expectLaw(report.verdict);
    expect(report.untouched).toEqual({ state: "running", lastError: null });
    expect(report.deleted.state).toBe("stopped");
    expect(report.deleted.lastError).toContain("was deleted");
    expect(report.recreated.state).toBe("stopped");
    expect(report.recreated.lastError).toContain(
      "kafka-iceberg offsets default.topic-recreated --accept-topic topic-recreated",
    );
  }, 300_000);
});

test("answers lost after they were applied, stalls, refusals, and deaths of store and broker", async () => {
  const dataDir = await temporaryFolder("s3");
  const s3 = await startS3({ dataDir });
  try {
    const size = { topic: "faulty", events: 50_000, rate: 1500, faults: 11, seed: 5 };
    const objects = join(dataDir, "objects");
    const report = await proveFaults({ broker, s3, objects, ...size, say });
    expectLaw(report.verdict);
    expect(report.verdict.readers.duckdb?.rows).toBe(50_000);
    expect(report.swallowed).toBeGreaterThan(0);
    expect(report.stalled).toBeGreaterThan(0);
  } finally {
    await s3.stop();
  }
}, 300_000);

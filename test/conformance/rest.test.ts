/** The whole product on Iceberg's own REST catalog; PyIceberg finds the table through the catalog. */
import { expect, test } from "bun:test";
import { produceEvents, produceValues } from "../../scripts/events/events.ts";
import { judgeTable, readTopic } from "../../scripts/judge/judge.ts";
import { proveAway } from "../../scripts/prove/away.ts";
import { proveConflicts } from "../../scripts/prove/conflicts.ts";
import { newCourse, runToEnd, start } from "../../scripts/prove/course.ts";
import { CATALOG_SERVERS } from "../../scripts/services/catalogServers.ts";
import { temporaryFolder, until } from "../../scripts/services/process.ts";
import type { Product } from "../../scripts/services/product.ts";
import { catalogSuite } from "../support/catalogSuite.ts";

/**
 * One value of each of two members, which infer different fields at the same time. What both have is of
 * one type: of a long and a double whichever comes second would be a dead letter.
 */
const FIELDS = [
  { id: 1, a: 1, shared: 1.5, deep: { x: 1 } },
  { id: 2, b: "x", shared: 2.5, deep: { y: true } },
];

catalogSuite("Iceberg's own REST server", "rest", (rig) => {
  test("PyIceberg appends, deletes, rolls back, evolves schema and spec: nothing is lost on either side", async () => {
    const { broker, server } = rig;
    const report = await proveConflicts({
      bootstrap: broker.bootstrap,
      topic: "conflicts",
      server,
      conflicts: 4,
      seed: 13,
    });
    expect(report.neighbours.map(({ same }) => same)).toEqual([true]);
    expect(report.conflicts).toBeGreaterThanOrEqual(4);
    expect(report.verdict.violations).toEqual([]);
    expect(report.ok).toBe(true);
  }, 300_000);

  test("a catalog that is away: ingest pauses at its limit, the circuit opens, readers are answered, and the lag shrinks afterwards", async () => {
    const { bootstrap } = rig.broker;
    const server = await CATALOG_SERVERS.rest();
    try {
      const report = await proveAway({
        bootstrap,
        topic: "away",
        server,
        awayMs: 40_000,
        rate: 1000,
      });
      expect(JSON.parse(report.held.health)).toMatchObject({
        status: "degraded",
        checks: { catalog: { status: "degraded" } },
      });
      expect(report.held).toMatchObject({ pausedPartitions: 3, openings: 1 });
      expect(report.held.circuitStates).toContain(2);
      const { answers } = report.held.reads;
      expect(Object.keys(answers).filter((answer) => !answer.startsWith("200"))).toEqual([]);
      expect(answers).toMatchObject({ "200 stale": expect.any(Number), "200 rows": 1 });
      expect(report.verdict.violations).toEqual([]);
      expect(report.verdict.readers.duckdb?.rows).toBe(report.events);
    } finally {
      await server.stop();
    }
  }, 300_000);

  test("two instances that infer different new fields at once end with one right schema", async () => {
    const topic = "inferred";
    const { bootstrap } = rig.broker;
    const { config } = rig.server;
    const course = await newCourse({ bootstrap, topic, partitions: 2, config });
    const other = { ...course, folder: await temporaryFolder("inferred") };
    const values = FIELDS.map((value, partition) => ({ partition, value: JSON.stringify(value) }));
    const both = await Promise.all([start(course), start(other)]);
    try {
      const assigned = async (): Promise<boolean> => {
        const texts = await Promise.all(both.map((each) => each.metrics().catch(() => "")));
        return texts.every((text) => /partitions_assigned\{[^}]*\} 1$/m.test(text));
      };
      await until("a partition for each", assigned, 60_000);
      await produceValues({ bootstrap, topic }, values);
      const isCommitted = (product: Product): boolean => product.log().includes("Flush committed");
      await until("a commit of each", async () => both.every(isCommitted), 60_000);
    } finally {
      await Promise.all(both.map((product) => product.terminate()));
    }
    await runToEnd(course);
    const verdict = await judgeTable({
      table: await rig.server.table(topic),
      topics: [await readTopic(bootstrap, topic)],
    });
    expect(verdict.violations).toEqual([]);
    const columns = verdict.readers.pyiceberg?.columns.filter((name) => !name.startsWith("_"));
    expect(columns?.toSorted()).toEqual(["a", "b", "deep", "id", "shared"]);
    expect(verdict.readers.duckdb?.rows).toBe(2);
  }, 180_000);

  test("tokens of five seconds and lent keys of ten: no commit fails, no upload is refused", async () => {
    const topic = "lent";
    const { bootstrap } = rig.broker;
    const server = await CATALOG_SERVERS["rest-vended"]();
    try {
      const course = await newCourse({ bootstrap, topic, partitions: 2, config: server.config });
      const product = await start(course);
      await produceEvents({ bootstrap, topic, count: 20_000, rate: 1000 });
      if (product.ended()) throw new Error(product.log());
      const metrics = await product.metrics();
      expect(await product.terminate()).toBe(0);
      expect(product.logLines().filter(({ level }) => level === "error")).toEqual([]);
      expect(metrics).toMatch(/commit_outcomes_total\{[^}]*outcome="committed"[^}]*\} [1-9]/);
      expect(metrics).not.toMatch(
        /commit_outcomes_total\{[^}]*outcome="(unknown|failed)"[^}]*\} [1-9]/,
      );
      await runToEnd(course);
      expect(server.front?.tokens.size).toBeGreaterThan(1);
      expect(server.front?.refused).toEqual({ ended: 0, missing: 0 });
      const verdict = await judgeTable({
        table: await server.table(topic),
        topics: [await readTopic(bootstrap, topic)],
        readers: ["duckdb"],
        ...(server.s3 && { s3: server.s3 }),
      });
      expect(verdict.violations).toEqual([]);
      expect(verdict.readers.duckdb?.rows).toBe(20_000);
    } finally {
      await server.stop();
    }
  }, 240_000);
});

/** The whole product on Iceberg's own REST catalog; PyIceberg finds the table through the catalog. */
import { expect, test } from "bun:test";
import { produceEvents } from "../../scripts/events/events.ts";
import { judgeTable, readTopic } from "../../scripts/judge/judge.ts";
import { newCourse, runToEnd, start } from "../../scripts/prove/course.ts";
import { CATALOG_SERVERS } from "../../scripts/services/catalogServers.ts";
import { catalogSuite } from "../support/catalogSuite.ts";

catalogSuite("Iceberg's own REST server", "rest", (rig) => {
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
        table: server.table(topic),
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

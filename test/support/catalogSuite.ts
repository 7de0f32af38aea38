/**
 * The whole product on a real catalog's server: the same promises for each catalog, in the same words.
 * `scripts/prove/catalogs.ts` proves them with larger counts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { proveCatalogKills } from "../../scripts/prove/catalogKills.ts";
import { proveOutcomes } from "../../scripts/prove/outcomes.ts";
import {
  CATALOG_SERVERS,
  type CatalogServer,
  type CatalogServerName,
  topicOf,
} from "../../scripts/services/catalogServers.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

const EVENTS = 10_000;

/** A broker and a catalog's server, while the tests run. */
export interface CatalogRig {
  broker: KafkaBroker;
  server: CatalogServer;
}

/**
 * Runs the promises on one server.
 * @param more further promises of this server
 */
export function catalogSuite(
  title: string,
  name: CatalogServerName,
  more: (rig: CatalogRig) => void = () => undefined,
): void {
  describe(title, () => {
    const rig = {} as CatalogRig;

    beforeAll(async () => {
      const start = [startKafka({ heapMb: 256 }), CATALOG_SERVERS[name]()] as const;
      [rig.broker, rig.server] = await Promise.all(start);
    }, 600_000);

    afterAll(async () => {
      await Promise.all([rig.broker?.stop(), rig.server?.stop()]);
    });

    test("five kills while commits fail in every way: no row is lost or doubled", async () => {
      const { broker, server } = rig;
      const topic = topicOf("kills", name);
      const { troubles, calm, config, env, s3, secrets } = server;
      const { verdict, outcomes } = await proveCatalogKills({
        bootstrap: broker.bootstrap,
        topic,
        partitions: 3,
        events: EVENTS,
        rate: 500,
        kills: 5,
        seed: 9,
        config,
        env,
        secrets,
        table: () => server.table(topic),
        ...(s3 && { s3 }),
        trouble: async (random) => troubles[Math.floor(random() * troubles.length)]?.begin(),
        calm,
        readers: ["duckdb", "pyiceberg"],
      });
      expect(outcomes["committed"]).toBeGreaterThan(3);
      expect(outcomes["unknown"]).toBeGreaterThan(0);
      expect(verdict.violations).toEqual([]);
      expect(verdict.judged).toBe(verdict.snapshots);
      const rows = Object.values(verdict.readers).map((reader) => reader.rows);
      expect(rows).toEqual([EVENTS, EVENTS]);
    }, 300_000);

    test("a commit meets each trouble in turn: no row is lost or doubled, no live file deleted", async () => {
      const { broker, server } = rig;
      const report = await proveOutcomes({
        bootstrap: broker.bootstrap,
        topic: topicOf("outcomes", name),
        server,
        cases: server.troubles.length,
        seed: 11,
        say: () => undefined,
      });
      expect(Object.values(report.cases)).toEqual(server.troubles.map(() => 1));
      expect(report.verdict.violations).toEqual([]);
      expect(report.ok).toBe(true);
    }, 300_000);

    more(rig);
  });
}

/**
 * The whole product on Google Cloud Storage and on Azure, with the file catalog there: kills, and answers of
 * the store that are lost; DuckDB reads the tables through Arrow's own clients. Larger: scripts/prove/stores.ts.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { proveStoreKills, STORES } from "../../scripts/prove/stores.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka({ heapMb: 256 });
}, 600_000);

afterAll(() => broker?.stop());

test.each(["gcs", "azure"])(
  "kills while %s loses answers: every row is there once, in every snapshot",
  async (name) => {
    const start = STORES[name];
    if (start === undefined) throw new Error(`no store ${name}`);
    const rig = await start();
    try {
      const size = { kills: 2, events: 3000 };
      const { verdict, outcomes } = await proveStoreKills(broker.bootstrap, name, rig, size);
      expect(verdict.violations).toEqual([]);
      expect(verdict.judged).toBe(verdict.snapshots);
      expect(verdict.readers.duckdb?.rows).toBe(3000);
      expect(outcomes["committed"]).toBeGreaterThan(0);
    } finally {
      await rig.stop();
    }
  },
  300_000,
);

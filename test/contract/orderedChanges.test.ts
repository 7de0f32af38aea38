/** Changes with an order of their own, from a broker in memory to the rows of the table. */
import { afterEach, expect, test } from "bun:test";
import { EXIT } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import type { ChangeOptions } from "#decode/options.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { liveRows } from "./liveRows.ts";
import { endAll, LIMITS, newWarehouse, pipelineOf } from "./pipelineRunRig.ts";

afterEach(endAll);

const LONG = { required: true, type: { kind: "long" } } as const;
const FIELDS = ["id", "v"].map((name) => ({ id: 0, name, ...LONG }));

/** Live rows of the table: column `v` by `id`; of an id that has several rows all of them. */
async function rowsIn(warehouse: string): Promise<Map<number, number[]>> {
  const found = new Map<number, number[]>();
  for (const row of await liveRows(warehouse, ["id", "v"])) {
    const id = Number(row["id"]);
    found.set(id, [...(found.get(id) ?? []), Number(row["v"])]);
  }
  return found;
}

test("the newest change of each key is left, whatever partition, run and place it came by", async () => {
  const warehouse = newWarehouse();
  const broker = new FakeKafka();
  broker.topic("t", 3);
  const random = seededRandom(4);
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  const newest = new Map<number, number[]>();
  const ends = [0, 0, 0];
  for (let round = 0; round < 4; round++) {
    for (const partition of ends.keys()) {
      const records = Array.from({ length: 60 }, () => {
        const [id, v] = [below(20), 300 * round + below(600)];
        newest.set(id, [Math.max(v, newest.get(id)?.[0] ?? -1)]);
        return { key: JSON.stringify({ id }), value: JSON.stringify({ id, v }) };
      });
      const baseOffset = ends[partition] ?? 0;
      broker.append("t", partition, buildBatch({ baseOffset, records, leaderEpoch: 0 }));
      ends[partition] = baseOffset + records.length;
    }
    const changes: ChangeOptions = {
      mode: "ktable",
      keyFields: ["id"],
      keyFormat: "json",
      onDelete: "ignore",
      opField: null,
      orderColumn: "v",
    };
    const run = pipelineOf(broker, {
      topics: ["t"],
      warehouse,
      decoder: { changes, fields: FIELDS },
      key: { key: ["id"], order: "v" },
    });
    expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
    const rows = await rowsIn(warehouse);
    expect([...rows].sort(([a], [b]) => a - b)).toEqual([...newest].sort(([a], [b]) => a - b));
  }
});

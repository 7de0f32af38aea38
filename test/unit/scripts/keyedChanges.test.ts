import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { Scratch } from "#consumer/codec/blocks.ts";
import { crcMatches, walkBatches } from "#consumer/fetch/recordBatch.ts";
import { FIRST_ID, FIRST_N, KeyedChanges } from "../../../scripts/events/keyedChanges.ts";
import { keyedRecordsOf } from "../loadtest/support.ts";

const [KEYS, PARTITIONS, ROWS] = [400, 4, 50];
const STAMP_MS = 1_767_225_600_123;

test("the model of a topic of changes is what a fold of its batches has, key by key", () => {
  const job = { keys: KEYS, partitions: PARTITIONS, rowsPerBatch: ROWS };
  const changes = new KeyedChanges({ ...job, random: seededRandom(3) });
  const folded = new Map<number, number>();
  const scratch = new Scratch();
  let deletes = 0;
  const fold = (bytes: Uint8Array, partition: number): void => {
    const [batch] = walkBatches(bytes, 0n, [], true).batches;
    if (batch === undefined || !crcMatches(batch.bytes, scratch)) throw new Error("no whole batch");
    for (const { key, value } of keyedRecordsOf(bytes, ROWS)) {
      const { id } = JSON.parse(key ?? "") as { id: number };
      const row = value === null ? null : (JSON.parse(value) as { id: number; n: number });
      const isThere = (id - FIRST_ID) % PARTITIONS === partition && (row?.id ?? id) === id;
      if (!isThere) throw new Error(`key ${key}, value ${value} in partition ${partition}`);
      if (row === null) deletes++;
      if (row === null) folded.delete(id - FIRST_ID);
      else folded.set(id - FIRST_ID, row.n - Number(FIRST_N));
    }
  };
  const modelled = (): Map<number, number> =>
    new Map([...changes.last.entries()].filter(([, n]) => n > 0));
  for (let n = 0; n < KEYS / ROWS; n++) {
    fold(changes.insert(STAMP_MS, n % PARTITIONS), n % PARTITIONS);
  }
  expect(folded.size).toBe(KEYS);
  expect(modelled()).toEqual(folded);
  for (let n = 0; n < 60; n++) fold(changes.change(STAMP_MS, n % PARTITIONS), n % PARTITIONS);
  expect(deletes).toBeGreaterThan(20);
  expect(new Map([...folded].sort(([a], [b]) => a - b))).toEqual(modelled());
});

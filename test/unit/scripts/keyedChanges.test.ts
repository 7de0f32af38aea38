import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { Scratch } from "#consumer/codec/blocks.ts";
import { crcMatches, walkBatches } from "#consumer/fetch/recordBatch.ts";
import { FIRST_ID, FIRST_N, KeyedChanges } from "../../../scripts/events/keyedChanges.ts";
import { keyedRecordsOf } from "../loadtest/support.ts";

const [KEYS, PARTITIONS, ROWS] = [400, 4, 50];
const STAMP_MS = 1_767_225_600_123;

interface Change {
  readonly id: number;
  readonly row: { readonly id: number; readonly n: number } | null;
}

/** What our own reader finds in a batch. */
function changesIn(bytes: Uint8Array): Change[] {
  const [batch] = walkBatches(bytes, 0n, [], true).batches;
  if (batch === undefined || !crcMatches(batch.bytes, new Scratch())) throw new Error("not whole");
  return keyedRecordsOf(bytes, ROWS).map(({ key, value }) => {
    const { id } = JSON.parse(key ?? "") as { id: number };
    const row = value === null ? null : (JSON.parse(value) as Change["row"]);
    if (row !== null && row.id !== id) throw new Error(`key ${key}, value ${value}`);
    return { id, row };
  });
}

test("the model of a topic of changes is what a fold of its batches has, key by key", () => {
  const job = { keys: KEYS, partitions: PARTITIONS, rowsPerBatch: ROWS };
  const changes = new KeyedChanges({ ...job, random: seededRandom(3) });
  const folded = new Map<number, number>();
  let deletes = 0;
  const fold = (bytes: Uint8Array, partition: number): void => {
    for (const { id, row } of changesIn(bytes)) {
      if ((id - FIRST_ID) % PARTITIONS !== partition) throw new Error(`${id} in ${partition}`);
      if (row === null) deletes++;
      if (row === null) folded.delete(id - FIRST_ID);
      else folded.set(id - FIRST_ID, row.n - Number(FIRST_N));
    }
  };
  const modelled = (): Map<number, number> =>
    new Map([...changes.model.last.entries()].filter(([, n]) => n > 0));
  for (let n = 0; n < KEYS / ROWS; n++) {
    fold(changes.insert(STAMP_MS, n % PARTITIONS), n % PARTITIONS);
  }
  expect(folded.size).toBe(KEYS);
  expect(modelled()).toEqual(folded);
  for (let n = 0; n < 60; n++) fold(changes.change(STAMP_MS, n % PARTITIONS), n % PARTITIONS);
  expect(deletes).toBeGreaterThan(20);
  expect(new Map([...folded].sort(([a], [b]) => a - b))).toEqual(modelled());
});

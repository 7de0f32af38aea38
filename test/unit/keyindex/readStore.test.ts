/** Restoring a key table from its dumps: what it takes. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { type KeyStore, openKeyStore } from "#keyindex/store.ts";
import { createWasmKeyTable, type WasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { createLossyDisk } from "../../fakes/lossyDisk.ts";

/** Larger changes than this are dumped. */
const SIZES = { pending: 4000, log: 2500, cycle: 3000 };

test("a restored table takes memory for its keys, not for the many rows that one of them has", async () => {
  const disk = createLossyDisk({ random: seededRandom(10) });
  await disk.mount().mkdir("/state");
  const open = async (table: WasmKeyTable): Promise<KeyStore> =>
    await openKeyStore({
      ...{ disk: disk.mount(), folder: "/state/keys", table, sizes: SIZES },
      warn: (error) => expect(error).toBeNull(),
    });
  const before = createWasmKeyTable();
  const store = await open(before);
  const rows = Uint32Array.from({ length: 20_000 }, (_, row) => row);
  store.add({ count: rows.length, words: new BigUint64Array(2 * rows.length).fill(7n) }, 1, rows);
  await store.commit({ identity: "t", snapshotId: 1n });
  await store.close();
  const after = createWasmKeyTable();
  expect((await open(after)).restored?.rows.get(1)).toBe(rows.length);
  expect(after.bytes).toBeLessThan(before.bytes + 1_000_000);
});

/**
 * How this process finds rows by their keys, in tables whose records change rows (SPEC 2.10): an index for
 * each table, in memory, read from the table when it is first needed.
 */
import type { Random } from "#base/random.ts";
import { volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import type { KeyParts } from "#writer/parts.ts";

/** The indexes of a process, under a secret of its own: nobody can make keys that meet in one place. */
export function keyParts(random: Random): KeyParts {
  const secret = { k0: random.id63(), k1: random.id63() };
  return {
    secret,
    openIndex: async (_table, keyColumns) => {
      const store = volatileKeyStore(createWasmKeyTable());
      return createTableIndex({ store, secret, keyColumns });
    },
  };
}

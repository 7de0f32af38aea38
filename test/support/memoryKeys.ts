/** Key indexes in this thread, which nobody keeps. */
import { volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import type { KeyParts } from "#writer/parts.ts";

/** Under a secret of the tests. */
export function memoryKeys(): KeyParts {
  const secret = { k0: 11n, k1: 12n };
  return {
    secret,
    openIndex: (_table, keyColumns, orderColumn = null) => {
      const store = volatileKeyStore(createWasmKeyTable());
      return Promise.resolve(createTableIndex({ store, secret, keyColumns, orderColumn }));
    },
  };
}

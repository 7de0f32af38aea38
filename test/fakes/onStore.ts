/** A catalog whose tables lie on another store than its own: vended credentials, faults of one table. */
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import type { Storage } from "#storage/storage.ts";

/** `catalog`, whose tables come with the store that `storageFor` makes of theirs. */
export function onStore(catalog: Catalog, storageFor: (store: Storage) => Storage): Catalog {
  const moved = (table: LoadedTable): LoadedTable => ({
    ...table,
    storage: storageFor(table.storage),
  });
  return {
    traits: catalog.traits,
    open: () => catalog.open(),
    locationOf: (name) => catalog.locationOf(name),
    list: (namespace) => catalog.list(namespace),
    close: () => catalog.close(),
    load: async (name) => {
      const table = await catalog.load(name);
      return table === null ? null : moved(table);
    },
    create: async (request) => {
      const outcome = await catalog.create(request);
      return outcome.kind === "committed" ? { ...outcome, table: moved(outcome.table) } : outcome;
    },
    commit: async (...request) => {
      const outcome = await catalog.commit(...request);
      return outcome.kind === "committed" ? { ...outcome, table: moved(outcome.table) } : outcome;
    },
  };
}

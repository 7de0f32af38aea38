/**
 * Chooses the catalog by its type and reports how long its operations take.
 */
import type { Clock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { schemeOf } from "#storage/location.ts";
import { requireConditionalWrites } from "#storage/probe.ts";
import type { Storage } from "#storage/storage.ts";
import type { VendedStore } from "#storage/vended.ts";
import type { Catalog, CommitOutcome } from "./catalog.ts";
import { createFileCatalog, type FileCatalogOptions } from "./file.ts";
import { createGlueCatalog, type GlueCatalogOptions } from "./glue/glue.ts";
import { createHiveCatalog, type HiveCatalogOptions } from "./hive/hive.ts";
import type { RestCatalogOptions } from "./rest/options.ts";
import { createRestCatalog } from "./rest/restCatalog.ts";
import { createSqlCatalog, type SqlCatalogOptions } from "./sql.ts";

/** Settings of a catalog. */
export type CatalogOptions =
  | ({ readonly type: "file" } & FileCatalogOptions)
  | ({ readonly type: "sql" } & SqlCatalogOptions)
  | ({ readonly type: "glue" } & GlueCatalogOptions)
  | ({ readonly type: "hive" } & HiveCatalogOptions)
  | ({ readonly type: "rest" } & RestCatalogOptions);

/** Where a catalog's tables live; null where the catalog chooses. */
export function warehouseOf(options: CatalogOptions): string | null {
  return options.type === "file" || options.type === "sql" ? options.warehouse : null;
}

/** What a catalog is built from. */
export interface CatalogParts {
  readonly storage: Storage;
  /**
   * Opens the store of one table, with what the catalog says about it; the catalog closes it.
   * Default: `storage` serves every table.
   */
  readonly storageWith?: (vended: VendedStore) => Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observe: Observe;
}

/** Builds a catalog; `Catalog.open` connects. Throws `usage` for settings that cannot be. */
export function openCatalog(options: CatalogOptions, parts: CatalogParts): Catalog {
  return observedCatalog(createCatalog(options, parts), parts);
}

function createCatalog(options: CatalogOptions, parts: CatalogParts): Catalog {
  switch (options.type) {
    case "file":
      return createFileCatalog(options, {
        ...parts,
        verify: () => requireStore(options.warehouse, parts),
      });
    case "sql":
      return createSqlCatalog(options, parts);
    case "glue":
      return createGlueCatalog(options, parts);
    case "hive":
      return createHiveCatalog(options, parts);
    case "rest":
      return createRestCatalog(options, { storageWith: () => parts.storage, ...parts });
  }
}

/** Local disks link; of other stores it is tried whether their conditional writes hold. */
async function requireStore(
  warehouse: string,
  { storage, random }: Pick<CatalogParts, "storage" | "random">,
): Promise<void> {
  if (schemeOf(warehouse) === "file") return;
  await requireConditionalWrites(storage, warehouse, random);
}

/** Emits a `catalog` observation for each operation; a commit's error is its outcome's name. */
export function observedCatalog(
  catalog: Catalog,
  parts: Pick<CatalogParts, "clock" | "observe">,
): Catalog {
  const timed = async <T>(
    operation: string,
    run: () => Promise<T>,
    errorOf: (result: T) => string | null,
  ): Promise<T> => {
    const began = parts.clock.monotonicMs();
    const report = (error: string | null): void =>
      parts.observe({
        type: "catalog",
        operation,
        catalogType: catalog.traits.type,
        durationMs: parts.clock.monotonicMs() - began,
        error,
      });
    try {
      const result = await run();
      report(errorOf(result));
      return result;
    } catch (error) {
      report(kindOf(error));
      throw error;
    }
  };
  const none = (): null => null;
  const outcomeError = (outcome: CommitOutcome): string | null =>
    outcome.kind === "committed" ? null : outcome.kind;
  const { commitTogether, keepView } = catalog;
  return {
    ...(commitTogether && {
      commitTogether: (changes) =>
        timed(
          "commit_together",
          () => commitTogether.call(catalog, changes),
          (outcomes) => outcomes?.map(outcomeError).find((error) => error !== null) ?? null,
        ),
    }),
    ...(keepView && {
      keepView: (view) => timed("keep_view", () => keepView.call(catalog, view), none),
    }),
    traits: catalog.traits,
    open: () => timed("open", () => catalog.open(), none),
    load: (name) => timed("load", () => catalog.load(name), none),
    locationOf: (name) => catalog.locationOf(name),
    missingRights: async (tables) => (await catalog.missingRights?.(tables)) ?? [],
    create: (request) => timed("create", () => catalog.create(request), outcomeError),
    commit: (name, requirements, updates) =>
      timed("commit", () => catalog.commit(name, requirements, updates), outcomeError),
    list: (namespace) => timed("list", () => catalog.list(namespace), none),
    close: () => catalog.close(),
  };
}

/**
 * Chooses the catalog by its type and reports how long its operations take.
 */
import type { Clock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Storage } from "#storage/storage.ts";
import type { Catalog, CommitOutcome } from "./catalog.ts";
import { createFileCatalog, type FileCatalogOptions } from "./file.ts";
import { createSqlCatalog, type SqlCatalogOptions } from "./sql.ts";

/** Settings of a catalog. */
export type CatalogOptions =
  | ({ readonly type: "file" } & FileCatalogOptions)
  | ({ readonly type: "sql" } & SqlCatalogOptions);

/** What a catalog is built from. */
export interface CatalogParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observe: Observe;
}

/** Builds a catalog; `Catalog.open` connects. Throws `usage` for settings that cannot be. */
export function openCatalog(options: CatalogOptions, parts: CatalogParts): Catalog {
  const catalog =
    options.type === "file" ? createFileCatalog(options, parts) : createSqlCatalog(options, parts);
  return observedCatalog(catalog, parts);
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
  return {
    traits: catalog.traits,
    open: () => timed("open", () => catalog.open(), none),
    load: (name) => timed("load", () => catalog.load(name), none),
    locationOf: (name) => catalog.locationOf(name),
    create: (request) => timed("create", () => catalog.create(request), outcomeError),
    commit: (name, requirements, updates) =>
      timed("commit", () => catalog.commit(name, requirements, updates), outcomeError),
    list: (namespace) => timed("list", () => catalog.list(namespace), none),
    close: () => catalog.close(),
  };
}

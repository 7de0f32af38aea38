/**
 * What `check` finds out about a store: is it there, do its credentials hold, and what may they do. On a
 * local disk that is seen; elsewhere only trying tells, with an object of a name of its own, which is
 * removed again.
 */
import { constants, existsSync } from "node:fs";
import { access } from "node:fs/promises";
import { dirname } from "node:path";
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { CatalogOptions } from "#catalog/open.ts";
import { namespaceOf } from "#config/tableNames.ts";
import { localPath, schemeOf } from "#storage/location.ts";
import { missingRights, requireConditionalWrites } from "#storage/probe.ts";
import type { Storage } from "#storage/storage.ts";
import { type OpenPipeline, systemParts } from "./open.ts";

/** Races of a store's conditional writes: a person waits, so that one that fails now and then is found. */
const RACES = 5;

/** What was found of a store. */
export interface StoreFindings {
  /** Sentences, each a right that is missing. */
  readonly refusals: readonly string[];
  /** What may be done, for people; null: not everything that is needed. */
  readonly note: string | null;
}

/**
 * The nearest folder that is there must let us make what is missing below it. Throws `storage_refused`.
 * Says nothing of stores elsewhere.
 */
export async function requireWritable(warehouse: string): Promise<void> {
  if (schemeOf(warehouse) !== "file") return;
  let folder = localPath(warehouse);
  while (folder !== dirname(folder) && !existsSync(folder)) folder = dirname(folder);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const sentence = `The folder ${folder} may not be written by this process`;
    throw fail("storage_refused", sentence, { folder }, cause);
  }
}

/** Looks at the stores of one pipeline. */
export interface StoreCheck {
  /**
   * The warehouse's, where the catalog says nothing else. Throws what keeps the store from answering, and
   * `catalog_refused` where the file catalog would not be safe in it.
   */
  warehouse(open: OpenPipeline, options: CatalogOptions): Promise<void>;
  /** A table's: the catalog chooses the store then, and lends its credentials; one table shows them. */
  table(table: LoadedTable): Promise<void>;
}

/** @param tell hears what is found, once */
export function storeCheck(tell: (found: StoreFindings) => void): StoreCheck {
  let isTold = false;
  return {
    warehouse: async ({ pipeline, storage, catalog }, { type }) => {
      const namespace = namespaceOf(pipeline.values);
      const location = await catalog.locationOf({ namespace, table: "check" });
      if (location === null) return;
      isTold = true;
      const folder = location.slice(0, location.lastIndexOf("/"));
      if (schemeOf(folder) === "file") {
        for await (const _ of storage.list(`${location}/`)) return;
        return;
      }
      const found = await rightsIn(storage, folder);
      tell(found);
      if (type === "file" && found.note !== null)
        await requireConditionalWrites(storage, folder, systemParts.random, RACES);
    },
    table: async ({ storage, metadata: { location } }) => {
      if (isTold || schemeOf(location) === "file") return;
      isTold = true;
      tell(await rightsIn(storage, location));
    },
  };
}

async function rightsIn(storage: Storage, folder: string): Promise<StoreFindings> {
  const missing = await missingRights(storage, folder, systemParts.random);
  const refusals = missing.map(({ right, refusal }) => `${folder}: ${right}: ${refusal.message}`);
  const note = `${folder} may be listed, written, read and deleted from`;
  return { refusals, note: missing.length === 0 ? note : null };
}

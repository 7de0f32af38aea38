/**
 * What time it is in a store: objects carry the store's time, and a machine whose clock is days ahead
 * would take every file for an old one.
 */
import type { Random } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { removeUnreachable } from "#commit/removal.ts";
import { metadataFolder } from "#iceberg/io/stageAppend.ts";

/**
 * The store's time now, ms since epoch: that of an object which is written to find out, and removed.
 * Null when the store does not show the object.
 * @throws what the store throws
 */
export async function storeTimeMs(head: LoadedTable, random: Random): Promise<number | null> {
  const location = `${metadataFolder(head.metadata)}/clock-${random.uuid()}.tmp`;
  await head.storage.put(location, new TextEncoder().encode("What time is it here?"));
  const found = await head.storage.head(location);
  await removeUnreachable(head, [location]);
  return found?.modifiedMs ?? null;
}

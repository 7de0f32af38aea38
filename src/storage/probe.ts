/**
 * What a store lets us do in a folder, found out by doing it with small objects under names of its own,
 * which are removed again; and whether its conditional writes hold, without which the file catalog would
 * lose commits.
 */
import { type AppError, fail, kindOf } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import type { Storage } from "./storage.ts";

/** A right on a store that was found missing, and how the store says so. */
export interface MissingRight {
  readonly right: "list" | "write" | "read" | "delete";
  readonly refusal: AppError;
}

/** Writers that race for one name. */
const RACERS = 8;

/**
 * Lists, writes, reads and deletes below `folder`.
 * @returns what is refused; empty: everything may be done
 * Throws other trouble: `storage_unreachable`, `storage_missing` for a bucket that is not there.
 */
export async function missingRights(
  storage: Storage,
  folder: string,
  random: Random,
): Promise<MissingRight[]> {
  const location = probeName(folder, random);
  const missing: MissingRight[] = [];
  const may = async (
    right: MissingRight["right"],
    run: () => Promise<unknown>,
  ): Promise<boolean> => {
    try {
      await run();
      return true;
    } catch (error) {
      if (kindOf(error) !== "storage_refused") throw error;
      missing.push({ right, refusal: error as AppError });
      return false;
    }
  };
  await may("list", async () => {
    for await (const _ of storage.list(`${withoutSlash(folder)}/`)) return;
  });
  const isWritten = await may("write", () => storage.put(location, Uint8Array.of(1)));
  if (isWritten) await may("read", () => storage.get(location));
  await may("delete", () => storage.remove([location]));
  return missing;
}

/**
 * Throws `catalog_refused` in one sentence unless "write where nothing is" holds in a store, one writer
 * after the other and at the same time.
 * @param races how often writers race: one shows a store that overwrites; one that looks before it writes
 *   shows itself in some of them only
 */
export async function requireConditionalWrites(
  storage: Storage,
  folder: string,
  random: Random,
  races = 1,
): Promise<void> {
  const names = Array.from({ length: races }, () => probeName(folder, random));
  try {
    for (const name of names) {
      const racers = Array.from({ length: RACERS }, (_, at) =>
        storage.putIfAbsent(name, Uint8Array.of(at)),
      );
      const won = await Promise.all(racers);
      const winner = won.indexOf(true);
      const isLate = await storage.putIfAbsent(name, Uint8Array.of(RACERS));
      const [kept] = await storage.get(name);
      if (!isLate && winner === won.lastIndexOf(true) && kept === winner) continue;
      throw fail("catalog_refused", refusalOf(folder), { folder });
    }
  } finally {
    await storage.remove(names).catch(() => undefined);
  }
}

function refusalOf(folder: string): string {
  return (
    `The store of ${folder} does not honour conditional writes (If-None-Match), without which the file ` +
    'catalog would lose commits; use iceberg.catalog_type = "sql" or "rest" with it'
  );
}

/** No reader takes a name with a dot before it for a table's file. */
function probeName(folder: string, random: Random): string {
  return `${withoutSlash(folder)}/.kafka-iceberg-probe-${random.uuid()}`;
}

function withoutSlash(folder: string): string {
  return folder.replace(/\/+$/, "");
}

/**
 * The store of each table of a REST catalog: the pipeline's own, or one with what the catalog says in
 * its answer about the table: credentials that it hands out (vended), endpoint, region.
 *
 * Vended credentials end. Each answer about the table brings new ones; where none came in time, the
 * table is loaded for their sake, at the latest when the store has refused the old ones.
 */
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { Json } from "#base/json.ts";
import type { TableName } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { SignedRequest, UnsignedRequest } from "#storage/s3Signer.ts";
import type { Storage } from "#storage/storage.ts";
import type { VendedStore } from "#storage/vended.ts";
import {
  type LentCredentials,
  type SignerAddress,
  type StoreUses,
  storeAnswerOf,
  vendedStoreOf,
} from "./vendedStore.ts";

/** Credentials with their end, ms since epoch; null: not known. */
interface Lent {
  readonly credentials: LentCredentials;
  readonly receivedMs: number;
  readonly expiresMs: number | null;
}

/** A table's store and the credentials that it uses now. */
interface Entry {
  readonly settings: string;
  readonly storage: Storage;
  lent: Lent | null;
}

/** What the stores are made from. */
export interface TableStorageParts {
  readonly clock: Clock;
  /** The pipeline's own store. */
  readonly storage: Storage;
  /** Opens a store with other settings. */
  readonly storageWith: (vended: VendedStore) => Storage;
  /** Loads a table, whose answer is given to {@link TableStorages.of}. */
  readonly reload: (name: TableName) => Promise<unknown>;
  /** Asks the catalog for a signature. */
  readonly sign: (signer: SignerAddress, request: UnsignedRequest) => Promise<SignedRequest>;
  /** What else is in answers is not used. */
  readonly uses: StoreUses;
}

/** Keys are renewed when so much of their life is left, and this long before their end at most. */
const LIFE_LEFT = 0.25;
const LEFT_MS_MAX = 300_000;

/** Stores by table. */
export class TableStorages {
  readonly #parts: TableStorageParts;
  readonly #entries = new Map<string, Entry>();
  readonly #reloading = new Map<string, Promise<unknown>>();
  readonly #opened: Storage[] = [];

  constructor(parts: TableStorageParts) {
    this.#parts = parts;
  }

  /**
   * The store of a table, by the server's answer about it.
   * @param answer null: the store stays the one that it was. So it is after a commit: only answers to
   * loads bring keys, and one to a commit may have the settings of the store without them
   */
  of(name: TableName, location: string, answer: Json): Storage {
    const said = storeAnswerOf(location, answer, this.#parts.uses);
    if (said === null) return this.#parts.storage;
    const { lent: lends, ...settings } = said;
    const lent = lends === null ? null : { ...lends, receivedMs: this.#parts.clock.nowMs() };
    const { endpoint, region, pathStyle } = settings;
    const isSilent = [endpoint, region, pathStyle].every((value) => value === null);
    const key = fullName(name);
    const known = this.#entries.get(key);
    if (lent === null && isSilent) return known?.storage ?? this.#parts.storage;
    const kind = lent === null ? [] : Object.keys(lent.credentials);
    const text = JSON.stringify({ ...settings, kind });
    if (known?.settings === text) {
      known.lent = lent;
      return known.storage;
    }
    const credentials = (fresh: boolean) => this.#credentials(name, fresh);
    const vended = vendedStoreOf(said, credentials, this.#parts.sign);
    const storage = this.#parts.storageWith(vended);
    this.#opened.push(storage);
    this.#entries.set(key, { settings: text, storage, lent });
    return storage;
  }

  /** Whether the next answer about a table must bring keys. */
  wantsKeys(name: TableName): boolean {
    const lent = this.#entries.get(fullName(name))?.lent ?? null;
    return lent !== null && this.#isEnding(lent);
  }

  async close(): Promise<void> {
    this.#entries.clear();
    for (const storage of this.#opened.splice(0)) await storage.close();
  }

  /**
   * Credentials that are good now. While the old ones last nobody waits for new ones: a catalog that hangs
   * would else stop uploads that need nothing of it.
   */
  async #credentials(name: TableName, fresh: boolean): Promise<LentCredentials> {
    const key = fullName(name);
    const held = this.#lent(key);
    if (!fresh && !this.#isEnding(held)) return held.credentials;
    const reloading = this.#reload(name);
    const isOver = held.expiresMs !== null && held.expiresMs <= this.#parts.clock.nowMs();
    if (fresh || isOver) await reloading;
    else reloading.catch(() => undefined);
    return this.#lent(key).credentials;
  }

  /** Loads a table for its keys, once for all who ask meanwhile. */
  #reload(name: TableName): Promise<unknown> {
    const key = fullName(name);
    const running = this.#reloading.get(key);
    if (running !== undefined) return running;
    const reloading = this.#parts.reload(name).finally(() => this.#reloading.delete(key));
    this.#reloading.set(key, reloading);
    return reloading;
  }

  #lent(key: string): Lent {
    const lent = this.#entries.get(key)?.lent ?? null;
    if (lent === null) throw fail("storage_refused", `The catalog lends no keys for ${key}`);
    return lent;
  }

  #isEnding({ receivedMs, expiresMs }: Lent): boolean {
    if (expiresMs === null) return false;
    const leftMs = Math.min(LEFT_MS_MAX, (expiresMs - receivedMs) * LIFE_LEFT);
    return this.#parts.clock.nowMs() >= expiresMs - leftMs;
  }
}

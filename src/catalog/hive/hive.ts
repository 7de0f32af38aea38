/**
 * The Hive Metastore as a catalog: a Hive table holds the location of the current metadata file, as Iceberg's own
 * HiveCatalog keeps it. A commit takes the metastore's lock, looks again, replaces the table, reads it back, and gives
 * the lock back.
 *
 * Where the table's owner has turned the lock off, the replacement names the location that it replaces, and the
 * metastore compares for itself (HIVE-26882, since 2.3.10 and 4.0): only where that was seen to hold. With the lock it is
 * not asked to, as by Iceberg's own writers: 4.0.1 cannot on Derby (decision 0301). So a replacement that comes
 * late, after the lock was given up, may still be applied.
 */
import { userInfo } from "node:os";
import { fail } from "#base/errors.ts";
import type { RetryOptions } from "#base/retry.ts";
import { type Answer, type ReadAnswer, readAnswer } from "#catalog/answer.ts";
import type { Catalog, TableName } from "#catalog/catalog.ts";
import { type MetastoreName, metastoreDatabase, metastoreName } from "#catalog/names.ts";
import {
  createPointerCatalog,
  type NextPointer,
  type Pointer,
  type PointerCatalogParts,
  type PointerStore,
  type PointerWrite,
} from "#catalog/pointer.ts";
import type { connectMetastore, MetastoreAddress, MetastoreLogin } from "./connection.ts";
import {
  METADATA_LOCATION,
  metadataLocationOf,
  newTable,
  nextTable,
  shows,
  usesLock,
} from "./hiveTable.ts";
import { takeLock } from "./lock.ts";
import { createMetastore, type Metastore } from "./metastore.ts";
import type { Table } from "./metastoreApi.ts";

/** Settings of the Hive catalog (SPEC section 4, `[iceberg.hive]`). */
export interface HiveCatalogOptions {
  /** Metastores of one database; the first that answers is used. */
  readonly addresses: readonly MetastoreAddress[];
  /** SASL PLAIN; null: no login is asked for. */
  readonly login: MetastoreLogin | null;
  /** Of the state directory, which one process at a time has; empty: of none. */
  readonly instanceId: string;
  /** Where new tables live whose database is not there yet; null: nowhere. */
  readonly warehouse: string | null;
  /** Of one call, its answer included. */
  readonly requestTimeoutMs: number;
  readonly connectionsMax: number;
  /** Of reads; commits are sent once. */
  readonly retry: RetryOptions;
}

/** What the Hive catalog is built from. */
export interface HiveCatalogParts extends PointerCatalogParts {
  /** Connects; default: over TCP. */
  readonly connect?: typeof connectMetastore;
}

/** Makes a catalog; `Catalog.open` connects. */
export function createHiveCatalog(options: HiveCatalogOptions, parts: HiveCatalogParts): Catalog {
  return createPointerCatalog(new HivePointers(options, parts), parts);
}

const SERVICE = "the Hive Metastore";
const NO_SUCH_OBJECT = "NoSuchObjectException";
const EXISTS = "AlreadyExistsException";
/** Objects asked for in one call of a listing. */
const PAGE_TABLES = 100;
const USER_OWNER = 1;

class HivePointers implements PointerStore<Table> {
  readonly type = "hive";
  readonly endsLateRequests = "none";
  readonly #options: HiveCatalogOptions;
  readonly #parts: HiveCatalogParts;
  readonly #metastore: Metastore;
  readonly #user: string;
  /** Whether the metastore was seen to compare; null: nobody has asked. */
  #compares: boolean | null = null;
  /** Agents of locks that were not given back for certain. */
  readonly #unreturned = new Set<string>();

  constructor(options: HiveCatalogOptions, parts: HiveCatalogParts) {
    this.#options = options;
    this.#parts = parts;
    const { clock, connect } = parts;
    const { requestTimeoutMs: timeoutMs } = options;
    const own = { clock, timeoutMs, ...(connect === undefined ? {} : { connect }) };
    this.#metastore = createMetastore({ ...options, ...own });
    this.#user = options.login?.user ?? ownUser();
  }

  async open(): Promise<void> {
    const answer = await this.#read((metastore) => metastore.getDatabase("default"));
    if (answer.kind === "refused" && answer.code !== NO_SUCH_OBJECT) throw answer.error;
  }

  close(): Promise<void> {
    this.#metastore.close();
    return Promise.resolve();
  }

  async get(name: TableName): Promise<Pointer<Table> | null> {
    const key = metastoreName(SERVICE, name);
    const row = await this.#table(key);
    if (row === null) return null;
    const metadataLocation = metadataLocationOf(row);
    if (metadataLocation !== null) return { metadataLocation, row };
    const sentence = `${key.database}.${key.table} in the Hive Metastore is no Iceberg table`;
    throw fail("table_unsupported", `${sentence}: its parameter table_type is not ICEBERG`);
  }

  async insert(name: TableName, next: NextPointer): Promise<PointerWrite> {
    const key = metastoreName(SERVICE, name);
    const about = { user: this.#user, nowMs: this.#parts.clock.nowMs() };
    await this.#requireDatabase(key.database);
    const answer = await this.#metastore.createTable(newTable(key, next, about));
    if (answer.kind === "refused" && answer.code === EXISTS) return { kind: "taken" };
    return this.#ended(answer, key, next, null);
  }

  async swap(name: TableName, previous: Pointer<Table>, next: NextPointer): Promise<PointerWrite> {
    const key = metastoreName(SERVICE, name);
    if (!usesLock(next.metadata)) {
      await this.#requireComparison(previous);
      const context = comparing(previous.metadataLocation);
      return this.#replace(key, previous, next, { context, isLost: () => false });
    }
    const { clock, log, random } = this.#parts;
    const lock = await takeLock(key.database, key.table, {
      metastore: this.#metastore,
      clock,
      log,
      user: this.#user,
      instanceId: this.#options.instanceId,
      uuid: random.uuid(),
      unreturned: this.#unreturned,
    });
    let ended: PointerWrite;
    try {
      const isLost = (): boolean => lock.isLost;
      ended = await this.#replace(key, previous, next, { context: KEEP_STATISTICS, isLost });
    } finally {
      await lock.release();
    }
    if (ended.kind !== "done" || !lock.isLost) return ended;
    const sentence = `The lock on ${key.database}.${key.table} was lost during a commit`;
    return { kind: "unclear", cause: fail("catalog_unreachable", sentence) };
  }

  async list(namespace: TableName["namespace"]): Promise<string[]> {
    const database = metastoreDatabase(SERVICE, namespace);
    const all = await this.#read((metastore) => metastore.getTableNames(database));
    if (all.kind === "refused") throw all.error;
    const names: string[] = [];
    for (let at = 0; at < all.value.length; at += PAGE_TABLES) {
      const asked = all.value.slice(at, at + PAGE_TABLES);
      const page = await this.#read((metastore) => metastore.getTables(database, asked));
      if (page.kind === "refused") throw page.error;
      const own = page.value.filter((table) => metadataLocationOf(table) !== null);
      names.push(...own.map(({ tableName }) => tableName ?? ""));
    }
    return names.sort();
  }

  async locationOf(name: TableName): Promise<string> {
    const { database, table } = metastoreName(SERVICE, name);
    const answer = await this.#read((metastore) => metastore.getDatabase(database));
    if (answer.kind === "refused" && answer.code !== NO_SUCH_OBJECT) throw answer.error;
    const own = answer.kind === "done" ? answer.value.locationUri : undefined;
    if (own !== undefined && own !== "") return `${own.replace(/\/+$/, "")}/${table}`;
    const place = this.#databaseLocation(database);
    if (place !== null) return `${place}/${table}`;
    const sentence = `The Hive database ${database} is not there, and iceberg.warehouse_path is not set`;
    throw fail("usage", `${sentence}: one of them must say where ${table} is to live`);
  }

  #databaseLocation(database: string): string | null {
    const { warehouse } = this.#options;
    return warehouse === null ? null : `${warehouse.replace(/\/+$/, "")}/${database}.db`;
  }

  /** Makes the database where it is missing; somebody else may do so at the same time. */
  async #requireDatabase(name: string): Promise<void> {
    const found = await this.#read((metastore) => metastore.getDatabase(name));
    if (found.kind === "done") return;
    if (found.code !== NO_SUCH_OBJECT) throw found.error;
    const place = this.#databaseLocation(name);
    const made = await this.#metastore.createDatabase({
      name,
      ...(place === null ? {} : { locationUri: place }),
      parameters: {},
      ownerName: this.#user,
      ownerType: USER_OWNER,
    });
    if (made.kind === "done" || (made.kind === "refused" && made.code === EXISTS)) return;
    throw made.error;
  }

  /** @param guard settings of the replacement, and whether the lock that protects it is gone */
  async #replace(
    key: MetastoreName,
    previous: Pointer<Table>,
    next: NextPointer,
    guard: { readonly context: Record<string, string>; readonly isLost: () => boolean },
  ): Promise<PointerWrite> {
    const table = await this.#table(key);
    if (table === null || metadataLocationOf(table) !== previous.metadataLocation) {
      return { kind: "taken" };
    }
    if (guard.isLost()) {
      const sentence = `The lock on ${key.database}.${key.table} was lost before the commit`;
      throw fail("catalog_unreachable", sentence);
    }
    const answer = await this.#metastore.alterTable(nextTable(table, next), guard.context);
    return this.#ended(answer, key, next, previous.metadataLocation);
  }

  /**
   * What a write's answer means. A success is looked at, and so is a MetaException, which may be of what follows the
   * change: of a listener, of the database's answer to its commit. Nothing is under way any more when it is there.
   * @param before the location that was replaced; null: the table is new
   */
  async #ended(
    answer: Answer<unknown>,
    { database, table }: MetastoreName,
    next: NextPointer,
    before: string | null,
  ): Promise<PointerWrite> {
    if (answer.kind === "lost") return { kind: "unclear", cause: answer.error };
    const isVague = answer.kind === "refused" && isMeta(answer) && !isModified(answer);
    if (answer.kind === "refused" && !isVague) return refusedWrite(answer);
    const seen = await this.#metastore.getTable(database, table);
    if (seen.kind === "done") {
      const now = metadataLocationOf(seen.value);
      if (shows(seen.value, next.metadataLocation)) return { kind: "done" };
      if (isVague && now === before) throw answer.error;
      if (before === null) return { kind: "taken" };
    }
    const sentence = `The Hive Metastore does not show a commit to ${database}.${table}`;
    const cause = answer.kind === "refused" ? answer.error : undefined;
    return { kind: "unclear", cause: fail("catalog_unreachable", sentence, {}, cause) };
  }

  /** Throws `catalog_refused` where the metastore does not compare. */
  async #requireComparison({ row, metadataLocation }: Pointer<Table>): Promise<void> {
    this.#compares ??= await provesComparison(this.#metastore, row, metadataLocation);
    if (this.#compares) return;
    const sentence =
      `${row.dbName}.${row.tableName} has engine.hive.lock-enabled = false, but this Hive Metastore does not ` +
      "compare locations on its database (HIVE-26882): set the property to true for all writers";
    throw fail("catalog_refused", sentence);
  }

  async #table({ database, table }: MetastoreName): Promise<Table | null> {
    const answer = await this.#read((metastore) => metastore.getTable(database, table));
    if (answer.kind === "done") return answer.value;
    if (answer.code === NO_SUCH_OBJECT) return null;
    throw answer.error;
  }

  #read<T>(run: (metastore: Metastore) => Promise<Answer<T>>): Promise<ReadAnswer<T>> {
    return readAnswer(this.#parts, this.#options.retry, () => run(this.#metastore));
  }
}

/** Who runs this; a container may have no name for it. */
function ownUser(): string {
  const { username } = userInfo();
  return username === "" || username === "unknown" ? "kafka-iceberg" : username;
}

type Refused = Extract<Answer<unknown>, { kind: "refused" }>;

/** The metastore does not count the table's files at each commit. */
const KEEP_STATISTICS = { DO_NOT_UPDATE_STATS: "true" };

/** Settings of a replacement: which location the table must still have. */
function comparing(location: string): Record<string, string> {
  return {
    ...KEEP_STATISTICS,
    expected_parameter_key: METADATA_LOCATION,
    expected_parameter_value: location,
  };
}

function isMeta({ code }: Refused): boolean {
  return code === "MetaException";
}

function isModified(answer: Refused): boolean {
  return isMeta(answer) && answer.error.message.includes("The table has been modified");
}

/**
 * Whether the metastore compares, found out without changing anything: it is asked to change the partition keys, too,
 * which none does. With a wrong location it must say that the table was changed; with the right one its database must
 * get through the comparison, which 4.0.1 does not on Derby, to the partition keys.
 */
async function provesComparison(
  metastore: Metastore,
  table: Table,
  metadataLocation: string,
): Promise<boolean> {
  const partitionKeys = [...(table.partitionKeys ?? []), { name: "kafka_iceberg", type: "string" }];
  const wrong = { ...table, partitionKeys };
  const first = await metastore.alterTable(wrong, comparing("a location that no table has"));
  if (first.kind !== "refused") throw notProven(first);
  if (!isModified(first)) return false;
  const second = await metastore.alterTable(wrong, comparing(metadataLocation));
  if (second.kind !== "refused") throw notProven(second);
  return isModified(second) || second.code === "InvalidOperationException";
}

function notProven(answer: Exclude<Answer<unknown>, Refused>): Error {
  if (answer.kind === "lost") return answer.error;
  return fail("catalog_refused", "The Hive Metastore changed the partition keys of a table");
}

/** What is said before anything is done: objects and operations are judged first. */
function refusedWrite(answer: Refused): PointerWrite {
  const { code, error } = answer;
  if (isModified(answer)) return { kind: "taken" };
  const isGone = code === "InvalidOperationException" && error.message.includes("doesn't exist");
  if (isGone) return { kind: "taken" };
  throw error;
}

/**
 * AWS Glue as a catalog: a Glue table holds the location of the current metadata file, as Iceberg's own
 * GlueCatalog keeps it. A commit replaces the table if it still has the version that was read (`VersionId`),
 * so no lock is needed.
 *
 * Glue's answer to a commit says nothing about the table. It is read back, so that an answer by somebody
 * who has not done it (a proxy) cannot pass for a commit: files of older snapshots are removed after it.
 */
import { type AppError, fail } from "#base/errors.ts";
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
import type {
  GlueCalls,
  GlueClientOptions,
  GlueClientParts,
  GluePage,
  GlueTable,
} from "./glueClient.ts";
import { metadataLocationOf, shows, tableInput } from "./tableInput.ts";

/** Settings of the Glue catalog (SPEC section 4, `[iceberg.glue]`). */
export interface GlueCatalogOptions extends GlueClientOptions {
  /** Where new tables live whose database has no location of its own; null: nowhere. */
  readonly warehouse: string | null;
  /** True: Glue keeps no older versions of a table, of which it takes a limited number. */
  readonly skipArchive: boolean;
  /** Of reads; commits are sent once. */
  readonly retry: RetryOptions;
}

/** What the Glue catalog is built from. */
export interface GlueCatalogParts extends PointerCatalogParts, GlueClientParts {}

/** Makes a catalog; `Catalog.open` loads the SDK and connects. */
export function createGlueCatalog(options: GlueCatalogOptions, parts: GlueCatalogParts): Catalog {
  return createPointerCatalog(new GluePointers(options, parts), parts);
}

const NOT_FOUND = "EntityNotFoundException";
const EXISTS = "AlreadyExistsException";
const MOVED = "ConcurrentModificationException";
const DENIED = new Set(["AccessDeniedException", "AccessDenied"]);
/** No table has this name: a call about it changes nothing, and still tells what is allowed. */
const PROBE = "kafka_iceberg_check_of_rights";

class GluePointers implements PointerStore<GlueTable> {
  readonly type = "glue";
  readonly endsLateRequests = "all";
  readonly #options: GlueCatalogOptions;
  readonly #parts: GlueCatalogParts;
  #calls: GlueCalls | null = null;

  constructor(options: GlueCatalogOptions, parts: GlueCatalogParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Any answer about a database shows that Glue is there and knows who we are. */
  async open(): Promise<void> {
    const { createGlueCalls } = await import("./glueClient.ts");
    this.#calls ??= createGlueCalls(this.#options, this.#parts);
    const calls = this.#calls;
    const answer = await this.#read(() => calls.getDatabase("default"));
    if (answer.kind === "done" || DENIED.has(answer.code) || answer.code === NOT_FOUND) return;
    throw answer.error;
  }

  close(): Promise<void> {
    this.#calls?.close();
    this.#calls = null;
    return Promise.resolve();
  }

  async get(name: TableName): Promise<Pointer<GlueTable> | null> {
    const { database, table } = glueName(name);
    const answer = await this.#read((calls) => calls.getTable(database, table));
    if (answer.kind === "refused") {
      if (answer.code === NOT_FOUND) return null;
      throw answer.error;
    }
    const metadataLocation = metadataLocationOf(answer.value);
    if (metadataLocation !== null) return { metadataLocation, row: answer.value };
    const sentence = `${database}.${table} in Glue is no Iceberg table`;
    throw fail("table_unsupported", `${sentence}: its parameter table_type is not ICEBERG`);
  }

  async insert(name: TableName, next: NextPointer): Promise<PointerWrite> {
    const key = glueName(name);
    const input = tableInput(key.table, next, null);
    const create = (): Promise<Answer<unknown>> => this.#use().createTable(key.database, input);
    let answer = await create();
    if (answer.kind === "refused" && answer.code === NOT_FOUND) {
      await this.#createDatabase(key.database);
      answer = await create();
    }
    return this.#ended(answer, EXISTS, key, next);
  }

  async swap(
    name: TableName,
    { row }: Pointer<GlueTable>,
    next: NextPointer,
  ): Promise<PointerWrite> {
    const key = glueName(name);
    const { VersionId } = row;
    if (VersionId === undefined) {
      const sentence = `Glue gave no VersionId of ${key.database}.${key.table}`;
      throw fail("catalog_refused", `${sentence}, without which a commit could undo another's`);
    }
    const input = tableInput(key.table, next, row);
    const { skipArchive } = this.#options;
    const answer = await this.#use().updateTable(key.database, input, VersionId, skipArchive);
    const isGone = answer.kind === "refused" && answer.code === NOT_FOUND;
    return isGone ? { kind: "taken" } : this.#ended(answer, MOVED, key, next);
  }

  async list(namespace: TableName["namespace"]): Promise<string[]> {
    const database = metastoreDatabase(SERVICE, namespace);
    const found: GlueTable[] = [];
    const asked = new Set<string | null>();
    for (let token: string | null = null; !asked.has(token); ) {
      asked.add(token);
      const page: GluePage = await this.#page(database, token);
      found.push(...page.tables);
      token = page.next;
    }
    const own = found.filter((table) => metadataLocationOf(table) !== null);
    return own.map(({ Name }) => Name ?? "").sort();
  }

  async #page(database: string, token: string | null): Promise<GluePage> {
    const answer = await this.#read((calls) => calls.getTables(database, token));
    if (answer.kind === "done") return answer.value;
    if (answer.code === NOT_FOUND) return { tables: [], next: null };
    throw answer.error;
  }

  async locationOf(name: TableName): Promise<string> {
    const { database, table } = glueName(name);
    const answer = await this.#read((calls) => calls.getDatabase(database));
    if (answer.kind === "refused" && answer.code !== NOT_FOUND && !DENIED.has(answer.code)) {
      throw answer.error;
    }
    const own = answer.kind === "done" ? answer.value.location : null;
    const { warehouse } = this.#options;
    if (own !== null) return `${own.replace(/\/+$/, "")}/${table}`;
    if (warehouse !== null) return `${warehouse.replace(/\/+$/, "")}/${database}.db/${table}`;
    const sentence = `The Glue database ${database} has no location, and iceberg.warehouse_path is not set`;
    throw fail("usage", `${sentence}: one of them must say where ${table} is to live`);
  }

  async missingRights(names: readonly TableName[]): Promise<string[]> {
    const calls = this.#use();
    const missing = new Set<string>();
    for (const database of new Set(names.map((name) => glueName(name).database))) {
      const probe = { Name: PROBE, Parameters: {} };
      const answers: Answer<unknown>[] = [
        await calls.getDatabase(database),
        await calls.getTables(database, null),
        await calls.getTable(database, PROBE),
        await calls.updateTable(database, probe, "0", true),
      ];
      for (const answer of answers) {
        if (answer.kind === "lost") throw answer.error;
        if (answer.kind === "refused" && DENIED.has(answer.code))
          missing.add(rightIn(answer.error));
      }
    }
    return [...missing];
  }

  /** Somebody else may have made it meanwhile. */
  async #createDatabase(database: string): Promise<void> {
    const answer = await this.#use().createDatabase(database);
    if (answer.kind === "done" || (answer.kind === "refused" && answer.code === EXISTS)) return;
    throw answer.error;
  }

  /** @param taken the exception that says that somebody else was first */
  async #ended(
    answer: Answer<unknown>,
    taken: string,
    { database, table }: MetastoreName,
    next: NextPointer,
  ): Promise<PointerWrite> {
    if (answer.kind === "lost") return { kind: "unclear", cause: answer.error };
    if (answer.kind === "refused") {
      if (answer.code === taken) return { kind: "taken" };
      throw answer.error;
    }
    const seen = await this.#use().getTable(database, table);
    if (seen.kind !== "done") return { kind: "unclear", cause: seen.error };
    if (shows(seen.value, next.metadataLocation)) return { kind: "done" };
    const sentence = `Glue answered success, but ${database}.${table} does not show the commit`;
    return { kind: "unclear", cause: fail("catalog_unreachable", sentence) };
  }

  #read<T>(run: (calls: GlueCalls) => Promise<Answer<T>>): Promise<ReadAnswer<T>> {
    const calls = this.#use();
    return readAnswer(this.#parts, this.#options.retry, () => run(calls));
  }

  #use(): GlueCalls {
    if (this.#calls !== null) return this.#calls;
    throw fail("internal", "The catalog is not open");
  }
}

const SERVICE = "Glue";

function glueName(name: TableName): MetastoreName {
  return metastoreName(SERVICE, name);
}

/** `glue:GetTable on arn:aws:glue:...` of IAM's sentence; else what Glue says. */
function rightIn(error: AppError): string {
  const [, action, , resource] = /perform: (\S+)( on resource: (\S+))?/.exec(error.message) ?? [];
  if (action === undefined) return error.message;
  return resource === undefined ? action : `${action} on ${resource}`;
}

/**
 * A catalog behind the Iceberg REST protocol: the server holds the metadata and applies updates to it
 * (REST catalog spec). Nessie is one, with fewer promises.
 *
 * A commit has three outcomes. An answer of the 4xx kind is definite: nothing was done; 409 is a
 * conflict. No answer, 408, 5xx, and a success that does not show what it says it did, are unknown.
 *
 * The head as it was read last is kept for two things only: to be answered again when the server says
 * that it still is the head (304), and to find out without asking that a commit cannot fit.
 */
import type { AppError } from "#base/errors.ts";
import { fail } from "#base/errors.ts";
import type { HttpAnswer } from "#base/http.ts";
import type { Json } from "#base/json.ts";
import { writeJson } from "#base/json.ts";
import type {
  Catalog,
  CommitOutcome,
  CreateTable,
  KeptView,
  LoadedTable,
  TableChange,
  TableName,
} from "#catalog/catalog.ts";
import { checkNamespace, checkTableName, fullName } from "#catalog/names.ts";
import { notSent } from "#catalog/outcomes.ts";
import { schemaToJson, sortOrderToJson, specToJson } from "#iceberg/metadata/json.ts";
import type { TableMetadata, TableRequirement, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { tableMetadataFromJson } from "#iceberg/metadata/tableMetadataJson.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import type { Storage } from "#storage/storage.ts";
import type { VendedStore } from "#storage/vended.ts";
import { listTables } from "./listing.ts";
import type { RestCatalogOptions } from "./options.ts";
import {
  ENDPOINTS,
  isAway,
  isIcebergError,
  isSuccess,
  membersOf,
  messageOf,
  type RestParts,
  RestSession,
} from "./session.ts";
import { signatureOf } from "./signature.ts";
import { TableStorages } from "./tableStorage.ts";
import { commitTransaction } from "./transaction.ts";
import { keepView } from "./views.ts";
import { changeToJson, creationUpdates, missingIn } from "./wire.ts";

/** What a REST catalog is built from. */
export interface RestCatalogParts extends RestParts {
  readonly storage: Storage;
  readonly storageWith: (vended: VendedStore) => Storage;
}

/**
 * What the protocol takes for granted is said: answers to commits are named (ETag) as all snapshots
 * are, so that the first load after a commit of ours is spared, too (decision 0321).
 */
const ALL_SNAPSHOTS = "?snapshots=all";

/** Makes a catalog; `Catalog.open` connects. */
export function createRestCatalog(options: RestCatalogOptions, parts: RestCatalogParts): Catalog {
  return new RestCatalog(options, parts);
}

/** A head with what the server calls it. */
interface Head {
  readonly table: LoadedTable;
  readonly etag: string | null;
}

class RestCatalog implements Catalog {
  readonly traits: Catalog["traits"];
  readonly #options: RestCatalogOptions;
  readonly #parts: RestCatalogParts;
  readonly #session: RestSession;
  readonly #storages: TableStorages;
  readonly #heads = new Map<string, Head>();

  constructor(options: RestCatalogOptions, parts: RestCatalogParts) {
    this.#options = options;
    this.#parts = parts;
    this.#session = new RestSession(options, parts);
    this.#storages = new TableStorages({
      ...parts,
      uses: options,
      sign: (signer, request) => signatureOf(this.#session, signer, request),
      reload: (name) => this.#read(name, false),
    });
    const isNessie = options.nessieRef !== null;
    this.traits = {
      type: isNessie ? "nessie" : "rest",
      showsAncestors: !isNessie,
      endsLateRequests: isNessie ? "none" : "with-parent",
      removesSchemas: false,
    };
  }

  open(): Promise<void> {
    return this.#session.open();
  }

  async close(): Promise<void> {
    this.#heads.clear();
    await this.#storages.close();
    this.#session.close();
  }

  locationOf(): Promise<null> {
    return Promise.resolve(null);
  }

  async load(name: TableName): Promise<LoadedTable | null> {
    checkTableName(name);
    return this.#read(name, !this.#storages.wantsKeys(name));
  }

  async list(namespace: TableName["namespace"]): Promise<TableName[]> {
    checkNamespace(namespace);
    return listTables(this.#session, namespace);
  }

  keepView(view: KeptView): ReturnType<typeof keepView> {
    checkTableName(view.name);
    return keepView(this.#session, this.#parts.clock, view);
  }

  async create({ name, metadataAt }: CreateTable): Promise<CommitOutcome> {
    checkTableName(name);
    let metadata: TableMetadata;
    try {
      const location = await this.#stage(name, metadataAt(""));
      if (location === null) return { kind: "conflict", cause: "the table exists already" };
      metadata = metadataAt(location);
    } catch (cause) {
      return notSent(cause);
    }
    return this.#commit(name, null, [{ type: "assert-create" }], creationUpdates(metadata));
  }

  async commit(
    name: TableName,
    requirements: readonly TableRequirement[],
    updates: readonly TableUpdate[],
  ): Promise<CommitOutcome> {
    checkTableName(name);
    let before: LoadedTable | null;
    try {
      before = await this.#known(name);
      const refused = this.#unfit(before, requirements, updates);
      if (refused !== null) return { kind: "conflict", cause: refused };
    } catch (cause) {
      return notSent(cause);
    }
    return this.#commit(name, before?.metadata ?? null, requirements, updates);
  }

  commitTogether(changes: readonly TableChange[]): Promise<readonly CommitOutcome[] | null> {
    return commitTransaction(
      {
        session: this.#session,
        known: (name) => this.#known(name),
        load: (name) => this.load(name),
        forget: (name) => void this.#heads.delete(fullName(name)),
        unfit: (head, { requirements, updates }) => this.#unfit(head, requirements, updates),
      },
      changes,
    );
  }

  async #known(name: TableName): Promise<LoadedTable | null> {
    return this.#heads.get(fullName(name))?.table ?? (await this.load(name));
  }

  /** Why a head cannot take a commit; null when it can. Throws `table_schema`. */
  #unfit(
    head: LoadedTable | null,
    requirements: readonly TableRequirement[],
    updates: readonly TableUpdate[],
  ): string | null {
    const timestampMs = this.#parts.clock.nowMs();
    const planned = planCommit(head?.metadata ?? null, requirements, updates, { timestampMs });
    return planned.kind === "conflict" ? planned.reason : null;
  }

  /** @param maySkip true: the server may answer that the head is the one that we have */
  async #read(name: TableName, maySkip: boolean): Promise<LoadedTable | null> {
    const known = this.#heads.get(fullName(name));
    const etag = maySkip ? (known?.etag ?? null) : null;
    const headers = { ...this.#delegation(), ...(etag === null ? {} : { "if-none-match": etag }) };
    const what = `for ${fullName(name)}`;
    const url = `${this.#session.table(name)}${ALL_SNAPSHOTS}`;
    const answer = await this.#session.read(what, url, headers);
    if (answer.status === 304 && known !== undefined) return known.table;
    if (answer.status === 404 && isIcebergError(answer)) {
      this.#heads.delete(fullName(name));
      return null;
    }
    if (answer.status !== 200) throw this.#session.refusal(what, answer);
    const json = this.#session.parse(what, answer);
    return this.#seen(name, answer, json, json);
  }

  #delegation(): Record<string, string> {
    const { vendedCredentials, remoteSigning } = this.#options;
    const ways = [
      ...(vendedCredentials ? ["vended-credentials"] : []),
      ...(remoteSigning ? ["remote-signing"] : []),
    ];
    return ways.length === 0 ? {} : { "x-iceberg-access-delegation": ways.join(",") };
  }

  /**
   * A table by the server's answer, which is remembered. Throws `table_unsupported`.
   * @param store what says where the table's store is; null: nothing new, as after a commit
   */
  #seen(name: TableName, { headers }: HttpAnswer, answer: Json, store: Json): LoadedTable {
    const { metadata: json, "metadata-location": location } = membersOf(answer);
    const metadata = tableMetadataFromJson(json ?? null);
    const table = {
      name,
      metadata,
      metadataLocation: typeof location === "string" ? location : "",
      storage: this.#storages.of(name, metadata.location, store),
    };
    this.#heads.set(fullName(name), { table, etag: headers["etag"] ?? null });
    return table;
  }

  /**
   * Asks where a new table would live, and for what it would be: nothing is made but its namespace.
   * Null when the name is taken. Throws `catalog_refused`, `catalog_unreachable`.
   */
  async #stage(name: TableName, metadata: TableMetadata): Promise<string | null> {
    const what = `to create ${fullName(name)}`;
    if (!this.#session.offers(ENDPOINTS.create)) {
      const sentence = `The catalog ${this.#session.place} does not offer ${ENDPOINTS.create}`;
      throw fail("catalog_refused", sentence);
    }
    await this.#makeNamespace(name.namespace);
    const answer = await this.#askToStage(name, metadata);
    if (answer.status === 409) return null;
    if (isAway(answer)) throw this.#away(what, answer);
    if (answer.status !== 200) throw this.#session.refusal(what, answer);
    const json = this.#session.parse(what, answer);
    const staged = membersOf(membersOf(json)["metadata"]);
    const { location, "format-version": version } = staged;
    if (version !== metadata.formatVersion) {
      throw fail(
        "table_unsupported",
        `The catalog ${this.#session.place} would make ${fullName(name)} in format version ` +
          `${version}, not ${metadata.formatVersion}: set iceberg.write.format_version = ${version}`,
      );
    }
    if (typeof location !== "string") throw this.#away(what, answer);
    this.#storages.of(name, location, json);
    return location;
  }

  async #askToStage(name: TableName, metadata: TableMetadata): Promise<HttpAnswer> {
    const [schema] = metadata.schemas;
    const [spec] = metadata.partitionSpecs;
    const [order] = metadata.sortOrders;
    const body = writeJson({
      name: name.table,
      schema: schema === undefined ? undefined : schemaToJson(schema),
      "partition-spec": spec === undefined ? undefined : specToJson(spec),
      "write-order": order === undefined ? undefined : sortOrderToJson(order),
      properties: { ...metadata.properties, "format-version": String(metadata.formatVersion) },
      "stage-create": true,
    });
    const what = `to create ${fullName(name)}`;
    return this.#definite(what, this.#session.tables(name.namespace), body);
  }

  /**
   * Makes a namespace that is missing, each level, outermost first. It is looked for first, since whoever
   * may make tables in it need not be allowed to make it; and Nessie says only with the commit that
   * it is missing.
   */
  async #makeNamespace(namespace: TableName["namespace"]): Promise<void> {
    const look = `for namespace ${namespace.join(".")}`;
    const found = await this.#session.read(look, this.#session.namespace(namespace));
    if (found.status !== 404 || !isIcebergError(found)) return;
    for (const [index] of namespace.entries()) {
      const levels = namespace.slice(0, index + 1);
      const what = `to create namespace ${levels.join(".")}`;
      const body = writeJson({ namespace: levels, properties: {} });
      const answer = await this.#definite(what, this.#session.namespaces(), body);
      if (isAway(answer)) throw this.#away(what, answer);
      if (answer.status >= 300 && answer.status !== 409) throw this.#session.refusal(what, answer);
    }
  }

  /** A write whose loss costs nothing: it makes no table. Throws `catalog_unreachable`. */
  async #definite(what: string, url: string, body: string): Promise<HttpAnswer> {
    const sent = await this.#session.write(what, url, body, this.#delegation());
    if (sent.kind === "lost") throw sent.cause;
    return sent.answer;
  }

  async #commit(
    name: TableName,
    before: TableMetadata | null,
    requirements: readonly TableRequirement[],
    updates: readonly TableUpdate[],
  ): Promise<CommitOutcome> {
    const what = `a commit to ${fullName(name)}`;
    const body = writeJson(changeToJson({ name, requirements, updates }, before));
    const headers = { "idempotency-key": this.#session.idempotencyKey(), ...this.#delegation() };
    try {
      const sent = await this.#session.write(what, this.#session.table(name), body, headers);
      if (sent.kind === "lost") return this.#unknown(name, sent.cause);
      const { answer } = sent;
      if (isSuccess(answer)) return this.#applied(name, before, updates, answer);
      if (answer.status === 429) return { kind: "conflict", cause: this.#away(what, answer) };
      if (isAway(answer)) return this.#unknown(name, this.#away(what, answer));
      return await this.#refused(name, requirements, updates, answer);
    } catch (cause) {
      return notSent(cause);
    }
  }

  /** A success is believed when the answer shows what was asked for. */
  #applied(
    name: TableName,
    before: TableMetadata | null,
    updates: readonly TableUpdate[],
    answer: HttpAnswer,
  ): CommitOutcome {
    try {
      const json = this.#session.parse(`a commit to ${fullName(name)}`, answer);
      const table = this.#seen(name, answer, json, null);
      const missing = missingIn(table.metadata, before, updates);
      if (missing === null) return { kind: "committed", table };
      const cause = `the catalog said that the table was changed, but ${missing}`;
      return this.#unknown(name, cause);
    } catch (cause) {
      return this.#unknown(name, cause);
    }
  }

  /** What we know of the head is not used again: the next load reads all of it. */
  #unknown(name: TableName, cause: unknown): CommitOutcome {
    this.#heads.delete(fullName(name));
    return { kind: "unknown", cause };
  }

  /**
   * A definite no. Servers call a race 409; some say 400 when an update does not fit the head that it
   * met: then the head of now tells. Throws what a person must see to.
   */
  async #refused(
    name: TableName,
    requirements: readonly TableRequirement[],
    updates: readonly TableUpdate[],
    answer: HttpAnswer,
  ): Promise<CommitOutcome> {
    this.#heads.delete(fullName(name));
    const said = `HTTP ${answer.status} ${messageOf(answer)}`;
    const isGone = answer.status === 404 && isIcebergError(answer);
    if (answer.status === 409 || isGone) return { kind: "conflict", cause: said };
    if (answer.status === 400 || answer.status === 422) {
      const reason = this.#unfit(await this.load(name), requirements, updates);
      if (reason !== null) return { kind: "conflict", cause: `${said}: ${reason}` };
    }
    throw this.#session.refusal(`a commit to ${fullName(name)}`, answer);
  }

  #away(what: string, answer: HttpAnswer): AppError {
    return this.#session.away(what, `HTTP ${answer.status} ${messageOf(answer)}`);
  }
}

/**
 * The Hive Metastore as typed calls over connections that are kept: several addresses, of which the one that answered
 * last is used until it fails, and the three ends of a call (`answer.ts`).
 *
 * An exception of the interface is the metastore's word. One of Thrift itself is not, unless it says that there is no
 * such call: an internal error may come after the work was done.
 */
import { AppError, describe, fail } from "#base/errors.ts";
import { NoAnswer } from "#base/http.ts";
import type { Answer } from "#catalog/answer.ts";
import {
  type ConnectionOptions,
  connectMetastore,
  type MetastoreAddress,
  type MetastoreCall,
  type MetastoreConnection,
  type MetastoreReply,
} from "./connection.ts";
import {
  CALLS,
  type Database,
  type LockRequest,
  type LockResponse,
  type ShowLocksResponse,
  type Table,
} from "./metastoreApi.ts";
import type { ThriftFields, ThriftStruct } from "./thrift.ts";

/** Where metastores listen, and how they are called. */
export interface MetastoreOptions extends ConnectionOptions {
  /** At least one. */
  readonly addresses: readonly MetastoreAddress[];
  /** Open connections at once, at most. */
  readonly connectionsMax: number;
  /** Connects; default {@link connectMetastore}. */
  readonly connect?: typeof connectMetastore;
}

/** Calls of the metastore; none is repeated. */
export interface Metastore {
  getDatabase(name: string): Promise<Answer<Database>>;
  createDatabase(database: Database): Promise<Answer<unknown>>;
  getTable(database: string, table: string): Promise<Answer<Table>>;
  getTableNames(database: string): Promise<Answer<readonly string[]>>;
  getTables(database: string, tables: readonly string[]): Promise<Answer<readonly Table[]>>;
  createTable(table: Table): Promise<Answer<unknown>>;
  /** @param context settings of this call, `expected_parameter_key` among them */
  alterTable(table: Table, context: Readonly<Record<string, string>>): Promise<Answer<unknown>>;
  lock(request: LockRequest): Promise<Answer<LockResponse>>;
  checkLock(lockid: bigint): Promise<Answer<LockResponse>>;
  heartbeat(lockid: bigint): Promise<Answer<unknown>>;
  unlock(lockid: bigint): Promise<Answer<unknown>>;
  showLocks(database: string, table: string): Promise<Answer<ShowLocksResponse>>;
  close(): void;
}

/** Thrift's own exception for a call that a server does not have. */
const UNKNOWN_CALL = "UnknownMethod";
const UNKNOWN_CALL_CODE = 1;
/** What may pass: the metastore's database is away, or a transaction of its own was in the way. */
const PASSING = new Set(["MetaException", "TxnAbortedException", "NoSuchTxnException"]);

/** Makes a client; nothing is connected yet. */
export function createMetastore(options: MetastoreOptions): Metastore {
  const pool = new Pool(options);
  const call = async <T>(name: MetastoreCall, members: ThriftStruct): Promise<Answer<T>> => {
    let connection: MetastoreConnection;
    try {
      connection = await pool.take();
    } catch (error) {
      return { kind: "refused", code: "", error: notConnected(error, options.addresses) };
    }
    try {
      return answerOf<T>(name, await connection.call(name, members));
    } catch (error) {
      return { kind: "lost", error: lostCall(name, error) };
    } finally {
      pool.give(connection);
    }
  };
  let hasGetTable = false;
  const getTable = async (dbName: string, tblName: string): Promise<Answer<Table>> => {
    if (!hasGetTable) {
      const answer = await call<{ table: Table }>("get_table_req", { req: { dbName, tblName } });
      if (answer.kind === "done") return { kind: "done", value: answer.value.table };
      if (answer.kind === "lost" || answer.code !== UNKNOWN_CALL) return answer;
      hasGetTable = true;
    }
    return call<Table>("get_table", { dbname: dbName, tbl_name: tblName });
  };
  return {
    getTable,
    getDatabase: (name) => call("get_database", { name }),
    createDatabase: (database) => call("create_database", { database }),
    getTableNames: (name) => call("get_all_tables", { db_name: name }),
    getTables: async (dbName, tblNames) => {
      const req = { dbName, tblNames };
      const answer = await call<{ tables: Table[] }>("get_table_objects_by_name_req", { req });
      return answer.kind === "done" ? { kind: "done", value: answer.value.tables } : answer;
    },
    createTable: (tbl) => call("create_table", { tbl }),
    alterTable: (table, properties) =>
      call("alter_table_with_environment_context", {
        dbname: table.dbName,
        tbl_name: table.tableName,
        new_tbl: table,
        environment_context: { properties },
      }),
    lock: (rqst) => call("lock", { rqst }),
    checkLock: (lockid) => call("check_lock", { rqst: { lockid } }),
    heartbeat: (lockid) => call("heartbeat", { ids: { lockid } }),
    unlock: (lockid) => call("unlock", { rqst: { lockid } }),
    showLocks: (dbname, tablename) => call("show_locks", { rqst: { dbname, tablename } }),
    close: () => pool.close(),
  };
}

function answerOf<T>(name: MetastoreCall, reply: MetastoreReply): Answer<T> {
  if (reply.kind === "application") {
    const sentence = `The Hive Metastore did not do ${name}: ${reply.message}`;
    const context = { call: name, code: reply.code };
    if (reply.code === UNKNOWN_CALL_CODE) {
      return {
        kind: "refused",
        code: UNKNOWN_CALL,
        error: fail("catalog_refused", sentence, context),
      };
    }
    return { kind: "lost", error: fail("catalog_unreachable", sentence, context) };
  }
  const { success, ...exceptions } = reply.members;
  const [thrown] = Object.entries(exceptions);
  if (thrown === undefined) return { kind: "done", value: success as T };
  const [member, exception] = thrown;
  const fields: ThriftFields = CALLS[name].result;
  const type = fields[member]?.[1];
  if (!Array.isArray(type)) {
    const sentence = `The Hive Metastore answered ${name} with an exception that is not known`;
    return { kind: "lost", error: fail("catalog_unreachable", sentence, { call: name }) };
  }
  const code = String(type[1]);
  const said = String((exception as { message?: string }).message ?? "");
  const kind = PASSING.has(code) ? "catalog_unreachable" : "catalog_refused";
  const sentence = `The Hive Metastore refused ${name} (${code}): ${said}`;
  return { kind: "refused", code, error: fail(kind, sentence, { call: name, code }) };
}

function notConnected(error: unknown, addresses: readonly MetastoreAddress[]): AppError {
  if (error instanceof AppError) return error;
  const where = addresses.map(({ host, port }) => `${host}:${port}`).join(", ");
  const sentence = `The Hive Metastore cannot be reached (${where}): ${describe(error)}`;
  return fail("catalog_unreachable", sentence, {}, error);
}

function lostCall(name: MetastoreCall, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const sentence = `The Hive Metastore gave no answer to ${name}: ${describe(error)}`;
  return fail("catalog_unreachable", sentence, { call: name }, error);
}

/** Connections that are made when they are needed. */
class Pool {
  readonly #options: MetastoreOptions;
  readonly #idle: MetastoreConnection[] = [];
  readonly #waiting: (() => void)[] = [];
  #open = 0;
  /** Of `addresses`: the one that answered last. */
  #current = 0;
  #isClosed = false;

  constructor(options: MetastoreOptions) {
    this.#options = options;
  }

  /** Throws {@link NoAnswer} when no address answers, `catalog_refused` for a wrong login. */
  async take(): Promise<MetastoreConnection> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) {
        if (this.#open < this.#options.connectionsMax) break;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      } else if (idle.isOpen) {
        return idle;
      } else {
        this.#open--;
      }
    }
    this.#open++;
    try {
      return await this.#connect();
    } catch (error) {
      this.#open--;
      this.#waiting.shift()?.();
      throw error;
    }
  }

  give(connection: MetastoreConnection): void {
    if (connection.isOpen && !this.#isClosed) this.#idle.push(connection);
    else this.#open--;
    if (this.#isClosed) connection.close();
    this.#waiting.shift()?.();
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  async #connect(): Promise<MetastoreConnection> {
    const { addresses, connect = connectMetastore } = this.#options;
    let last: unknown = new NoAnswer("there is no address", false);
    for (let tries = 0; tries < addresses.length; tries++) {
      const address = addresses[this.#current % addresses.length];
      if (address === undefined) break;
      try {
        return await connect(address, this.#options);
      } catch (error) {
        if (error instanceof AppError) throw error;
        last = error;
        this.#current = (this.#current + 1) % addresses.length;
      }
    }
    throw last;
  }
}

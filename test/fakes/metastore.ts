/**
 * A Hive Metastore behind the client's connection: databases, tables and locks in memory, shared by all who connect,
 * with the exceptions of the real one; a test may answer in its place, before or after a call is applied.
 */
import type { connectMetastore, MetastoreCall, MetastoreReply } from "#catalog/hive/connection.ts";
import type { Database, Table } from "#catalog/hive/metastoreApi.ts";
import type { ThriftStruct } from "#catalog/hive/thrift.ts";

/** How a metastore differs from 4.0.0. */
export interface MetastoreFakeOptions {
  /** `expected_parameter_key`: heeded, not known (older), or failing in the database (4.0.1 on Derby). */
  readonly comparison?: "heeded" | "unknown" | "broken";
  /** Only `get_table`, as metastores before 3. */
  readonly isOld?: boolean;
}

/** A metastore with its contents and what was asked of it. */
export interface MetastoreFake {
  readonly connect: typeof connectMetastore;
  readonly calls: { readonly name: MetastoreCall; readonly members: ThriftStruct }[];
  readonly databases: Map<string, Database>;
  /** By `database.table`. */
  readonly tables: Map<string, Table>;
  /** By id: whose, on which table. */
  readonly locks: Map<bigint, { readonly agentInfo: string; readonly key: string }>;
  /** Set by tests: an answer of its own, or null to let the metastore answer; may throw `NoAnswer`. */
  intercept: (
    name: MetastoreCall,
    members: ThriftStruct,
    apply: () => MetastoreReply,
  ) => Promise<MetastoreReply | null>;
}

const LOCK = { acquired: 1, waiting: 2 } as const;

/** A result without exceptions. */
export function metastoreResult(success?: unknown): MetastoreReply {
  return { kind: "result", members: success === undefined ? {} : { success } };
}

/** An exception of the interface, by the number of its member in the call's result. */
export function metastoreException(member: string, message: string): MetastoreReply {
  return { kind: "result", members: { [member]: { message } } };
}

/** Creates a metastore with the database `default`. */
export function createMetastoreFake(options: MetastoreFakeOptions = {}): MetastoreFake {
  const { comparison = "heeded", isOld = false } = options;
  const databases: MetastoreFake["databases"] = new Map([["default", { name: "default" }]]);
  const tables: MetastoreFake["tables"] = new Map();
  const locks: MetastoreFake["locks"] = new Map();
  let lockIds = 0n;

  const missing = (member: string): MetastoreReply => metastoreException(member, "no such object");

  const createDatabase = (database: Database): MetastoreReply => {
    const name = database.name ?? "";
    if (databases.has(name)) return metastoreException("o1", "exists");
    databases.set(name, database);
    return metastoreResult();
  };

  const createTable = (table: Table): MetastoreReply => {
    const key = `${table.dbName}.${table.tableName}`;
    if (!databases.has(table.dbName ?? "")) return metastoreException("o2", "no database");
    if (tables.has(key)) return metastoreException("o1", "exists");
    tables.set(key, table);
    return metastoreResult();
  };

  const alterTable = (table: Table, context: Record<string, string>): MetastoreReply => {
    const key = `${table.dbName}.${table.tableName}`;
    const before = tables.get(key);
    if (before === undefined) return metastoreException("o1", `table ${key} doesn't exist`);
    const name = context["expected_parameter_key"];
    if (name !== undefined && comparison !== "unknown") {
      if (before.parameters?.[name] !== context["expected_parameter_value"]) {
        return metastoreException(
          "o2",
          `The table has been modified. The parameter value for key '${name}'`,
        );
      }
      if (comparison === "broken") return metastoreException("o2", "Comparisons between CLOB");
    }
    if (table.partitionKeys?.length !== before.partitionKeys?.length) {
      return metastoreException("o1", "partition keys can not be changed.");
    }
    tables.set(key, table);
    return metastoreResult();
  };

  const state = (lockid: bigint): MetastoreReply => {
    const own = locks.get(lockid);
    if (own === undefined) return metastoreException("o3", `No such lock ${lockid}`);
    const first = [...locks].find(([, { key }]) => key === own.key);
    return metastoreResult({ lockid, state: first?.[0] === lockid ? LOCK.acquired : LOCK.waiting });
  };

  const lock = (request: ThriftStruct): MetastoreReply => {
    const [component] = request["component"] as { dbname: string; tablename: string }[];
    const key = `${component?.dbname}.${component?.tablename}`;
    lockIds++;
    locks.set(lockIds, { key, agentInfo: String(request["agentInfo"]) });
    return state(lockIds);
  };

  const apply = (name: MetastoreCall, members: ThriftStruct): MetastoreReply => {
    const member = (key: string): ThriftStruct => members[key] as ThriftStruct;
    const lockid = (): bigint => member("rqst")["lockid"] as bigint;
    const named = (database: unknown, table: unknown): Table | undefined =>
      tables.get(`${String(database)}.${String(table)}`);
    const operations: Readonly<Record<MetastoreCall, () => MetastoreReply>> = {
      get_database: () => {
        const found = databases.get(String(members["name"]));
        return found === undefined ? missing("o1") : metastoreResult(found);
      },
      create_database: () => createDatabase(member("database") as Database),
      get_table_req: () => {
        if (isOld) return { kind: "application", code: 1, message: "Invalid method name" };
        const found = named(member("req")["dbName"], member("req")["tblName"]);
        return found === undefined ? missing("o2") : metastoreResult({ table: found });
      },
      get_table: () => {
        const found = named(members["dbname"], members["tbl_name"]);
        return found === undefined ? missing("o2") : metastoreResult(found);
      },
      get_all_tables: () => {
        const prefix = `${String(members["db_name"])}.`;
        const keys = [...tables.keys()].filter((key) => key.startsWith(prefix));
        return metastoreResult(keys.map((key) => key.slice(prefix.length)));
      },
      get_table_objects_by_name_req: () => {
        const { dbName, tblNames } = member("req") as { dbName: string; tblNames: string[] };
        return metastoreResult({ tables: tblNames.flatMap((table) => named(dbName, table) ?? []) });
      },
      create_table: () => createTable(member("tbl") as Table),
      alter_table_with_environment_context: () => {
        const { properties } = member("environment_context");
        return alterTable(member("new_tbl") as Table, properties as Record<string, string>);
      },
      lock: () => lock(member("rqst")),
      check_lock: () => state(lockid()),
      heartbeat: () =>
        locks.has(member("ids")["lockid"] as bigint) ? metastoreResult() : missing("o1"),
      unlock: () => (locks.delete(lockid()) ? metastoreResult() : missing("o1")),
      show_locks: () =>
        metastoreResult({ locks: [...locks].map(([id, own]) => ({ ...own, lockid: id })) }),
    };
    return operations[name]();
  };

  const fake: MetastoreFake = {
    calls: [],
    databases,
    tables,
    locks,
    intercept: async () => null,
    connect: async () => {
      let isOpen = true;
      return {
        get isOpen(): boolean {
          return isOpen;
        },
        call: async (name, members) => {
          fake.calls.push({ name, members });
          await Promise.resolve();
          try {
            const own = await fake.intercept(name, members, () => apply(name, members));
            return own ?? apply(name, members);
          } catch (error) {
            isOpen = false;
            throw error;
          }
        },
        close: () => {
          isOpen = false;
        },
      };
    },
  };
  return fake;
}

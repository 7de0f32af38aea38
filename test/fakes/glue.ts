/**
 * AWS Glue behind the SDK's HTTP handler: the real client, serializers and signatures run, and only the
 * network is replaced. Keeps databases and tables with their versions in memory, refuses an update of
 * another version as Glue does, and lets a test answer in its place, before or after a call is applied.
 */
import { Readable } from "node:stream";

/** A call as tests see it. */
export interface GlueFakeCall {
  /** "UpdateTable", ... */
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** Access key of the signature. */
  readonly accessKey: string;
}

/** What is answered; `body` as it stands when it is text. */
export interface GlueFakeAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** A table as Glue keeps it. */
export interface GlueFakeTable {
  readonly [member: string]: unknown;
  readonly VersionId: string;
  readonly Parameters: Readonly<Record<string, string>>;
}

/** A service with its contents and what was asked of it. */
export interface GlueFake {
  readonly requestHandler: { handle(request: unknown): Promise<{ response: HttpOut }> };
  readonly calls: GlueFakeCall[];
  /** By name: the location of each database; null: it has none. */
  readonly databases: Map<string, string | null>;
  /** By `database.table`. */
  readonly tables: Map<string, GlueFakeTable>;
  /** Set by tests: an answer of its own, or null to let Glue answer; may throw, as a lost connection. */
  intercept: (call: GlueFakeCall, apply: () => GlueFakeAnswer) => Promise<GlueFakeAnswer | null>;
}

interface HttpOut {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readable;
}

interface HttpIn {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Tables in one page of a listing. */
const PAGE_TABLES = 2;

/** A refusal in Glue's form. */
export function glueRefusal(code: string, message = "no", status = 400): GlueFakeAnswer {
  return { status, body: { __type: code, Message: message } };
}

/** Creates a service without databases. */
export function createGlueFake(): GlueFake {
  const databases: GlueFake["databases"] = new Map();
  const tables: GlueFake["tables"] = new Map();

  const getTables = (database: string, token: unknown): GlueFakeAnswer => {
    if (!databases.has(database)) return glueRefusal("EntityNotFoundException");
    const all = [...tables].filter(([key]) => key.startsWith(`${database}.`));
    const at = Number(token ?? 0);
    const page = all.slice(at, at + PAGE_TABLES).map(([, table]) => table);
    const next = at + PAGE_TABLES < all.length ? { NextToken: String(at + PAGE_TABLES) } : {};
    return done({ TableList: page, ...next });
  };

  const createTable = (database: string, table: Record<string, unknown>): GlueFakeAnswer => {
    if (!databases.has(database)) return glueRefusal("EntityNotFoundException");
    const key = `${database}.${String(table["Name"])}`;
    if (tables.has(key)) return glueRefusal("AlreadyExistsException");
    tables.set(key, stored(table, "0"));
    return done({});
  };

  const updateTable = (
    database: string,
    table: Record<string, unknown>,
    version: unknown,
  ): GlueFakeAnswer => {
    const key = `${database}.${String(table["Name"])}`;
    const before = tables.get(key);
    if (before === undefined) return glueRefusal("EntityNotFoundException");
    if (version !== before.VersionId) return glueRefusal("ConcurrentModificationException");
    tables.set(key, stored(table, String(Number(before.VersionId) + 1)));
    return done({});
  };

  const getDatabase = (name: string): GlueFakeAnswer => {
    const location = databases.get(name);
    if (location === undefined) return glueRefusal("EntityNotFoundException");
    return done({
      Database: { Name: name, ...(location === null ? {} : { LocationUri: location }) },
    });
  };

  const createDatabase = (name: string): GlueFakeAnswer => {
    if (databases.has(name)) return glueRefusal("AlreadyExistsException");
    databases.set(name, null);
    return done({});
  };

  const getTable = (database: string, name: string): GlueFakeAnswer => {
    const found = tables.get(`${database}.${name}`);
    return found === undefined ? glueRefusal("EntityNotFoundException") : done({ Table: found });
  };

  const apply = ({ operation, input }: GlueFakeCall): GlueFakeAnswer => {
    const member = (name: string): string => String(input[name]);
    const inner = (name: string): Record<string, unknown> => input[name] as Record<string, unknown>;
    const operations: Readonly<Record<string, () => GlueFakeAnswer>> = {
      GetDatabase: () => getDatabase(member("Name")),
      CreateDatabase: () => createDatabase(String(inner("DatabaseInput")["Name"])),
      GetTable: () => getTable(member("DatabaseName"), member("Name")),
      GetTables: () => getTables(member("DatabaseName"), input["NextToken"]),
      CreateTable: () => createTable(member("DatabaseName"), inner("TableInput")),
      UpdateTable: () =>
        updateTable(member("DatabaseName"), inner("TableInput"), input["VersionId"]),
    };
    const run = operations[operation];
    if (run === undefined) throw new Error(`the fake knows no ${operation}`);
    return run();
  };

  const fake: GlueFake = {
    calls: [],
    databases,
    tables,
    intercept: async () => null,
    requestHandler: {
      handle: async (request) => {
        const { headers, body = "" } = request as HttpIn;
        const call = {
          operation: String(headers["x-amz-target"]).replace("AWSGlue.", ""),
          input: JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>,
          accessKey: /Credential=([^/]+)/.exec(String(headers["authorization"]))?.[1] ?? "",
        };
        fake.calls.push(call);
        await Promise.resolve();
        const answer = (await fake.intercept(call, () => apply(call))) ?? apply(call);
        return { response: response(answer) };
      },
    },
  };
  return fake;
}

function stored(table: Record<string, unknown>, VersionId: string): GlueFakeTable {
  const Parameters = (table["Parameters"] ?? {}) as Record<string, string>;
  return { ...table, Parameters, VersionId };
}

function done(body: unknown): GlueFakeAnswer {
  return { status: 200, body };
}

function response({ status, body }: GlueFakeAnswer): HttpOut {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "content-type": "application/x-amz-json-1.1" };
  return { statusCode: status, headers, body: Readable.from([Buffer.from(text)]) };
}

/** PostgreSQL's answers as the three outcomes, on connections that say what a test wants. */
import { describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { connectPostgres, postgresError } from "#catalog/postgres.ts";
import type { OpenPostgresPool, PostgresAnswer } from "#catalog/postgresPool.ts";
import { parsePostgresUri } from "#catalog/postgresUrl.ts";
import { createSqlCatalog } from "#catalog/sql.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";
import { rejection } from "../../support/rejection.ts";

const URI = "postgres://me:secret@db.example:6543/lake";
const MOVE = { sql: "UPDATE t SET a = ?1 WHERE b = ?1", values: ["x"] };
const ANSWER: PostgresAnswer = { rows: [], count: 1, command: "" };

/** What a connection does: an answer, an error, or (`hang`) nothing. */
type Say = (sql: string) => Partial<PostgresAnswer> | Error | "hang";

interface Wire {
  readonly open: OpenPostgresPool;
  readonly sent: string[];
  released: number;
  dropped: number;
  closed: number;
}

function wire(say: Say): Wire {
  const seen: Wire = {
    sent: [],
    released: 0,
    dropped: 0,
    closed: 0,
    open: () => ({
      reserve: async () => ({
        run: async (sql) => {
          seen.sent.push(sql);
          const said = say(sql);
          if (said === "hang") return new Promise<never>(() => undefined);
          if (said instanceof Error) throw said;
          return { ...ANSWER, command: sql, ...said };
        },
        release: () => {
          seen.released++;
        },
        drop: () => {
          seen.dropped++;
        },
      }),
      close: async () => {
        seen.closed++;
      },
    }),
  };
  return seen;
}

function said(state: string, severity = "ERROR"): Error {
  return Object.assign(new Error("what the server says"), {
    code: "ERR_POSTGRES_SERVER_ERROR",
    errno: state,
    severity,
  });
}

function lost(code = "ERR_POSTGRES_CONNECTION_CLOSED"): Error {
  return Object.assign(new Error("Connection closed"), { code });
}

/** Whoever waits for an answer waits no longer. */
const impatient: Clock = {
  ...systemClock,
  sleep: async (_, signal) => {
    await systemClock.turn();
    if (signal?.aborted === true) await new Promise(() => undefined);
  },
};

async function written(seen: Wire, clock: Clock = systemClock) {
  const parts = { clock, openPool: seen.open };
  const database = await connectPostgres(parsePostgresUri(URI), 5, false, parts);
  return database.write([MOVE]);
}

describe("a transaction", () => {
  test("is done when the server says COMMIT, and its connection is used again", async () => {
    const seen = wire(() => ({}));
    expect(await written(seen)).toEqual({ kind: "done", result: [1] });
    expect(seen).toMatchObject({ released: 2, dropped: 0 });
    expect(seen.sent.at(-2)).toBe("UPDATE t SET a = $1::text WHERE b = $1::text");
  });

  test("that the server rolled back for another's sake is a conflict, at any statement", async () => {
    for (const state of ["40001", "40P01", "23505", "42P07", "42710"]) {
      for (const at of ["UPDATE", "COMMIT"]) {
        const seen = wire((sql) => (sql.startsWith(at) ? said(state) : {}));
        expect((await written(seen)).kind).toBe("conflict");
        expect(seen.dropped).toBe(1);
      }
    }
    const rolledBack = wire((sql) => (sql === "COMMIT" ? { command: "ROLLBACK" } : {}));
    expect((await written(rolledBack)).kind).toBe("conflict");
  });

  test("whose COMMIT has no sure answer is unclear, and its connection is not used again", async () => {
    const answers = [
      lost(),
      said("57P01", "FATAL"),
      said("40003"),
      said("40001", "FATAL"),
      said("08006"),
      said("53100"),
      said("XX000", "PANIC"),
      "hang",
    ] as const;
    for (const answer of answers) {
      const seen = wire((sql) => (sql === "COMMIT" ? answer : {}));
      expect((await written(seen, answer === "hang" ? impatient : systemClock)).kind).toBe(
        "unclear",
      );
      expect(seen.dropped).toBe(1);
    }
  });

  test("that failed before COMMIT has changed nothing: the connection is dropped, no COMMIT is sent", async () => {
    for (const answer of [lost(), said("57P01", "FATAL"), said("57014"), "hang"] as const) {
      const seen = wire((sql) => (sql.startsWith("UPDATE") ? answer : {}));
      const error = await rejection(written(seen, answer === "hang" ? impatient : systemClock));
      expect(kindOf(error)).toBe("catalog_unreachable");
      expect(seen.dropped).toBe(1);
      expect(seen.sent).not.toContain("COMMIT");
    }
  });

  test("is refused where the catalog only reads", async () => {
    const seen = wire(() => ({}));
    const parts = { clock: systemClock, openPool: seen.open };
    const database = await connectPostgres(parsePostgresUri(URI), 5, true, parts);
    expect(kindOf(await rejection(database.write([MOVE])))).toBe("catalog_refused");
    expect(seen.sent).toHaveLength(1);
  });
});

test("a commit whose pointer had moved is a conflict, one without an answer is unknown and keeps its file", async () => {
  const NAME = { namespace: ["db"], table: "t" };
  const storage = createMemoryStorage();
  const location = "/wh/db/t/metadata/00000-a.metadata.json";
  let move: Partial<PostgresAnswer> | Error = { count: 0 };
  let commit: Partial<PostgresAnswer> | Error = {};
  let insert: Partial<PostgresAnswer> | Error = {};
  const seen = wire((sql) => {
    if (sql.includes("pg_attribute")) return { rows: [{ attname: "iceberg_type" }] };
    if (sql.startsWith("SELECT metadata_location")) {
      return { rows: [{ metadata_location: location }] };
    }
    if (sql.startsWith("INSERT INTO iceberg_tables")) return insert;
    if (sql.startsWith("UPDATE")) return move;
    return sql === "COMMIT" ? commit : {};
  });
  const catalog = createSqlCatalog(
    { uri: URI, name: "default", warehouse: "/wh", readOnly: false },
    {
      storage,
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      openPool: seen.open,
    },
  );
  await catalog.open();
  const metadataAt = (at: string) => sampleTable(at);
  insert = { count: 0 };
  expect((await catalog.create({ name: NAME, metadataAt })).kind).toBe("conflict");
  expect(storage.objects.size).toBe(0);
  insert = {};
  expect((await catalog.create({ name: NAME, metadataAt })).kind).toBe("committed");
  for (const made of [...storage.objects.values()]) storage.objects.set(location, made);
  const touch = () =>
    catalog.commit(NAME, [], [{ action: "set-properties", properties: { touched: "a" } }]);
  expect((await touch()).kind).toBe("conflict");
  expect(storage.objects.size).toBe(2);
  move = lost();
  expect((await touch()).kind).toBe("conflict");
  expect(storage.objects.size).toBe(2);
  move = {};
  commit = lost();
  expect((await touch()).kind).toBe("unknown");
  expect(storage.objects.size).toBe(3);
});

test("errors: what a person must mend is refused, what may pass is unreachable", () => {
  const kinds = (errors: readonly Error[]) => errors.map((error) => kindOf(postgresError(error)));
  const refused = ["28P01", "28000", "3D000", "42501", "42P01", "22001", "25006"];
  expect(new Set(kinds(refused.map((state) => said(state))))).toEqual(new Set(["catalog_refused"]));
  const passing = ["53300", "57P03", "57014", "08006", "55P03", "58030", "XX000"];
  expect(new Set(kinds(passing.map((state) => said(state))))).toEqual(
    new Set(["catalog_unreachable"]),
  );
  const codes = ["ERR_POSTGRES_TLS_NOT_AVAILABLE", "SELF_SIGNED_CERT_IN_CHAIN"];
  expect(new Set(kinds(codes.map(lost)))).toEqual(new Set(["catalog_refused"]));
  expect(kinds([lost("ERR_POSTGRES_CONNECTION_REFUSED")])).toEqual(["catalog_unreachable"]);
});

test("a server that cannot be reached leaves no pool behind", async () => {
  const seen = wire(() => lost("ERR_POSTGRES_CONNECTION_REFUSED"));
  expect(kindOf(await rejection(written(seen)))).toBe("catalog_unreachable");
  expect(seen).toMatchObject({ closed: 1, dropped: 1 });
});

describe("the URI", () => {
  test("says host, port, login, database and TLS", () => {
    expect(parsePostgresUri("postgresql://a%40b:p%2Fw@[::1]/my%20lake")).toEqual({
      hostname: "::1",
      port: 5432,
      username: "a@b",
      password: "p/w",
      database: "my lake",
      sslMode: "prefer",
      caFile: null,
      place: "postgres://[::1]:5432/my lake",
    });
    const file = parsePostgresUri(`${URI}?sslrootcert=/etc/ca.pem`);
    expect(file).toMatchObject({ port: 6543, sslMode: "verify-full", caFile: "/etc/ca.pem" });
    expect(parsePostgresUri(`${URI}?sslmode=require`).sslMode).toBe("require");
  });

  test("that is wrong is refused with what is wrong, and without the password", () => {
    const wrong = [
      ["postgres://me:secret@host:x/db", "no URL"],
      ["postgres:me:secret", "no URL"],
      ["postgres://me:sec/secret@host/db", "no URL"],
      ["postgres://:secret@host/db", "the user is missing"],
      ["postgres://me:secret@host", "the database is missing"],
      ["postgres://me:secret%@host/db", "%25"],
      ["postgres://me:secret@host/db?sslmode=secret", "sslmode is one of"],
      ["postgres://me:secret@host/db?target=1", "not target"],
      ["postgres://me:p@secret:1/secret?secret=1@host/db", "%2F, %3F, %23, %40"],
      ["postgres://me:p@secret/secret@host/db", "%2F, %3F, %23, %40"],
      ["postgres://me:p@secret/db#secret@host/db", "%2F, %3F, %23, %40"],
    ] as const;
    for (const [uri, problem] of wrong) {
      const error = messageOf(() => parsePostgresUri(uri));
      expect(error).toContain(problem);
      expect(error).not.toContain("secret");
    }
  });
});

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return String(error);
  }
  throw new Error("it was taken");
}

/**
 * Engines that find a table by its name through its catalog's own protocol, as a team's jobs do: Spark
 * through each catalog, DuckDB's Iceberg extension through REST, which is the only one that it knows.
 */
import { join } from "node:path";
import { startSparkSql } from "../../test/support/sparkSql.ts";
import { readersPython, spark, sparkExtra } from "../services/cache.ts";
import { run } from "../services/process.ts";
import type { StoreAccess, TableSource } from "./judge.ts";

/** An engine that knows catalogs. */
export type Engine = "spark" | "duckdb";

type S3Access = Extract<StoreAccess, { readonly accessKey: string }>;

/** Nessie's address with a branch. */
const BRANCH = /\/iceberg\/([^/]+)$/;

/**
 * The engines that can reach a table through its catalog. DuckDB follows no other address that a server
 * names, so of Nessie it sees the default branch alone.
 */
export function enginesOf(source: TableSource): readonly Engine[] {
  if ("rest" in source) {
    const [, branch = "main"] = BRANCH.exec(source.rest.properties["uri"] ?? "") ?? [];
    return branch === "main" ? ["spark", "duckdb"] : ["spark"];
  }
  return "sql" in source || "catalog" in source ? ["spark"] : [];
}

/**
 * Runs one query over a table; `{table}` in its text stands for the table's name.
 * @param s3 where its files are, when that is no local disk
 */
export function askThrough(
  engine: Engine,
  source: TableSource,
  sql: string,
  s3?: S3Access,
): Promise<readonly (readonly string[])[]> {
  return engine === "spark" ? askSpark(source, sql, s3) : askDuckDb(source, sql, s3);
}

async function askSpark(source: TableSource, sql: string, s3?: S3Access): Promise<string[][]> {
  // Iceberg's JdbcCatalog keeps its tables under the catalog's own name.
  const name = "sql" in source ? source.sql.name : "lake";
  const key = `spark.sql.catalog.${name}`;
  const properties = { "cache-enabled": "false", ...sparkCatalog(source), ...sparkStore(s3) };
  const session = await startSparkSql({
    [key]: "org.apache.iceberg.spark.SparkCatalog",
    ...Object.fromEntries(Object.entries(properties).map(([k, value]) => [`${key}.${k}`, value])),
    "spark.jars": (await jarsOf(source, s3)).join(","),
    // Glue's own client takes its keys from the process alone.
    ...(s3 && {
      "spark.driver.extraJavaOptions": `-Daws.accessKeyId=${s3.accessKey} -Daws.secretAccessKey=${s3.secretKey}`,
    }),
  });
  try {
    const rows = await session.sql(sql.replaceAll("{table}", `${name}.${tableOf(source)}`));
    return rows.map((row) => Object.values(row).map(String));
  } finally {
    await session.stop();
  }
}

/** Properties of Iceberg's own catalog class. */
function sparkCatalog(source: TableSource): Record<string, string> {
  if ("rest" in source) return { type: "rest", ...source.rest.properties };
  if ("catalog" in source) return { ...source.catalog.properties };
  if (!("sql" in source)) throw new Error("this table is in no catalog");
  const { username, password, host, pathname } = new URL(
    source.sql.uri.replace("postgresql+psycopg2:", "http:"),
  );
  return {
    type: "jdbc",
    uri: `jdbc:postgresql://${host}${pathname}`,
    "jdbc.user": username,
    "jdbc.password": decodeURIComponent(password),
    "jdbc.schema-version": "V1",
    warehouse: "/tmp",
  };
}

function sparkStore(s3: S3Access | undefined): Record<string, string> {
  if (s3 === undefined) return {};
  return {
    "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    "s3.endpoint": s3.endpoint,
    "s3.path-style-access": "true",
    "s3.access-key-id": s3.accessKey,
    "s3.secret-access-key": s3.secretKey,
    "client.region": s3.region,
  };
}

async function jarsOf(source: TableSource, s3: S3Access | undefined): Promise<string[]> {
  const jars = [(await spark()).jar];
  if (s3 !== undefined || isGlue(source)) jars.push(await sparkExtra("aws"));
  if ("sql" in source) jars.push(await sparkExtra("postgresql"));
  return jars;
}

function isGlue(source: TableSource): boolean {
  return "catalog" in source && source.catalog.properties["type"] === "glue";
}

async function askDuckDb(source: TableSource, sql: string, s3?: S3Access): Promise<string[][]> {
  if (!("rest" in source)) throw new Error("DuckDB's Iceberg extension knows REST catalogs alone");
  const { uri = "", credential, scope, ...rest } = source.rest.properties;
  const signIn = credential === undefined ? null : credential.split(":");
  const tokens = rest["oauth2-server-uri"] ?? `${uri}/v1/oauth/tokens`;
  const secret = signIn && {
    secret: `CREATE SECRET sign_in (TYPE iceberg, CLIENT_ID '${signIn[0]}', CLIENT_SECRET '${signIn[1]}',
      OAUTH2_SERVER_URI '${tokens}', OAUTH2_SCOPE '${scope ?? "catalog"}')`,
  };
  const how = signIn === null ? "AUTHORIZATION_TYPE 'none'" : "SECRET sign_in";
  const text = await run([await readersPython(), join(import.meta.dir, "attached.py")], {
    stdin: JSON.stringify({
      ...secret,
      attach: `ATTACH '' AS lake (TYPE iceberg, ENDPOINT '${uri.replace(BRANCH, "/iceberg")}', ${how})`,
      sql: sql.replaceAll("{table}", `lake.${tableOf(source)}`),
      s3,
    }),
  });
  return (JSON.parse(text) as { readonly rows: string[][] }).rows;
}

function tableOf(source: TableSource): string {
  if ("rest" in source) return source.rest.table;
  if ("catalog" in source) return source.catalog.table;
  if ("sql" in source) return source.sql.table;
  throw new Error("this table is in no catalog");
}

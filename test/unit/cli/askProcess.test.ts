/**
 * `query --url`: a running process's answer as it is written for people and for programs, and its refusals.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { Queries } from "#app/queries.ts";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { type RunningServer, startServer } from "#server/server.ts";
import { cli } from "./place.ts";

const TOKEN = "correct-horse";
let server: RunningServer;
let queries: Queries;
let config: string;

beforeAll(() => {
  const options = {
    timeoutMs: 20_000,
    rowsMax: 3,
    keepMs: 0,
    hasLookup: false,
    cacheFolder: null,
    copies: { root: "/nowhere", bytesMax: 0 },
  };
  queries = new Queries({ clock: systemClock, options, tables: () => [], logFolder: "/nowhere" });
  const health = { host: "127.0.0.1", port: 0, isRequired: true };
  server = startServer({ health, metrics: null, token: TOKEN, tls: null }, [queries.route], {
    clock: systemClock,
    log: silentLogger,
  });
  config = join(mkdtempSync(join(tmpdir(), "query-url-")), "config.toml");
  writeFileSync(config, `[kafka]\ntopic = "t"\n[server]\nquery_token = "${TOKEN}"\n`);
});

afterAll(async () => {
  await queries.close();
  await server.stop();
});

function ask(sql: string, ...flags: string[]) {
  return cli(["query", sql, "--url", server.urls[0] ?? "", ...flags]);
}

test("is drawn as the command's own answers are", async () => {
  const sql = "SELECT 9007199254740993 AS n, 'é' AS t, NULL AS nothing, [1, 2] AS l, 1.5 AS f";
  const asked = await ask(sql);
  const own = await cli(["query", sql, "--config", config]);
  expect(own.code).toBe(0);
  // A process answers in JSON, which puts no blank into a list.
  expect(asked).toEqual({ ...own, out: own.out.replace("[1, 2] ", "[1,2]  ") });
});

test("is the process's JSON and CSV, word for word", async () => {
  const { out } = await ask("SELECT 1 AS a", "--format", "json");
  expect(JSON.parse(out)).toMatchObject({ rows: [[1]], row_count: 1, hot_partitions: [] });
  expect((await ask("SELECT 1 AS a, 'x,y' AS b", "--format", "csv")).out).toBe('a,b\n1,"x,y"\n');
});

test("is the process's Arrow stream, byte for byte that of the command itself", async () => {
  const sql = "SELECT i, 'text ' || i AS s FROM range(3) r(i)";
  const [asked, own] = [
    await ask(sql, "--format", "arrow"),
    await cli(["query", sql, "--config", config, "--format", "arrow"]),
  ];
  expect([asked.code, own.code, asked.out === own.out]).toEqual([0, 0, true]);
  const table = tableFromIPC(Buffer.from(own.out, "latin1"));
  expect(table.toArray().map((row) => row.toJSON())).toEqual(
    [0n, 1n, 2n].map((i) => ({ i, s: `text ${i}` })),
  );
});

test("refusals are the process's own sentences; what is no process of ours is said", async () => {
  const wrong = await ask("SELECT * FROM nothing");
  expect([wrong.code, wrong.err]).toEqual([
    2,
    expect.stringContaining("There is no table nothing"),
  ]);
  expect((await ask("FROM range(4)")).err).toContain("more than 3 rows");
  expect((await ask("SELECT 1", "--snapshot", "x")).err).toContain("a number; x is none");
  expect((await ask("SELECT 1", "--as-of", "2026-01-08", "--snapshot", "1")).err).toContain(
    "give one",
  );
  const nobody = await cli(["query", "SELECT 1", "--url", "http://127.0.0.1:1"]);
  expect([nobody.code, nobody.err]).toEqual([3, expect.stringContaining("does not answer")]);
  const unseen = await cli(["profile", "--seconds", "1", "--url", "http://127.0.0.1:1"]);
  expect([unseen.code, unseen.err]).toEqual([3, expect.stringContaining("does not answer")]);
  const other = Bun.serve({ port: 0, fetch: () => new Response("<h1>nginx", { status: 404 }) });
  const stranger = await cli(["query", "SELECT 1", "--url", String(other.url)]);
  expect(stranger.err).toContain("answers 404 to /query: no kafka-iceberg is there");
  await other.stop(true);
  expect((await cli(["query", "SELECT 1", "--url", "ftp://x"])).code).toBe(2);
});

test("shows the token of the configuration", async () => {
  const seen: (string | null)[] = [];
  const process = Bun.serve({
    port: 0,
    fetch: (request) => {
      seen.push(request.headers.get("authorization"));
      return Response.json({ columns: [], rows: [], row_count: 0 });
    },
  });
  await cli(["query", "SELECT 1", "--url", String(process.url), "--config", config]);
  await cli(["query", "SELECT 1", "--url", String(process.url)]);
  await process.stop(true);
  expect(seen).toEqual([`Bearer ${TOKEN}`, null]);
});

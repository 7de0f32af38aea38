/**
 * `POST /query`: what is answered, what is refused and how, and that no statement holds the next one up.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { tableFromIPC } from "apache-arrow";
import { Queries } from "#app/queries.ts";
import { type Clock, systemClock } from "#base/clock.ts";
import type { Sink } from "#pipeline/sink.ts";

const opened: Queries[] = [];
afterAll(() => Promise.all(opened.map((queries) => queries.close())));

/** How far the clock of the queries is ahead. */
let aheadMs = 0;
const clock: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() + aheadMs,
};

function queriesOf(timeoutMs = 20_000, rowsMax = 1000, tables: readonly Sink[] = []): Queries {
  const options = {
    timeoutMs,
    rowsMax,
    keepMs: 0,
    hasLookup: false,
    cacheFolder: null,
    copies: { root: "/nowhere", bytesMax: 0 },
  };
  const queries = new Queries({
    clock,
    options,
    tables: () => tables,
    logFolder: "/nowhere",
  });
  opened.push(queries);
  return queries;
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

async function post(
  queries: Queries,
  body: unknown,
  { accept = "", path = "/query", signal = new AbortController().signal } = {},
): Promise<Reply> {
  const response = await queries.route.answer({
    url: new URL(`http://localhost${path}`),
    headers: new Headers(accept === "" ? {} : { accept }),
    body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
    signal,
  });
  return { status: response.status, text: await response.text() };
}

/** The process of the only engine that is open. */
function onlyEngine(): number {
  return engines()[0] ?? 0;
}

/** Processes of engines, those included that were ended and are not gone yet. */
function engines(): number[] {
  const { stdout } = Bun.spawnSync(["pgrep", "-P", String(process.pid), "-f", "sql/child"]);
  return stdout.toString().trim().split("\n").filter(Boolean).map(Number);
}

/** Resolves when no engine of an earlier test is left. */
async function allGone(): Promise<void> {
  await Promise.all(opened.map((each) => each.close()));
  while (engines().length > 0) await Bun.sleep(5);
}

const ENDLESS =
  "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 8";

describe("an answer", () => {
  test("of many megabytes comes whole in every form", async () => {
    const queries = queriesOf(20_000, 100_000);
    const asked = { sql: "SELECT i, repeat('é', 40) AS t FROM range(60000) r(i)" };
    const last = ["59999", "é".repeat(40)];
    const { rows } = JSON.parse((await post(queries, asked)).text) as { rows: unknown[][] };
    expect([rows.length, rows.at(-1)?.map(String)]).toEqual([60_000, last]);
    const csv = (await post(queries, asked, { accept: "text/csv" })).text.trimEnd().split("\n");
    expect([csv.length, csv.at(-1)]).toEqual([60_001, last.join(",")]);
    const response = await queries.route.answer({
      url: new URL("http://localhost/query"),
      headers: new Headers({ accept: "application/vnd.apache.arrow.stream" }),
      body: Buffer.from(JSON.stringify(asked)),
      signal: new AbortController().signal,
    });
    const table = tableFromIPC(await response.arrayBuffer());
    expect([table.numRows, ...(table.get(59_999)?.toArray() ?? [])].map(String)).toEqual([
      "60000",
      ...last,
    ]);
  });

  test("is JSON with columns, rows and what it is of, or CSV", async () => {
    const queries = queriesOf();
    const sql = "SELECT ?::BIGINT AS n, 'é' AS t, NULL AS nothing";
    const json = await post(
      queries,
      `{"sql": ${JSON.stringify(sql)}, "params": [9007199254740993]}`,
    );
    expect(json.status).toBe(200);
    expect(JSON.parse(json.text)).toEqual({
      columns: [
        { name: "n", type: "BIGINT" },
        { name: "t", type: "VARCHAR" },
        { name: "nothing", type: "INTEGER" },
      ],
      rows: [["9007199254740993", "é", null]],
      row_count: 1,
      elapsed_ms: expect.any(Number),
      snapshot_id: null,
      hot_partitions: [],
    });
    const csv = await post(queries, { sql: "SELECT 1 AS a, 'x,y' AS b" }, { accept: "text/csv" });
    expect(csv).toEqual({ status: 200, text: 'a,b\n1,"x,y"\n' });
  });

  test("about how far a table has come is of its newest head, once, however many pipelines fill it", async () => {
    const sinkOf = (sequence: bigint): Sink => {
      const metadata = {
        ...{ tableUuid: "a", lastSequenceNumber: sequence, lastUpdatedMs: 1 },
        ...{ currentSnapshotId: 1n, snapshots: [{ snapshotId: 1n, timestampMs: 0 }] },
      };
      const name = { namespace: ["db"], table: "events" };
      const document = { sources: new Map([["c/t", { offsets: new Map([[0, sequence]]) }]]) };
      const progressSeen = async () => ({ kind: "readable", document });
      const writer = { lastSeen: { name, metadata }, progressSeen };
      return { name: "db.events", options: { name }, writer, rank: "main" } as unknown as Sink;
    };
    const queries = queriesOf(20_000, 1000, [sinkOf(5n), sinkOf(7n), sinkOf(6n)]);
    const sql = "SELECT table_name, source_name, sync_key, sync_value FROM sync_points";
    const { text } = await post(queries, { sql }, { accept: "text/csv" });
    expect(text).toBe("table_name,source_name,sync_key,sync_value\ndb.events,t,partition:0,7\n");
  });

  test("is an Arrow stream for those who accept one", async () => {
    const response = await queriesOf().route.answer({
      url: new URL("http://localhost/query"),
      headers: new Headers({ accept: "application/vnd.apache.arrow.stream" }),
      body: Buffer.from(JSON.stringify({ sql: "SELECT ?::BIGINT AS x, 'a' AS x", params: [41] })),
      signal: new AbortController().signal,
    });
    expect(response.headers.get("content-type")).toBe("application/vnd.apache.arrow.stream");
    const table = tableFromIPC(await response.bytes());
    expect(table.schema.names).toEqual(["x", "x_1"]);
    expect([table.getChildAt(0)?.get(0), table.getChildAt(1)?.get(0)]).toEqual([41n, "a"]);
  });

  test("to a question that is wrong says what is wrong with it", async () => {
    const queries = queriesOf(20_000, 3);
    const cases: [unknown, string, { path?: string; accept?: string }?][] = [
      ["", "The body is no JSON object"],
      ["[]", "The body is no JSON object"],
      [{}, 'Send {"sql"'],
      [{ sql: "SELECT ?", params: [{}] }, 'Send {"sql"'],
      [{ sql: "SELECT ?" }, "1 parameters, 0 are given"],
      [{ sql: "SELEC 1" }, "cannot be read"],
      [{ sql: "SELECT * FROM nothing" }, "There is no table nothing"],
      [{ sql: "FROM range(4)" }, "more than 3 rows"],
      [{ sql: "SELECT * FROM read_csv('/etc/passwd')" }, "may not be called"],
      [{ sql: "SELECT 1" }, "a snapshot id is a number", { path: "/query?snapshot=x" }],
      [{ sql: "SELECT 1" }, "is no time", { path: "/query?as_of=x" }],
      [{ sql: "SELECT 1" }, "both name a time", { path: "/query?as_of=2026-01-01&snapshot=1" }],
    ];
    for (const [body, sentence, options] of cases) {
      const { status, text } = await post(queries, body, options);
      const { error } = JSON.parse(text) as { error: string };
      expect([status, error]).toEqual([400, expect.stringContaining(sentence)]);
    }
    const { status } = await post(queries, { sql: "SELECT 1" }, { accept: "image/png" });
    expect(status).toBe(406);
  });
});

describe("a statement without an end", () => {
  test("is ended by its time, and the next one is answered", async () => {
    const queries = queriesOf(1000);
    await post(queries, { sql: "SELECT 1" });
    const { status, text } = await post(queries, { sql: ENDLESS });
    expect([status, text]).toEqual([504, expect.stringContaining("longer than 1000 ms")]);
    // On a machine that others want too, the next engine may take longer than this time to begin.
    const next = { sql: "SELECT 1" };
    let code = 0;
    for (let tries = 0; tries < 20 && code !== 200; tries++)
      ({ status: code } = await post(queries, next));
    expect(code).toBe(200);
  });

  test("is ended when its client goes, also while it waits for its turn", async () => {
    const queries = queriesOf();
    await post(queries, { sql: "SELECT 1" });
    const [first, second] = [new AbortController(), new AbortController()];
    const answers = [first, second].map(({ signal }) =>
      post(queries, { sql: ENDLESS }, { signal }),
    );
    second.abort();
    await Bun.sleep(50);
    first.abort();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([503, 503]);
    expect((await post(queries, { sql: "SELECT 1" })).status).toBe(200);
  });

  test("that takes all memory is an error, and the engine goes on", async () => {
    const queries = queriesOf();
    const sql =
      "SELECT max(s) FROM (SELECT string_agg(repeat('x', 1000), '') AS s FROM range(1000000) GROUP BY range % 2)";
    const { status, text } = await post(queries, { sql });
    expect([status, text]).toEqual([400, expect.stringMatching(/memory/i)]);
    expect((await post(queries, { sql: "SELECT 1" })).status).toBe(200);
  });

  test("takes its own process's memory only, also where DuckDB does not count: a text doubled forty times", async () => {
    const queries = queriesOf();
    let sql = "SELECT repeat('x', 1000000) AS s";
    for (let times = 0; times < 40; times++) sql = `SELECT s || s AS s FROM (${sql})`;
    const beforeBytes = process.memoryUsage.rss();
    const { status } = await post(queries, { sql: `SELECT len(s) FROM (${sql})` });
    expect(status).toBe(400);
    expect(process.memoryUsage.rss() - beforeBytes).toBeLessThan(100e6);
    expect((await post(queries, { sql: "SELECT 1" })).status).toBe(200);
  });

  test("waits for an engine that hangs in its start, and a later one gets another engine", async () => {
    await allGone();
    const queries = queriesOf(1500);
    const first = post(queries, { sql: "SELECT 1" });
    while (onlyEngine() === 0) await Bun.sleep(1);
    process.kill(onlyEngine(), "SIGSTOP");
    expect((await first).status).toBe(504);
    // A start may take a while: nobody's patience ends it.
    const hanging = onlyEngine();
    expect((await post(queries, { sql: "SELECT 1" })).status).toBe(504);
    expect(onlyEngine()).toBe(hanging);
    aheadMs += 31_000;
    expect((await post(queries, { sql: "SELECT 1" })).status).toBe(200);
  });

  test("that ends the engine is an error, and the next one gets another engine", async () => {
    await allGone();
    const queries = queriesOf();
    await post(queries, { sql: "SELECT 1" });
    const answer = post(queries, { sql: ENDLESS });
    await Bun.sleep(200);
    process.kill(onlyEngine(), "SIGSEGV");
    const { status, text } = await answer;
    expect([status, text]).toEqual([400, expect.stringContaining("ended the SQL engine")]);
    expect((await post(queries, { sql: "SELECT 1" })).status).toBe(200);
  });
});

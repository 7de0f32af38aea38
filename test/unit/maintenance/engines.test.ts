/** Runs as statements of Spark and Trino, and how they are sent: names are quoted, answers and failures are read. */
import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { describe, EXIT, kindOf, policyOf } from "#base/errors.ts";
import { createHttp } from "#base/http.ts";
import { runInSpark } from "#maintenance/engines/spark.ts";
import {
  type EnginePlan,
  sparkStatements,
  trinoStatements,
} from "#maintenance/engines/statements.ts";
import { runInTrino } from "#maintenance/engines/trino.ts";
import { rejection } from "../../support/rejection.ts";

const PLAN: EnginePlan = {
  operation: "compact",
  name: { namespace: ["d`b"], table: "it's" },
  catalog: "lake",
  compact: { smallBytes: 100, targetBytes: 500, deleteRatio: 0.2 },
  jobs: 3,
  sort: null,
  expired: [7n, 8_000_000_000_000_000_001n],
  expiredRefs: [],
  orphansBeforeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  orphanAgeMs: 3.5 * 86_400_000,
};
const STOP = new AbortController().signal;

test("Spark is told the settings, and which snapshots go", () => {
  const of = (operation: EnginePlan["operation"]): string[] =>
    sparkStatements({ ...PLAN, operation });
  const table = "table => '`d``b`.`it\\'s`'";
  const [rewrite, deletes] = of("compact");
  expect(rewrite).toStartWith(`CALL \`lake\`.system.rewrite_data_files(${table}, options => map(`);
  expect(rewrite).toContain("'target-file-size-bytes', '500', 'min-file-size-bytes', '100'");
  expect(rewrite).toContain("'delete-ratio-threshold', '0.2'");
  expect(deletes).toBe(`CALL \`lake\`.system.rewrite_position_delete_files(${table})`);
  const sorted = (sort: EnginePlan["sort"]): string => sparkStatements({ ...PLAN, sort })[0] ?? "";
  expect(sorted({ kind: "table" })).toContain(`${table}, strategy => 'sort', options`);
  expect(sorted({ kind: "z-order", columns: ["a", "b'c"] })).toContain(
    "strategy => 'sort', sort_order => 'zorder(`a`, `b\\'c`)'",
  );
  expect(of("expire")).toEqual([
    `CALL \`lake\`.system.expire_snapshots(${table}, older_than => TIMESTAMP '1970-01-02 00:00:00', snapshot_ids => array(7L, 8000000000000000001L))`,
  ]);
  const none = { ...PLAN, operation: "expire", expired: [] } as const;
  expect(sparkStatements(none)).toEqual([]);
  expect(sparkStatements({ ...none, expiredRefs: [{ name: "a`b", type: "tag" }] })).toEqual([
    "ALTER TABLE `lake`.`d``b`.`it's` DROP TAG `a``b`",
  ]);
  expect(of("orphans")).toEqual([
    `CALL \`lake\`.system.remove_orphan_files(${table}, older_than => TIMESTAMP '2026-01-02 03:04:05.006 UTC')`,
  ]);
  expect(of("manifests")).toEqual([`CALL \`lake\`.system.rewrite_manifests(${table})`]);
  expect(of("statistics")).toHaveLength(2);
});

test("Trino is told what it can be told, and expires nothing", () => {
  const name = { namespace: ["db"], table: 't"x' };
  const of = (operation: EnginePlan["operation"]): string[] =>
    trinoStatements({ ...PLAN, name, operation });
  const table = '"lake"."db"."t""x"';
  expect(of("compact")).toEqual([
    `ALTER TABLE ${table} EXECUTE optimize(file_size_threshold => '100B')`,
  ]);
  expect(of("orphans")).toEqual([
    `ALTER TABLE ${table} EXECUTE remove_orphan_files(retention_threshold => '3.50d')`,
  ]);
  expect(of("manifests")).toEqual([`ALTER TABLE ${table} EXECUTE optimize_manifests`]);
  expect(of("statistics")).toEqual([`ANALYZE ${table}`]);
  expect(() => of("expire")).toThrow("committed offsets");
});

/** A program in the place of spark-submit. */
function submitter(script: string): string[] {
  const path = join(mkdtempSync(join(tmpdir(), "submit-")), "submit");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return [path, "--master", "local"];
}

test("Spark's answers are read from among what else it says", async () => {
  const command = submitter(
    'echo "log line"; test "$1 $2" = "--master local" && test -s "$3" && echo "KAFKA-ICEBERG [{\\"n\\": 1}]"; echo "KAFKA-ICEBERG []"',
  );
  expect(await runInSpark(command, ["a", "b"], STOP)).toEqual([[{ n: 1 }], []]);
});

test("statements reach Spark whatever their length and letters: 100,000 snapshots, quotes, backslashes, line ends", async () => {
  const expired = Array.from({ length: 100_000 }, (_, n) => 8_000_000_000_000_000_000n + BigInt(n));
  const name = { namespace: ["d`b"], table: 'it\'s \\ "größer" \n \u2028 😀 \\u0041' };
  const statements = sparkStatements({ ...PLAN, name, operation: "expire", expired });
  const kept = join(mkdtempSync(join(tmpdir(), "submit-")), "program.py");
  const command = submitter(`cp "$3" ${kept}; echo "KAFKA-ICEBERG []"`);
  expect(await runInSpark(command, statements, STOP)).toEqual([[]]);
  const [, literal = ""] = /json\.loads\(([^\n]*)\):\n/.exec(readFileSync(kept, "utf8")) ?? [];
  expect(JSON.parse(JSON.parse(literal))).toEqual(statements);
});

test("a failure of Spark is told with the end of what it said, and with what was done", async () => {
  const command = submitter('echo "KAFKA-ICEBERG []"; echo "no such procedure" >&2; exit 1');
  const error = describe(await rejection(runInSpark(command, ["a", "b"], STOP)));
  expect(error).toContain("code 1, 1 of 2 statements done");
  expect(error).toContain("no such procedure");
  const partly = submitter('echo "KAFKA-ICEBERG [{\\"failed_data_files_count\\": 20}]"');
  expect(describe(await rejection(runInSpark(partly, ["a"], STOP)))).toContain("20 files");
  const missing = await rejection(runInSpark(["/not/there"], ["a"], STOP));
  expect(describe(missing)).toContain("--engine-command");
});

/** Answers as Trino 476 gives them; what it was asked. */
function trino(answers: readonly ((root: string) => Response)[]) {
  const asked: string[] = [];
  const left = [...answers];
  const server: Bun.Server<undefined> = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1" },
    fetch: async (request): Promise<Response> => {
      const { pathname } = new URL(request.url);
      const user = request.headers.get("x-trino-user");
      asked.push(`${request.method} ${pathname} ${user} ${await request.text()}`.trim());
      return left.shift()?.(server.url.origin) ?? new Response("", { status: 500 });
    },
  });
  const http = createHttp({ clock: systemClock, timeoutMs: 5000, connectionsMax: 1 });
  const run = (statement: string): Promise<void> =>
    runInTrino(
      { http, clock: systemClock },
      { url: `${server.url.origin}/`, user: "me" },
      statement,
      STOP,
    ).finally(() => {
      http.close();
      void server.stop(true);
    });
  return { asked, run };
}

const queued = (root: string): Response =>
  Response.json({
    ...{ id: "20260101_000000_00001_abcde", infoUri: `${root}/ui/query.html?1` },
    nextUri: `${root}/v1/statement/queued/1/x/1`,
    stats: { state: "QUEUED", queued: true },
  });

test("a Trino that does not answer cannot be reached; what it may have begun is said", async () => {
  const http = createHttp({ clock: systemClock, timeoutMs: 2000, connectionsMax: 1 });
  const nobody = runInTrino(
    { http, clock: systemClock },
    { url: "http://127.0.0.1:1", user: "me" },
    "ANALYZE a",
    STOP,
  );
  const error = await rejection(nobody);
  http.close();
  expect([kindOf(error), policyOf(error).exitCode]).toEqual([
    "process_unreachable",
    EXIT.unreachable,
  ]);
  expect(describe(error)).toStartWith("Trino at 127.0.0.1:1 does not answer: ");
  expect(describe(error)).not.toContain("go on with");
});

test("a statement of Trino is followed to its end, also while the server is busy", async () => {
  const { asked, run } = trino([
    queued,
    () => new Response("", { status: 503 }),
    (root) =>
      Response.json({
        nextUri: `${root}/v1/statement/executing/1/y/0`,
        stats: { state: "RUNNING" },
      }),
    () => Response.json({ stats: { state: "FINISHED" }, updateType: "ALTER TABLE EXECUTE" }),
  ]);
  await run("ALTER TABLE a EXECUTE optimize");
  expect(asked).toEqual([
    "POST /v1/statement me ALTER TABLE a EXECUTE optimize",
    "GET /v1/statement/queued/1/x/1 me",
    "GET /v1/statement/queued/1/x/1 me",
    "GET /v1/statement/executing/1/y/0 me",
  ]);
});

test("Trino's error is told in its words, and nobody is sent to another host", async () => {
  const failed = trino([
    queued,
    () =>
      Response.json({
        error: { message: "line 1:13: Table 'a' does not exist", errorName: "TABLE_NOT_FOUND" },
        stats: { state: "FAILED" },
      }),
  ]);
  expect(describe(await rejection(failed.run("x")))).toContain("does not exist (TABLE_NOT_FOUND)");
  const elsewhere = trino([
    () => Response.json({ nextUri: "http://other.example/v1/statement/1" }),
  ]);
  expect(describe(await rejection(elsewhere.run("x")))).toContain("goes on at");
  const refused = trino([() => new Response("", { status: 401 })]);
  expect(describe(await rejection(refused.run("x")))).toContain("401");
});

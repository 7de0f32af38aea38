/**
 * The page at `/`: what it consists of is served, asks nobody else, and its figures are right. What a
 * browser makes of it stands in `test/conformance/dashboard.test.ts`.
 */
import { describe, expect, test } from "bun:test";
import { DASHBOARD_PATHS, dashboardRoutes } from "#server/dashboard/dashboard.ts";
import { takes } from "#server/route.ts";
import { report } from "../../fakes/statusReports.ts";

async function answerOf(path: string): Promise<Response> {
  const route = dashboardRoutes().find((each) => takes(each, path));
  if (route === undefined) throw new Error(`no route takes ${path}`);
  return route.answer({
    url: new URL(path, "http://localhost"),
    headers: new Headers(),
    body: new Uint8Array(),
    signal: new AbortController().signal,
  });
}

/** Every file of the page, by its path. */
async function files(): Promise<Map<string, Response>> {
  const answers = DASHBOARD_PATHS.map(async (path) => [path, await answerOf(path)] as const);
  return new Map(await Promise.all(answers));
}

describe("the page", () => {
  test("refers to nothing that is not served beside it, and each file is referred to", async () => {
    const all = await files();
    const referred = new Set<string>(["/"]);
    for (const [path, response] of all) {
      const text = await response.text();
      if (path.includes("uplot")) continue;
      const base = new URL(path, "http://localhost");
      for (const [, target = ""] of text.matchAll(/(?:src=|href=|from )"([^"]+)"/g)) {
        if (target !== "data:,") referred.add(new URL(target, base).pathname);
      }
      expect(text).not.toMatch(/https?:\/\//);
    }
    expect([...referred].sort()).toEqual([...all.keys()].sort());
  });

  test("lets the browser load and run nothing else, in each of its files", async () => {
    for (const [path, { headers }] of await files()) {
      const policy = headers.get("content-security-policy") ?? "";
      expect([path, policy]).toEqual([path, expect.stringContaining("default-src 'none'")]);
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(policy).toContain("require-trusted-types-for 'script'");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  test("has no other files", async () => {
    expect((await answerOf("/dashboard/constructor")).status).toBe(404);
  });

  test("needs nothing that its policy forbids: no style and no script inside of it", async () => {
    const page = (await files()).get("/");
    const text = (await page?.text()) ?? "";
    expect(text).not.toMatch(/<style| style=| on\w+=|<script(?![^>]* src=)/);
  });
});

type Figures = Readonly<Record<string, unknown>>;
interface FiguresModule {
  readonly readFigures: (status: unknown, metrics: string) => Figures;
  readonly pointBetween: (before: Figures, after: Figures) => Figures;
}

describe("a point of the charts", () => {
  const METRICS = (committed: number, sum: number, count: number): string =>
    [
      `iceberg_snapshot_commits_total{pipeline="p",database="d",table="a} 7"} ${committed}`,
      'iceberg_snapshot_commits_total{pipeline="p",database="d",table="b"} 3',
      `freshness_seconds_sum{pipeline="p",stage="committed"} ${sum}`,
      `freshness_seconds_count{pipeline="p",stage="committed"} ${count}`,
    ].join("\n");
  const statusOf = (more: object): unknown =>
    JSON.parse(
      JSON.stringify({ ...report, ...more }, (_key, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      ),
    );
  const load = async (): Promise<FiguresModule> => {
    const path = "#server/dashboard/figures.js";
    return (await import(path)) as FiguresModule;
  };

  test("is rates and means of what happened between two readings", async () => {
    const { readFigures, pointBetween } = await load();
    const before = readFigures(statusOf({}), METRICS(1, 10, 4));
    const after = readFigures(
      statusOf({ nowMs: 102_000, rowsConsumed: 1_240_067 }),
      METRICS(2, 13, 6),
    );
    expect(pointBetween(before, after)).toEqual({
      time: 102,
      consumed: 2000,
      committed: 0,
      lag: 90,
      lagSeconds: 1.5,
      queryable: null,
      committedAge: 1.5,
      bufferedMb: 2,
      bufferedRows: 1500,
      snapshots: 5,
    });
  });

  test("has no rates over a restart", async () => {
    const { readFigures, pointBetween } = await load();
    const before = readFigures(statusOf({}), METRICS(1, 10, 4));
    const after = readFigures(
      statusOf({ startedMs: 101_000, nowMs: 102_000, rowsConsumed: 5 }),
      METRICS(0, 1, 1),
    );
    expect(pointBetween(before, after)).toMatchObject({
      consumed: null,
      committed: null,
      committedAge: null,
      lag: 90,
    });
  });
});

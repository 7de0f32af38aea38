/**
 * The HTTP surface.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { routesOf } from "#app/routes.ts";
import { type Clock, systemClock } from "#base/clock.ts";
import { type Logger, silentLogger } from "#base/log.ts";
import { createMetrics } from "#server/metrics.ts";
import { type Route, type RouteRequest, SMALL } from "#server/route.ts";
import { type RunningServer, type ServerOptions, startServer } from "#server/server.ts";
import { FakeStatus } from "../../fakes/statusReports.ts";
import { SimClock } from "../../sim/simClock.ts";

let running: RunningServer | null = null;

afterEach(async () => {
  await running?.stop();
  running = null;
});

/** A server on a free port, with the product's routes unless others are given. */
function start(
  options: Partial<ServerOptions> = {},
  routes: readonly Route[] | null = null,
  clock: Clock = systemClock,
  log: Logger = silentLogger,
) {
  const status = new FakeStatus();
  const metrics = createMetrics({
    version: "1",
    commit: "c",
    memoryBudgetBytes: 1,
    topicPartitionMetrics: true,
    rejectReasons: ["bad_json", "null_value"],
    stateDiskBytes: async () => 0,
    clock: { nowMs: () => 0 },
  });
  const server = startServer(
    {
      health: { host: "127.0.0.1", port: 0, isRequired: true },
      metrics: null,
      token: "",
      tls: null,
      ...options,
    },
    routes ?? routesOf(status, metrics, () => []),
    { clock, log },
  );
  running = server;
  const get = (path: string, init: RequestInit = {}) => fetch(`${server.urls[0]}${path}`, init);
  return { server, status, get };
}

/** A route that a test answers. */
function routeOf(more: Partial<Route>): Route {
  return {
    method: "GET",
    path: "/x",
    listeners: ["health"],
    access: "public",
    limits: SMALL,
    answer: () => new Response("answer"),
    ...more,
  };
}

describe("/health", () => {
  test("is 200 when ok and when degraded, 503 only when failed", async () => {
    const { status, get } = start();
    expect((await get("/health")).status).toBe(200);
    status.healthStatus = "degraded";
    const degraded = await get("/health");
    expect(degraded.status).toBe(200);
    expect(await degraded.json()).toMatchObject({
      status: "degraded",
      checks: { kafka: { status: "ok" }, lag: { detail: "lag of 90 s" } },
    });
    status.healthStatus = "failed";
    expect((await get("/health")).status).toBe(503);
  });
});

describe("/ready", () => {
  test("is 200 once partitions are assigned and offsets resolved", async () => {
    const { status, get } = start();
    expect((await get("/ready")).status).toBe(200);
    status.isReady = false;
    expect((await get("/ready")).status).toBe(503);
  });
});

describe("/status", () => {
  test("keeps every digit, as a string where a double would lose some", async () => {
    const { get } = start();
    const text = await (await get("/status")).text();
    expect(text).toContain('"position":"9007199254740993"');
    expect(text).toContain('"lastSnapshotId":"8764393922114530001"');
    expect(text).toContain('"lag":90');
  });

  test("wants the token where the address is reachable from elsewhere; the others do not", async () => {
    const { get } = start({
      health: { host: "0.0.0.0", port: 0, isRequired: true },
      token: "hunter2",
    });
    const codeOf = async (path: string, authorization: string) =>
      (await get(path, { headers: { authorization } })).status;
    expect(await codeOf("/status", "")).toBe(403);
    expect(await codeOf("/status", "Bearer hunter3")).toBe(403);
    expect(await codeOf("/status", "Bearer hunter2")).toBe(200);
    for (const path of ["/health", "/ready", "/metrics"]) expect(await codeOf(path, "")).toBe(200);
  });

  test("is closed to a proxy and to pages of other sites", async () => {
    const { get } = start();
    const codeOf = async (headers: Record<string, string>) =>
      (await get("/status", { headers })).status;
    expect(await codeOf({})).toBe(200);
    expect(await codeOf({ "x-forwarded-for": "198.51.100.7" })).toBe(403);
    expect(await codeOf({ origin: "https://evil.example" })).toBe(403);
    expect(await codeOf({ host: "evil.example" })).toBe(403);
  });
});

describe("a route's limits are held by the server", () => {
  test("a body that is too large is refused before the route sees it", async () => {
    let asked = 0;
    const limits = { ...SMALL, bodyBytesMax: 10 };
    const answer = ({ body }: RouteRequest): Response => {
      asked++;
      return new Response(body.slice());
    };
    const large = { ...SMALL, bodyBytesMax: 1000 };
    const { get } = start({}, [
      routeOf({ method: "POST", limits, answer }),
      routeOf({ method: "POST", path: "/large", limits: large, answer }),
    ]);
    const post = (path: string, body: string) => get(path, { method: "POST", body });
    expect((await post("/x", "12345678901")).status).toBe(413);
    expect(asked).toBe(0);
    expect(await (await post("/x", "1234567890")).text()).toBe("1234567890");
    expect((await post("/large", "x".repeat(900))).status).toBe(200);
    expect((await post("/large", "x".repeat(2000))).status).toBe(413);
  });

  test("an answer that takes too long is given up, and its work aborted", async () => {
    const clock = new SimClock(0, () => undefined);
    const begun = Promise.withResolvers<AbortSignal>();
    const limits = { ...SMALL, timeMsMax: 500 };
    const answer = ({ signal }: RouteRequest): Promise<Response> => {
      begun.resolve(signal);
      return new Promise(() => undefined);
    };
    const { get } = start({}, [routeOf({ limits, answer })], clock);
    const answered = get("/x");
    const signal = await begun.promise;
    expect(signal.aborted).toBe(false);
    clock.advance(500);
    expect((await answered).status).toBe(503);
    expect(signal.aborted).toBe(true);
  });

  test("more requests at once than a route takes are told to come again", async () => {
    const waiting: ((answer: Response) => void)[] = [];
    const answer = (): Promise<Response> => new Promise((resolve) => void waiting.push(resolve));
    const routes = [
      routeOf({ limits: { ...SMALL, atOnceMax: 2 }, answer }),
      routeOf({ path: "/y" }),
    ];
    const { get } = start({}, routes);
    const first = [get("/x"), get("/x")];
    while (waiting.length < 2) await Bun.sleep(1);
    const third = await get("/x");
    expect([third.status, third.headers.get("retry-after")]).toEqual([503, "1"]);
    expect((await get("/y")).status).toBe(200);
    for (const done of waiting) done(new Response("done"));
    for (const each of await Promise.all(first)) expect(each.status).toBe(200);
    const last = get("/x");
    while (waiting.length < 3) await Bun.sleep(1);
    waiting[2]?.(new Response("done"));
    expect((await last).status).toBe(200);
  });

  test("a client that goes away, and the server's end, abort the work", async () => {
    const signals: AbortSignal[] = [];
    const answer = ({ signal }: RouteRequest): Promise<Response> => {
      signals.push(signal);
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(new Response("late")), { once: true });
      });
    };
    const { get, server } = start({}, [routeOf({ answer })]);
    const leaving = new AbortController();
    const gone = get("/x", { signal: leaving.signal }).catch(() => null);
    while (signals.length < 1) await Bun.sleep(1);
    leaving.abort();
    await gone;
    while (signals[0]?.aborted !== true) await Bun.sleep(1);
    const last = get("/x");
    while (signals.length < 2) await Bun.sleep(1);
    await server.stop();
    expect(await (await last).text()).toBe("late");
  });

  test("access is the server's to check, also for a route below a path", async () => {
    let asked = 0;
    const answer = ({ url }: RouteRequest): Response => {
      asked++;
      return new Response(url.pathname);
    };
    const { get } = start({}, [routeOf({ path: "/tables/*", access: "local", answer })]);
    expect(await (await get("/tables/a/b")).text()).toBe("/tables/a/b");
    expect((await get("/tables/a", { headers: { via: "1.1 p" } })).status).toBe(403);
    expect((await get("/tables")).status).toBe(404);
    expect(asked).toBe(1);
  });
});

describe("/metrics", () => {
  test("is served on both addresses, and nothing else on the second", async () => {
    const { server, get } = start({ metrics: { host: "127.0.0.1", port: 0, isRequired: true } });
    expect(server.urls).toHaveLength(2);
    for (const url of server.urls) {
      const answer = await fetch(`${url}/metrics`);
      expect(answer.headers.get("content-type")).toContain("text/plain");
      expect(await answer.text()).toContain("kafka_iceberg_build_info");
    }
    expect((await fetch(`${server.urls[1]}/health`)).status).toBe(404);
    expect((await get("/health")).status).toBe(200);
  });
});

describe("the server", () => {
  test("answers 404 with a hint, and 405 to writes", async () => {
    const { get } = start();
    expect(await (await get("/nothing")).json()).toEqual({
      error:
        "There is nothing at /nothing; there are /health, /ready, /status, /tables/*, /openapi.json, /metrics, /, /dashboard/*",
    });
    const refused = await get("/health", { method: "POST" });
    expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET"]);
    const head = await get("/health", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("says which key names an address that is taken", () => {
    const { server } = start();
    const port = Number(new URL(server.urls[0] ?? "").port);
    const first = running;
    expect(() => start({ health: { host: "127.0.0.1", port, isRequired: true } })).toThrow(
      new RegExp(`Cannot listen on 127.0.0.1:${port} \\(server.health_address\\)`),
    );
    running = first;
  });

  test("goes on without an address that is taken and was not asked for, and says so", async () => {
    const { server } = start();
    const first = running;
    const port = Number(new URL(server.urls[0] ?? "").port);
    const lines: string[] = [];
    const logger: Logger = { log: (_, message) => void lines.push(message), with: () => logger };
    const taken = { host: "127.0.0.1", port, isRequired: false };
    const free = { host: "127.0.0.1", port: 0, isRequired: true };
    const { server: second } = start({ health: taken, metrics: free }, null, systemClock, logger);
    expect(second.urls).toHaveLength(1);
    expect((await fetch(`${second.urls[0]}/metrics`)).status).toBe(200);
    expect(lines).toEqual([expect.stringContaining(`Cannot listen on 127.0.0.1:${port}`)]);
    await first?.stop();
  });

  test("listens nowhere when told so", () => {
    expect(start({ health: null }).server.urls).toEqual([]);
  });
});

/** The first line of the answer to bytes as they are. */
async function rawAnswer(url: string, request: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { hostname, port } = new URL(url);
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: { data: (_, bytes) => resolve(bytes.toString()), close: () => resolve("closed") },
  });
  socket.write(request);
  const answer = await promise;
  socket.end();
  return answer.split("\r\n")[0] ?? "";
}

describe("requests that name no host", () => {
  test("are answered on public routes, as old proxies ask for health, and let in nowhere else", async () => {
    const url = start().server.urls[0] ?? "";
    for (const head of ["HTTP/1.0\r\n\r\n", "HTTP/1.1\r\nHost:\r\n\r\n"]) {
      expect(await rawAnswer(url, `GET /health ${head}`)).toContain(" 200 ");
      expect(await rawAnswer(url, `GET /nope ${head}`)).toContain(" 404 ");
      expect(await rawAnswer(url, `GET /status ${head}`)).toContain(" 403 ");
    }
  });
});

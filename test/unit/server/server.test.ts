/**
 * The HTTP surface.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { createMetrics } from "#server/metrics.ts";
import { type RunningServer, type ServerOptions, startServer } from "#server/server.ts";
import { FakeStatus } from "./reports.ts";

let running: RunningServer | null = null;

afterEach(async () => {
  await running?.stop();
  running = null;
});

function start(options: Partial<ServerOptions> = {}, status = new FakeStatus()) {
  const metrics = createMetrics({
    version: "1",
    commit: "c",
    memoryBudgetBytes: 1,
    topicPartitionMetrics: true,
    stateDiskBytes: async () => 0,
    clock: { nowMs: () => 0 },
  });
  const server = startServer(
    { health: { host: "127.0.0.1", port: 0 }, metrics: null, token: "", tls: null, ...options },
    status,
    metrics,
  );
  running = server;
  const get = (path: string, init: RequestInit = {}) => fetch(`${server.urls[0]}${path}`, init);
  return { server, status, get };
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
  test("keeps every digit, and is open to this machine", async () => {
    const { get } = start();
    const text = await (await get("/status")).text();
    expect(text).toContain('"position":9007199254740993');
    expect(text).toContain('"lastSnapshotId":8764393922114530001');
  });

  test("is 403 to other machines unless they show the token", async () => {
    const address = Object.values((await import("node:os")).networkInterfaces())
      .flat()
      .find((each) => each?.family === "IPv4" && !each.internal)?.address;
    // Without a second address there is no other machine to play.
    if (address === undefined) return;
    start({ health: { host: "0.0.0.0", port: 0 }, token: "hunter2" });
    const port = new URL(running?.urls[0] ?? "").port;
    const url = `http://${address}:${port}/status`;
    const statusOf = async (authorization: string) =>
      (await fetch(url, { headers: { authorization } })).status;
    expect(await statusOf("")).toBe(403);
    expect(await statusOf("Bearer wrong")).toBe(403);
    expect(await statusOf("Bearer hunter3")).toBe(403);
    expect(await statusOf("Bearer hunter2")).toBe(200);
    expect((await fetch(url.replace("/status", "/health"))).status).toBe(200);
    expect((await fetch(url.replace("/status", "/metrics"))).status).toBe(200);
  });
});

describe("/metrics", () => {
  test("is served on both addresses, and nothing else on the second", async () => {
    const { server, get } = start({ metrics: { host: "127.0.0.1", port: 0 } });
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
    expect(await (await get("/")).json()).toEqual({
      error: "There are /health, /ready, /status and /metrics",
    });
    expect((await get("/health", { method: "POST" })).status).toBe(405);
  });

  test("says which key names an address that is taken", () => {
    const { server } = start();
    const port = Number(new URL(server.urls[0] ?? "").port);
    const first = running;
    expect(() => start({ health: { host: "127.0.0.1", port } })).toThrow(
      new RegExp(`Cannot listen on 127.0.0.1:${port} \\(server.health_address\\)`),
    );
    running = first;
  });

  test("listens nowhere when told so", () => {
    expect(start({ health: null }).server.urls).toEqual([]);
  });
});

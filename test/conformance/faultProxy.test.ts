/**
 * The fault proxy does to a real HTTP exchange what its modes promise, and no more.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type FaultProxy, startFaultProxy } from "../../scripts/services/faultProxy.ts";

let applied: string[] = [];
let server: ReturnType<typeof serve>;
let proxy: FaultProxy;

function serve() {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const body = await request.text();
      applied.push(`${request.method} ${new URL(request.url).pathname}`);
      return new Response(String(body.length));
    },
  });
}

beforeEach(() => {
  applied = [];
  server = serve();
  proxy = startFaultProxy(`127.0.0.1:${server.port}`);
});

afterEach(async () => {
  proxy.stop();
  await server.stop(true);
});

/** One request on a connection of its own; null when the socket was dropped. */
async function put(path: string, body = "x"): Promise<string | null> {
  const url = `http://127.0.0.1:${proxy.port}${path}`;
  const headers = { connection: "close" };
  const answer = await fetch(url, { method: "PUT", body, headers }).catch(() => null);
  return answer === null ? null : answer.text();
}

describe("the fault proxy", () => {
  test("passes large requests and answers unchanged", async () => {
    expect(await put("/a", "y".repeat(5_000_000))).toBe("5000000");
    expect(applied).toEqual(["PUT /a"]);
  });

  test("swallow lets the request be applied and drops the answer", async () => {
    proxy.set({ kind: "swallow" });
    expect(await put("/a")).toBeNull();
    expect(applied).toEqual(["PUT /a"]);
    expect(proxy.counters.swallowed).toBe(1);
  });

  test("swallow with a match leaves other requests alone", async () => {
    proxy.set({ kind: "swallow", match: /^PUT \/metadata/ });
    expect(await put("/data")).toBe("1");
    expect(await put("/metadata")).toBeNull();
    expect(applied).toEqual(["PUT /data", "PUT /metadata"]);
  });

  test("refuse keeps the request from the target", async () => {
    proxy.set({ kind: "refuse" });
    expect(await put("/a")).toBeNull();
    expect(applied).toEqual([]);
    expect(proxy.counters.refused).toBeGreaterThan(0);
  });

  test("stall holds the request until it is let go", async () => {
    proxy.set({ kind: "stall" });
    const answer = put("/a");
    while (proxy.counters.stalled === 0) await Bun.sleep(5);
    await Bun.sleep(50);
    expect(applied).toEqual([]);
    proxy.set({ kind: "pass" });
    expect(await answer).toBe("1");
    expect(applied).toEqual(["PUT /a"]);
  });

  test("stall for a time delays the request by at least that time", async () => {
    proxy.set({ kind: "stall", ms: 150 });
    const began = performance.now();
    expect(await put("/a")).toBe("1");
    expect(performance.now() - began).toBeGreaterThanOrEqual(145);
  });

  test("answer gives the proxy's answer in place of the target's, applied or not", async () => {
    for (const applied of [false, true]) {
      proxy.set({ kind: "answer", status: 503, applied, match: /^PUT \/metadata/, once: true });
      expect(await put("/data")).toBe("1");
      const url = `http://127.0.0.1:${proxy.port}/metadata`;
      const found = await fetch(url, { method: "PUT", body: "y".repeat(500_000) });
      expect([found.status, await found.text()]).toEqual([503, "{}"]);
      expect(await put("/metadata")).toBe("1");
    }
    const both = ["PUT /data", "PUT /metadata"];
    expect(applied).toEqual([...both, "PUT /data", "PUT /metadata", "PUT /metadata"]);
    expect(proxy.counters.answered).toBe(2);
  });
});

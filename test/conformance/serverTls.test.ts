/**
 * The HTTP surface over TLS, with clients of its own authority only.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { routesOf } from "#app/routes.ts";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { createMetrics } from "#server/metrics.ts";
import { type RunningServer, startServer } from "#server/server.ts";
import { type Certificates, makeCertificates } from "../../scripts/services/certificates.ts";
import { run, temporaryFolder } from "../../scripts/services/process.ts";
import { FakeStatus } from "../fakes/statusReports.ts";

let folder = "";
let certificates: Certificates;
const running: RunningServer[] = [];

beforeAll(async () => {
  folder = await temporaryFolder("server-tls");
  certificates = await makeCertificates(folder, true);
}, 60_000);

afterAll(async () => {
  for (const server of running) await server.stop();
});

async function start(clientCa: string | null): Promise<string> {
  const read = (name: string): Promise<string> => Bun.file(`${folder}/${name}`).text();
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
      tls: { cert: await read("server.pem"), key: await read("server.key"), clientCa },
    },
    routesOf(new FakeStatus(), metrics, () => []),
    { clock: systemClock, log: silentLogger },
  );
  running.push(server);
  return `${server.urls[0]}/health`;
}

/** What curl says; empty when it was refused. */
async function curl(url: string, ...more: string[]): Promise<string> {
  try {
    return await run([
      "curl",
      "-sS",
      "--max-time",
      "10",
      "--cacert",
      certificates.ca,
      ...more,
      url,
    ]);
  } catch {
    return "";
  }
}

describe("/health over TLS", () => {
  test("is served to clients that trust the authority, and not in the clear", async () => {
    const url = await start(null);
    expect(url).toStartWith("https://");
    expect(await curl(url)).toContain('"status":"ok"');
    expect(await curl(url.replace("https:", "http:"))).not.toContain("status");
  });

  test("is served only to clients of the named authority", async () => {
    const url = await start(await Bun.file(certificates.ca).text());
    const { client, foreignClient } = certificates;
    expect(await curl(url, "--cert", client.cert, "--key", client.key)).toContain('"status":"ok"');
    expect(await curl(url)).toBe("");
    expect(await curl(url, "--cert", foreignClient.cert, "--key", foreignClient.key)).toBe("");
  });
});

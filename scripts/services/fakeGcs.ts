/** Google Cloud Storage in memory: fake-gcs-server (Go). It checks no credentials. */
import { join } from "node:path";
import { fakeGcsServer } from "./cache.ts";
import { freePort, startService, temporaryFolder } from "./process.ts";

/** A running server. */
export interface FakeGcs {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  readonly port: number;
  readonly logFile: string;
  stop(): Promise<void>;
}

/** Starts it with one bucket and waits until it answers. */
export async function startFakeGcs({
  bucket = "warehouse",
}: {
  readonly bucket?: string;
} = {}): Promise<FakeGcs> {
  const binary = await fakeGcsServer();
  const folder = await temporaryFolder("gcs");
  const port = freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const logFile = join(folder, "gcs.log");
  const address = ["-scheme", "http", "-host", "127.0.0.1", "-port", String(port)];
  const names = ["-public-host", `127.0.0.1:${port}`, "-external-url", endpoint];
  const service = await startService({
    name: "fake-gcs-server",
    command: [binary, ...address, ...names, "-backend", "memory", "-log-level", "warn"],
    logFile,
    ready: async () => {
      const answer = await fetch(`${endpoint}/storage/v1/b`).catch(() => null);
      return answer?.status === 200;
    },
  });
  const made = await fetch(`${endpoint}/storage/v1/b`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: bucket }),
  });
  if (!made.ok) throw new Error(`the bucket ${bucket} was not made: ${made.status}`);
  return { endpoint, port, logFile, stop: () => service.stop() };
}

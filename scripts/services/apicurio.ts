/**
 * Apicurio Registry on the loopback address, with Confluent's API; schemas are kept in memory. Needs Java
 * 21 or newer (java21.ts).
 */
import { join } from "node:path";
import { apicurioFolder } from "./cache.ts";
import { newerJava } from "./java21.ts";
import { freePort, startService, temporaryFolder } from "./process.ts";

/** A running registry. */
export interface Apicurio {
  /** Its address of Confluent's API. */
  readonly url: string;
  readonly logFile: string;
  stop(): Promise<void>;
}

/** Starts a registry and waits until it answers (about 6 s). */
export async function startApicurio(): Promise<Apicurio> {
  const java = newerJava("Apicurio Registry");
  const home = await apicurioFolder();
  const folder = await temporaryFolder("apicurio");
  const port = freePort();
  const properties = {
    "quarkus.http.host": "127.0.0.1",
    "quarkus.http.port": String(port),
    "quarkus.management.host": "127.0.0.1",
    "quarkus.management.port": String(freePort()),
    "quarkus.otel.sdk.disabled": "true",
  };
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`;
  const logFile = join(folder, "apicurio.log");
  const service = await startService({
    name: "Apicurio Registry",
    command: [
      java,
      "-Xmx384m",
      "-XX:TieredStopAtLevel=1",
      ...Object.entries(properties).map(([key, value]) => `-D${key}=${value}`),
      "-jar",
      join(home, "quarkus-run.jar"),
    ],
    logFile,
    startTimeoutMs: 120_000,
    ready: async () => (await fetch(`${url}/subjects`).catch(() => null))?.status === 200,
  });
  return { url, logFile, stop: () => service.stop() };
}

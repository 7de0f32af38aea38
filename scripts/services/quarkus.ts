/** A server built on Quarkus, on the loopback address. They all need Java 21 or newer (java21.ts). */
import { join } from "node:path";
import { newerJava } from "./java21.ts";
import { freePort, startService, temporaryFolder } from "./process.ts";

/** What {@link startQuarkus} starts. */
export interface QuarkusServer {
  readonly name: string;
  readonly jar: string;
  /** Beside those of its addresses; `quarkus.*`, and the server's own. */
  readonly properties?: Readonly<Record<string, string>>;
  /** A path, and what is answered there once the server is ready. */
  readonly ready: { readonly path: string; readonly status: number };
}

/** A running server. */
export interface Quarkus {
  /** `http://127.0.0.1:<port>`. */
  readonly base: string;
  readonly logFile: string;
  stop(): Promise<void>;
}

/** Starts the server on a free port and waits until it answers (about 6 s). */
export async function startQuarkus(server: QuarkusServer): Promise<Quarkus> {
  const { name, jar, ready } = server;
  const java = newerJava(name);
  const port = freePort();
  const properties = {
    "quarkus.http.host": "127.0.0.1",
    "quarkus.http.port": String(port),
    "quarkus.management.host": "127.0.0.1",
    "quarkus.management.port": String(freePort()),
    "quarkus.otel.sdk.disabled": "true",
    ...server.properties,
  };
  const base = `http://127.0.0.1:${port}`;
  const logFile = join(await temporaryFolder("quarkus"), "server.log");
  const service = await startService({
    name,
    command: [
      java,
      "-Xmx384m",
      "-XX:TieredStopAtLevel=1",
      ...Object.entries(properties).map(([key, value]) => `-D${key}=${value}`),
      "-jar",
      jar,
    ],
    logFile,
    startTimeoutMs: 120_000,
    ready: async () =>
      (await fetch(`${base}${ready.path}`).catch(() => null))?.status === ready.status,
  });
  return { base, logFile, stop: () => service.stop() };
}

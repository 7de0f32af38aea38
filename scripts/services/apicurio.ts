/** Apicurio Registry on the loopback address, with Confluent's API; schemas are kept in memory. */
import { join } from "node:path";
import { apicurioFolder } from "./cache.ts";
import { startQuarkus } from "./quarkus.ts";

/** A running registry. */
export interface Apicurio {
  /** Its address of Confluent's API. */
  readonly url: string;
  /** Its address of Apicurio's own API, version 2. */
  readonly nativeUrl: string;
  readonly logFile: string;
  stop(): Promise<void>;
}

const API = "/apis/ccompat/v7";

/** Starts a registry and waits until it answers (about 6 s). */
export async function startApicurio(): Promise<Apicurio> {
  const { base, logFile, stop } = await startQuarkus({
    name: "Apicurio Registry",
    jar: join(await apicurioFolder(), "quarkus-run.jar"),
    ready: { path: `${API}/subjects`, status: 200 },
  });
  return { url: `${base}${API}`, nativeUrl: `${base}/apis/registry/v2`, logFile, stop };
}

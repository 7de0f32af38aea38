/**
 * Project Nessie on the loopback address, its tables on an S3 server; versions are kept in memory. Needs
 * Java 21 or newer (java21.ts).
 */
import { join } from "node:path";
import { nessieJar } from "./cache.ts";
import { newerJava } from "./java21.ts";
import { AUDIENCE, type Keycloak } from "./keycloak.ts";
import { freePort, startService, temporaryFolder } from "./process.ts";
import type { S3Service } from "./versitygw.ts";

/** A running Nessie. */
export interface Nessie {
  /** Its Iceberg REST address, without a branch. */
  readonly uri: string;
  readonly logFile: string;
  /** Makes a branch at the head of `main`. */
  createBranch(name: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts Nessie with the warehouse `s3://<bucket>/nessie` and waits until it answers.
 * @param signIn whose tokens it asks for; default: nobody signs in
 */
export async function startNessie(
  s3: S3Service,
  bucket: string,
  signIn: Keycloak | null = null,
): Promise<Nessie> {
  const java = newerJava("Nessie");
  const jar = await nessieJar();
  const folder = await temporaryFolder("nessie");
  const port = freePort();
  const s3Options = "nessie.catalog.service.s3.default-options";
  const properties = {
    "quarkus.http.host": "127.0.0.1",
    "quarkus.http.port": String(port),
    "quarkus.management.host": "127.0.0.1",
    "quarkus.management.port": String(freePort()),
    "quarkus.otel.sdk.disabled": "true",
    "nessie.version.store.type": "IN_MEMORY",
    "nessie.catalog.default-warehouse": "warehouse",
    "nessie.catalog.warehouses.warehouse.location": `s3://${bucket}/nessie`,
    [`${s3Options}.endpoint`]: s3.endpoint,
    [`${s3Options}.path-style-access`]: "true",
    [`${s3Options}.region`]: s3.region,
    [`${s3Options}.access-key`]: "urn:nessie-secret:quarkus:test.s3",
    "test.s3.name": s3.accessKey,
    "test.s3.secret": s3.secretKey,
    ...(signIn && {
      "nessie.server.authentication.enabled": "true",
      "quarkus.oidc.tenant-enabled": "true",
      "quarkus.oidc.auth-server-url": signIn.realm,
      "quarkus.oidc.client-id": AUDIENCE,
    }),
  };
  const logFile = join(folder, "nessie.log");
  const service = await startService({
    name: "Nessie",
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
    ready: async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v2/config`).catch(() => null);
      return answer?.status === (signIn === null ? 200 : 401);
    },
  });
  const base = `http://127.0.0.1:${port}`;
  return {
    uri: `${base}/iceberg`,
    logFile,
    createBranch: async (name) => {
      const main = (await (await fetch(`${base}/api/v2/trees/main`)).json()) as object;
      const { reference } = main as { readonly reference: object };
      const answer = await fetch(`${base}/api/v2/trees?name=${name}&type=BRANCH`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(reference),
      });
      if (!answer.ok) throw new Error(`Nessie made no branch: ${await answer.text()}`);
    },
    stop: () => service.stop(),
  };
}

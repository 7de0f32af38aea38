/**
 * Project Nessie on the loopback address, its tables on an S3 server; versions are kept in memory.
 */
import { nessieJar } from "./cache.ts";
import { AUDIENCE, type Keycloak } from "./keycloak.ts";
import { startQuarkus } from "./quarkus.ts";
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
  const s3Options = "nessie.catalog.service.s3.default-options";
  const { base, logFile, stop } = await startQuarkus({
    name: "Nessie",
    jar: await nessieJar(),
    properties: {
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
    },
    ready: { path: "/api/v2/config", status: signIn === null ? 200 : 401 },
  });
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
    stop,
  };
}

/**
 * Keycloak on the loopback address: an OAuth2 server that others' tokens are checked by, with one realm
 * and one client that signs in by its secret. Needs Java 21 or newer (java21.ts).
 */
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { keycloakFolder } from "./cache.ts";
import { newerJava } from "./java21.ts";
import { freePort, startService, temporaryFolder } from "./process.ts";

/** A running Keycloak. */
export interface Keycloak {
  /** Its realm: what servers that check tokens are told. */
  readonly realm: string;
  /** Where tokens are had. */
  readonly tokens: string;
  /** `id:secret` of the client. */
  readonly credential: string;
  readonly logFile: string;
  stop(): Promise<void>;
}

/** Name of the realm, of the audience in its tokens. */
const REALM = "iceberg";
/** Who checks the tokens. */
export const AUDIENCE = "catalog";

/** Starts Keycloak and waits until it answers (about 40 s). @param tokenSeconds life of a token */
export async function startKeycloak(tokenSeconds: number): Promise<Keycloak> {
  const java = newerJava("Keycloak");
  const home = await homeIn(await temporaryFolder("keycloak"), tokenSeconds);
  const port = freePort();
  const base = `http://127.0.0.1:${port}/realms/${REALM}`;
  const logFile = join(home, "keycloak.log");
  const service = await startService({
    name: "Keycloak",
    command: [
      join(home, "bin", "kc.sh"),
      "start-dev",
      "--http-host=127.0.0.1",
      `--http-port=${port}`,
      `--http-management-port=${freePort()}`,
      "--import-realm",
    ],
    env: {
      JAVA_HOME: dirname(dirname(java)),
      JAVA_OPTS_KC_HEAP: "-Xms64m -Xmx384m",
      KC_CACHE: "local",
    },
    logFile,
    startTimeoutMs: 300_000,
    ready: async () =>
      (await fetch(`${base}/.well-known/openid-configuration`).catch(() => null))?.status === 200,
  });
  return {
    realm: base,
    tokens: `${base}/protocol/openid-connect/token`,
    credential: `${CLIENT.clientId}:${CLIENT.secret}`,
    logFile,
    stop: () => service.stop(),
  };
}

const CLIENT = {
  clientId: "svc",
  secret: "svc-secret",
  enabled: true,
  serviceAccountsEnabled: true,
  standardFlowEnabled: false,
  publicClient: false,
  protocolMappers: [
    {
      name: "audience",
      protocol: "openid-connect",
      protocolMapper: "oidc-audience-mapper",
      config: { "included.custom.audience": AUDIENCE, "access.token.claim": "true" },
    },
  ],
};

/** A home of its own: Keycloak builds itself at the first start, and keeps its data there. */
async function homeIn(folder: string, tokenSeconds: number): Promise<string> {
  const installed = await keycloakFolder();
  await Bun.$`cp -r ${installed}/. ${folder}`.quiet();
  const imports = join(folder, "data", "import");
  mkdirSync(imports, { recursive: true });
  const realm = {
    realm: REALM,
    enabled: true,
    accessTokenLifespan: tokenSeconds,
    sslRequired: "none",
    clients: [CLIENT],
    clientScopes: [
      {
        name: AUDIENCE,
        protocol: "openid-connect",
        attributes: { "include.in.token.scope": "true" },
      },
    ],
    defaultOptionalClientScopes: [AUDIENCE],
  };
  await Bun.write(join(imports, "realm.json"), JSON.stringify(realm));
  return folder;
}

/**
 * Configuration -> settings of the REST and Nessie catalogs, and what keys they need of each other.
 */
import type { RestAuth, RestCatalogOptions } from "#catalog/rest/options.ts";
import type { PipelineValues } from "./keys.ts";

const SECOND_MS = 1000;
/** Scope of the protocol's own token endpoint. */
const SCOPE_DEFAULT = "catalog";
/** Between tries of a read; the circuit breaker's waits come on top. */
const RETRY_BASE_MS = 200;
const RETRY_MS_MAX = 5000;

/** `[iceberg.rest]`; that the keys fit each other was checked when loading. */
export function restOptions(values: PipelineValues): RestCatalogOptions {
  return {
    ...sharedOptions(values),
    uri: values["iceberg.rest.uri"] ?? "",
    warehouse: values["iceberg.rest.warehouse"],
    prefix: values["iceberg.rest.prefix"],
    auth: restAuth(values),
    nessieRef: null,
  };
}

/** `[iceberg.nessie]`; how requests are sent is set in `[iceberg.rest]`. */
export function nessieOptions(values: PipelineValues): RestCatalogOptions {
  const token = values["iceberg.nessie.auth"];
  const hasOwn = values["iceberg.rest.credential_type"] !== "none";
  return {
    ...sharedOptions(values),
    uri: values["iceberg.nessie.uri"] ?? "",
    warehouse: values["iceberg.rest.warehouse"],
    prefix: null,
    auth: token === null || hasOwn ? restAuth(values) : { type: "bearer", token },
    nessieRef: values["iceberg.nessie.ref"],
  };
}

function sharedOptions(
  values: PipelineValues,
): Pick<
  RestCatalogOptions,
  | "tls"
  | "proxy"
  | "headers"
  | "requestTimeoutMs"
  | "retry"
  | "connectionsMax"
  | "vendedCredentials"
  | "remoteSigning"
> {
  return {
    tls: {
      caFile: values["iceberg.rest.ca_file"],
      certFile: values["iceberg.rest.cert_file"],
      keyFile: values["iceberg.rest.key_file"],
      keyPassword: values["iceberg.rest.key_password"],
    },
    proxy: values["iceberg.rest.proxy"],
    headers: values["iceberg.rest.headers"],
    requestTimeoutMs: values["iceberg.rest.request_timeout_seconds"] * SECOND_MS,
    retry: {
      retriesMax: values["iceberg.rest.max_retries"],
      baseDelayMs: RETRY_BASE_MS,
      delayMsMax: RETRY_MS_MAX,
    },
    connectionsMax: values["iceberg.catalog_manager.connection_pool_size"],
    vendedCredentials: values["iceberg.rest.vended_credentials"],
    remoteSigning: values["iceberg.rest.remote_signing"],
  };
}

function restAuth(values: PipelineValues): RestAuth {
  const credential = values["iceberg.rest.credential"] ?? "";
  const [first, second] = halves(credential);
  switch (values["iceberg.rest.credential_type"]) {
    case "bearer":
      return { type: "bearer", token: credential };
    case "basic":
      return { type: "basic", user: first, password: second };
    case "oauth2":
      return {
        type: "oauth2",
        clientId: first,
        clientSecret: second,
        serverUri: values["iceberg.rest.oauth2_server_uri"],
        scope: values["iceberg.rest.scope"] ?? SCOPE_DEFAULT,
      };
    case "sigv4": {
      const { service, region } = signatureScope(values);
      return { type: "sigv4", service, region: region ?? "" };
    }
    default:
      return { type: "none" };
  }
}

/** What the address of an AWS service says of itself: `glue.us-east-1.amazonaws.com`. */
const AWS_HOST =
  /(?:^|\.)(glue|s3tables|execute-api)(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws|api\.aws)/;

/** Service and region of signatures: as set, else as the address says. */
function signatureScope(values: PipelineValues): {
  readonly service: string;
  readonly region: string | null;
} {
  const host = URL.parse(values["iceberg.rest.uri"] ?? "")?.hostname ?? "";
  const [, service = "execute-api", region = null] = AWS_HOST.exec(host) ?? [];
  return {
    service: values["iceberg.rest.signing_name"] ?? service,
    region: values["iceberg.rest.signing_region"] ?? region,
  };
}

/** `id:secret`; a secret alone has no id. The secret may hold colons. */
function halves(credential: string): [string, string] {
  const at = credential.indexOf(":");
  return at < 0 ? ["", credential] : [credential.slice(0, at), credential.slice(at + 1)];
}

type Key = keyof PipelineValues & string;

/** Reports keys of the REST and Nessie catalogs that do not fit each other. */
export function checkRest({
  values,
  report,
}: {
  readonly values: PipelineValues;
  readonly report: (key: Key, problem: string) => void;
}): void {
  const type = values["iceberg.catalog_type"];
  if (type !== "rest" && type !== "nessie") return;
  const uriKey = type === "rest" ? "iceberg.rest.uri" : "iceberg.nessie.uri";
  if (values[uriKey] === null) report("iceberg.catalog_type", `"${type}" needs ${uriKey}`);
  for (const key of [uriKey, "iceberg.rest.oauth2_server_uri"] as const) {
    const problem = uriProblem(values[key]);
    if (problem !== null) report(key, problem);
  }
  checkConnection(values, report);
  const how = values["iceberg.rest.credential_type"];
  const credential = values["iceberg.rest.credential"];
  checkSignatures({ values, report });
  if (how === "none" && credential !== null) {
    const problem = 'needs iceberg.rest.credential_type: "bearer", "oauth2" or "basic"';
    report("iceberg.rest.credential", problem);
  } else if (how !== "none" && how !== "sigv4" && credential === null) {
    report("iceberg.rest.credential_type", `"${how}" needs iceberg.rest.credential`);
  } else if (how === "basic" && credential?.includes(":") !== true) {
    report("iceberg.rest.credential", 'must be "user:password"');
  }
}

function checkConnection(
  values: PipelineValues,
  report: (key: Key, problem: string) => void,
): void {
  const proxy = values["iceberg.rest.proxy"];
  const isProxy = proxy === null || /^https?:$/.test(URL.parse(proxy)?.protocol ?? "");
  if (!isProxy) report("iceberg.rest.proxy", "must be http://host:port or https://host:port");
  const pairs = [
    ["cert_file", "key_file"],
    ["key_file", "cert_file"],
    ["key_password", "key_file"],
  ] as const;
  for (const [key, needed] of pairs) {
    if (values[`iceberg.rest.${key}`] === null || values[`iceberg.rest.${needed}`] !== null)
      continue;
    report(`iceberg.rest.${key}`, `needs iceberg.rest.${needed}`);
  }
}

function checkSignatures({ values, report }: Parameters<typeof checkRest>[0]): void {
  if (values["iceberg.rest.credential_type"] !== "sigv4") return;
  if (signatureScope(values).region === null) {
    const problem = '"sigv4" needs iceberg.rest.signing_region: the address names none';
    report("iceberg.rest.credential_type", problem);
  }
  if (values["iceberg.rest.credential"] === null) return;
  report(
    "iceberg.rest.credential",
    "is not used with sigv4: keys come from the AWS provider chain",
  );
}

function uriProblem(uri: string | null): string | null {
  if (uri === null) return null;
  const parsed = URL.parse(uri);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    return "must be a URL that begins with https:// or http://";
  }
  if (parsed.username === "" && parsed.password === "") return null;
  return "holds a user: sign in with iceberg.rest.credential_type and credential";
}

/**
 * Access tokens of Microsoft Entra for Azure Storage: of a service principal with a secret, of a
 * federated token (workload identity of Kubernetes), or of the machine's managed identity; the first of
 * these that is set up. The variables are those of Azure's own libraries (decision 0311).
 */
import type { Clock } from "#base/clock.ts";
import { AppError, describe, fail } from "#base/errors.ts";
import { createHttp, type Http, type HttpRequest, NoAnswer } from "#base/http.ts";
import { type Json, parseJson } from "#base/json.ts";

/** Who to sign in as; null: the process's variables say it (`AZURE_TENANT_ID`, ..). */
export interface AzureIdentity {
  readonly tenantId: string | null;
  readonly clientId: string | null;
  readonly clientSecret: string | null;
  /** A variable of the process. */
  readonly variable: (name: string) => string | undefined;
}

/** What tokens are fetched with. */
export interface IdentityParts {
  readonly clock: Clock;
  /** Sends requests in place of the network; tests only. */
  readonly http?: Http | undefined;
}

/** A token and its end, ms since epoch. */
export interface AccessToken {
  readonly token: string;
  readonly expiresOnTimestamp: number;
}

/** A source of tokens. */
export interface IdentitySource {
  /** Fetches a new token. Throws `storage_refused`, `storage_unreachable`. */
  fetch(): Promise<AccessToken>;
  /** Whose tokens they are and where from; never a secret. */
  readonly who: string;
}

const RESOURCE = "https://storage.azure.com/";
const AUTHORITY = "https://login.microsoftonline.com";
const MACHINE = "http://169.254.169.254/metadata/identity/oauth2/token";
const TIMEOUT_MS = 10_000;
const NO_IDENTITY =
  "this machine has no managed identity that answers; set storage.azure.account_key, sas_token or client_secret";
const SECOND_MS = 1000;

/** Chooses the source of tokens; nothing is asked for yet. */
export function identitySource(identity: AzureIdentity, parts: IdentityParts): IdentitySource {
  const { variable } = identity;
  const http =
    parts.http ?? createHttp({ clock: parts.clock, timeoutMs: TIMEOUT_MS, connectionsMax: 2 });
  const tenant = identity.tenantId ?? variable("AZURE_TENANT_ID");
  const client = identity.clientId ?? variable("AZURE_CLIENT_ID");
  const secret = identity.clientSecret ?? variable("AZURE_CLIENT_SECRET");
  const file = variable("AZURE_FEDERATED_TOKEN_FILE");
  const named = (who: string, request: () => Promise<HttpRequest>): IdentitySource => ({
    who,
    fetch: async () => tokenIn(await answered(http, who, await request()), who, parts.clock),
  });
  if (tenant !== undefined && client !== undefined && secret !== undefined)
    return named(`the service principal ${client}`, async () =>
      signIn(identity, tenant, { client_id: client, client_secret: secret }),
    );
  if (tenant !== undefined && client !== undefined && file !== undefined)
    return named(`the workload identity ${client}`, async () =>
      signIn(identity, tenant, {
        client_id: client,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: await federatedToken(file),
      }),
    );
  const own = client === undefined ? "" : ` ${client}`;
  const machine = named(`the managed identity${own} of this machine`, async () =>
    managed(variable, client ?? null),
  );
  return { ...machine, fetch: answeringOnce(machine) };
}

/** Where no identity ever answered there is none: that is told, not waited for. */
function answeringOnce(machine: IdentitySource): () => Promise<AccessToken> {
  let hasAnswered = false;
  return async () => {
    try {
      const token = await machine.fetch();
      hasAnswered = true;
      return token;
    } catch (error) {
      if (hasAnswered || !(error instanceof AppError) || "status" in error.context) throw error;
      throw fail("storage_refused", `No credentials for Azure Storage: ${NO_IDENTITY}`, {}, error);
    }
  };
}

function signIn(
  { variable }: AzureIdentity,
  tenant: string,
  fields: Readonly<Record<string, string>>,
): HttpRequest {
  const authority = (variable("AZURE_AUTHORITY_HOST") ?? AUTHORITY).replace(/\/+$/, "");
  const form = { grant_type: "client_credentials", scope: `${RESOURCE}.default`, ...fields };
  return {
    method: "POST",
    url: `${authority}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(form).toString(),
  };
}

/** Read anew each time: Kubernetes replaces it. */
async function federatedToken(file: string): Promise<string> {
  try {
    return (await Bun.file(file).text()).trim();
  } catch (cause) {
    const sentence = `The federated token ${file} (AZURE_FEDERATED_TOKEN_FILE) cannot be read`;
    throw fail("storage_refused", sentence, { file }, cause);
  }
}

/** App Service and the like name an endpoint; virtual machines have theirs at a fixed address. */
function managed(variable: AzureIdentity["variable"], client: string | null): HttpRequest {
  const endpoint = variable("IDENTITY_ENDPOINT");
  const query = new URLSearchParams({
    "api-version": endpoint === undefined ? "2018-02-01" : "2019-08-01",
    resource: RESOURCE,
    ...(client === null ? {} : { client_id: client }),
  });
  const headers: Record<string, string> =
    endpoint === undefined
      ? { metadata: "true" }
      : { "x-identity-header": variable("IDENTITY_HEADER") ?? "" };
  return { method: "GET", url: `${endpoint ?? MACHINE}?${query}`, headers, body: null };
}

async function answered(http: Http, who: string, request: HttpRequest): Promise<string> {
  const kindOf = (status: number) =>
    status >= 400 && status < 500 && status !== 408 && status !== 429
      ? "storage_refused"
      : "storage_unreachable";
  try {
    const { status, body } = await http.send(request);
    if (status === 200) return body;
    const sentence = `No access token for Azure Storage from ${who} (${status}): ${reasonIn(body)}`;
    throw fail(kindOf(status), sentence, { status });
  } catch (error) {
    if (error instanceof AppError || !(error instanceof NoAnswer)) throw error;
    const sentence = `No access token for Azure Storage from ${who}: ${describe(error)}`;
    throw fail("storage_unreachable", sentence, {}, error);
  }
}

function reasonIn(body: string): string {
  const { error_description: words, error } = objectIn(body);
  return String(words ?? error ?? "no reason given").split(/\r?\n/)[0] ?? "";
}

function tokenIn(body: string, who: string, clock: Clock): AccessToken {
  const { access_token: token, expires_in: seconds } = objectIn(body);
  if (typeof token === "string" && token !== "")
    return { token, expiresOnTimestamp: clock.nowMs() + Number(seconds ?? 0) * SECOND_MS };
  throw fail("storage_unreachable", `No access token for Azure Storage from ${who}`);
}

function objectIn(text: string): { readonly [key: string]: Json } {
  try {
    const value = parseJson(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

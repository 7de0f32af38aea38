/**
 * How requests are signed in: nothing, a token that stays, user and password, OAuth2 client
 * credentials, whose token is fetched when it is needed and again before it ends, or a signature of AWS for
 * each request.
 */
import type { AwsCredentials } from "#aws/credentials.ts";
import type { Clock } from "#base/clock.ts";
import { describe, fail } from "#base/errors.ts";
import type { Http, HttpAnswer, HttpRequest } from "#base/http.ts";
import { parseJson } from "#base/json.ts";
import type { RestAuth } from "./options.ts";

/** Signs requests in. */
export interface Authorizer {
  /**
   * What a request needs beside its own headers. Throws `catalog_unreachable`, `catalog_refused` when no
   * token is to be had.
   */
  headers(request: HttpRequest): Promise<Readonly<Record<string, string>>>;
  /** After an answer: true when it refused the login, and the next request will carry something else. */
  renew(refused: Readonly<Record<string, string>>, answer: HttpAnswer): boolean;
}

/** The login is refused: nothing was done. */
export const UNAUTHORIZED: ReadonlySet<number> = new Set([401, 419]);
/** AWS says so with 403, in the words of its services. */
const KEYS_ENDED = /ExpiredToken|RequestExpired|SignatureDoesNotMatch|InvalidSignature/;
const KINDS = { refused: "catalog_refused", unreachable: "catalog_unreachable" } as const;

/** Share of a token's life after which another one is fetched. */
const LIFE_USED = 0.75;
/** Life of a token whose server does not say, ms. */
const LIFE_MS_DEFAULT = 300_000;

/** What signing in needs. */
export interface AuthorizerParts {
  readonly clock: Clock;
  readonly http: Http;
  /** Of AWS; default: the provider chain's. */
  readonly credentials?: AwsCredentials;
}

/** @param ownTokens the catalog's own token endpoint, used when no other is configured */
export function createAuthorizer(
  auth: RestAuth,
  ownTokens: string,
  parts: AuthorizerParts,
): Authorizer {
  switch (auth.type) {
    case "none":
      return constant({});
    case "bearer":
      return constant({ authorization: `Bearer ${auth.token}` });
    case "basic": {
      const text = Buffer.from(`${auth.user}:${auth.password}`).toString("base64");
      return constant({ authorization: `Basic ${text}` });
    }
    case "oauth2":
      return new Tokens(auth, auth.serverUri ?? ownTokens, parts);
    case "sigv4":
      return signing(auth, parts);
  }
}

/** The SDK is loaded with the first request. */
function signing(
  auth: Extract<RestAuth, { type: "sigv4" }>,
  { clock, credentials: given }: AuthorizerParts,
): Authorizer {
  let wantsFresh = false;
  let credentials = given;
  return {
    headers: async (request) => {
      const { signedHeaders } = await import("#aws/signer.ts");
      const { awsCredentials } = await import("#aws/credentials.ts");
      credentials ??= awsCredentials({ roleArn: null, region: auth.region }, KINDS, { clock });
      const identity = await credentials(wantsFresh);
      wantsFresh = false;
      return signedHeaders(request, auth, identity, clock.nowMs());
    },
    renew: (_, { status, body, headers }) => {
      const said = `${headers["x-amzn-errortype"] ?? ""} ${body}`;
      wantsFresh = status === 401 || (status === 403 && KEYS_ENDED.test(said));
      return wantsFresh;
    },
  };
}

function constant(headers: Readonly<Record<string, string>>): Authorizer {
  return { headers: async () => headers, renew: () => false };
}

class Tokens implements Authorizer {
  readonly #auth: Extract<RestAuth, { type: "oauth2" }>;
  readonly #endpoint: string;
  readonly #parts: { readonly clock: Clock; readonly http: Http };
  #token: { readonly text: string; readonly renewAtMs: number } | null = null;
  #asking: Promise<void> | null = null;

  constructor(
    auth: Extract<RestAuth, { type: "oauth2" }>,
    endpoint: string,
    parts: { readonly clock: Clock; readonly http: Http },
  ) {
    this.#auth = auth;
    this.#endpoint = endpoint;
    this.#parts = parts;
  }

  async headers(): Promise<Readonly<Record<string, string>>> {
    const { clock } = this.#parts;
    if (this.#token === null || clock.monotonicMs() >= this.#token.renewAtMs) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = null;
      });
      await this.#asking;
    }
    return { authorization: `Bearer ${this.#token?.text ?? ""}` };
  }

  /** Several requests may be refused for one token: only the first drops it. */
  renew(refused: Readonly<Record<string, string>>, { status }: HttpAnswer): boolean {
    if (!UNAUTHORIZED.has(status)) return false;
    if (refused["authorization"] === `Bearer ${this.#token?.text}`) this.#token = null;
    return true;
  }

  async #ask(): Promise<void> {
    const { clientId, clientSecret, scope } = this.#auth;
    const form = new URLSearchParams({ grant_type: "client_credentials" });
    if (clientId !== "") form.set("client_id", clientId);
    form.set("client_secret", clientSecret);
    if (scope !== "") form.set("scope", scope);
    const beganMs = this.#parts.clock.monotonicMs();
    const answer = await this.#parts.http
      .send({
        method: "POST",
        url: this.#endpoint,
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: form.toString(),
      })
      .catch((cause: unknown) => {
        const sentence = `The token endpoint ${this.#endpoint} did not answer: ${describe(cause)}`;
        throw fail("catalog_unreachable", sentence, {}, cause);
      });
    const { text, lifeMs } = this.#read(answer);
    this.#token = { text, renewAtMs: beganMs + lifeMs * LIFE_USED };
  }

  #read(answer: HttpAnswer): { readonly text: string; readonly lifeMs: number } {
    const { status } = answer;
    const body = jsonObject(answer.body);
    if (status >= 500 || status === 429 || status === 408) {
      const sentence = `The token endpoint ${this.#endpoint} answered ${status}`;
      throw fail("catalog_unreachable", sentence);
    }
    const token = body["access_token"];
    if (status !== 200 || typeof token !== "string" || token === "") {
      const code = typeof body["error"] === "string" ? ` ${body["error"]}` : "";
      const who = this.#auth.clientId === "" ? "the secret" : `client ${this.#auth.clientId}`;
      throw fail(
        "catalog_refused",
        `The token endpoint ${this.#endpoint} refused ${who} (HTTP ${status}${code}): ` +
          "check iceberg.rest.credential, scope and oauth2_server_uri",
      );
    }
    const seconds = Number(body["expires_in"] ?? Number.NaN);
    return { text: token, lifeMs: seconds > 0 ? seconds * 1000 : LIFE_MS_DEFAULT };
  }
}

function jsonObject(text: string): { readonly [key: string]: unknown } {
  try {
    const parsed = parseJson(text);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

/**
 * The conversation with a REST catalog's server: its configuration, addresses, sign-in, and what an
 * answer means. Reads are tried again; writes are sent once, apart from one repetition after a 401
 * or 419, which says that nothing was done (SPEC section 10).
 */
import type { AwsCredentials } from "#aws/credentials.ts";
import type { Clock } from "#base/clock.ts";
import { type AppError, describe, fail } from "#base/errors.ts";
import {
  AnswerTooLarge,
  createHttp,
  type Http,
  type HttpAnswer,
  type HttpRequest,
  NoAnswer,
} from "#base/http.ts";
import { type Json, parseJson } from "#base/json.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { retry } from "#base/retry.ts";
import type { TableName } from "#catalog/catalog.ts";
import { type Authorizer, createAuthorizer, UNAUTHORIZED } from "./auth.ts";
import type { RestCatalogOptions } from "./options.ts";
import { readTls } from "./tls.ts";

/** What a session is built from. */
export interface RestParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Sends requests in place of the network; tests only. */
  readonly http?: Http;
  /** Keys of AWS; default: the provider chain's. */
  readonly credentials?: AwsCredentials;
}

/** What the server says about itself. */
interface ServerConfig {
  /** `uri` without a slash at its end. */
  readonly base: string;
  readonly prefix: string;
  /** Between the levels of a namespace in a path, percent-encoded. */
  readonly separator: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Null: the server does not say. */
  readonly endpoints: ReadonlySet<string> | null;
  readonly isNessie: boolean;
}

/** How a write ended on the way: an answer, or none after it may have arrived. */
export type WriteAnswer =
  | { readonly kind: "answer"; readonly answer: HttpAnswer }
  | { readonly kind: "lost"; readonly cause: AppError };

/** Endpoints as servers list them. */
export const ENDPOINTS = {
  load: "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
  commit: "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
  create: "POST /v1/{prefix}/namespaces/{namespace}/tables",
  createNamespace: "POST /v1/{prefix}/namespaces",
  transaction: "POST /v1/{prefix}/transactions/commit",
  createView: "POST /v1/{prefix}/namespaces/{namespace}/views",
} as const;

/** Longest text of a server in a sentence of ours. */
const MESSAGE_CHARACTERS_MAX = 300;

/** How the server is reached. */
interface Connection {
  readonly http: Http;
  readonly authorizer: Authorizer;
}

/** One server, signed in to. */
export class RestSession {
  readonly #options: RestCatalogOptions;
  readonly #parts: RestParts;
  readonly #base: string;
  #config: ServerConfig | null = null;
  #connection: Promise<Connection> | null = null;

  constructor(options: RestCatalogOptions, parts: RestParts) {
    this.#options = options;
    this.#parts = parts;
    const { nessieRef } = options;
    const uri = options.uri.replace(/\/+$/, "").replace(/\/v1$/, "");
    this.#base = nessieRef === null ? uri : `${uri}/${encodeURIComponent(nessieRef)}`;
  }

  /** The server, for sentences. */
  get place(): string {
    return this.#base;
  }

  /**
   * Asks for the server's configuration. Throws `catalog_unreachable`, `catalog_refused`; `usage`
   * when the server is Nessie and was not configured as such, or the other way round.
   */
  async open(): Promise<void> {
    const { warehouse } = this.#options;
    const query = warehouse === null ? "" : `?warehouse=${encodeURIComponent(warehouse)}`;
    const answer = await this.read("config", `${this.#base}/v1/config${query}`);
    if (answer.status !== 200) throw this.refusal("its configuration", answer);
    const json = membersOf(this.parse("its configuration", answer));
    const given = {
      ...membersOf(json["defaults"]),
      ...this.#given(),
      ...membersOf(json["overrides"]),
    };
    const text = (key: string): string | null => {
      const value = given[key];
      return typeof value === "string" && value !== "" ? value : null;
    };
    const endpoints = Array.isArray(json["endpoints"]) ? json["endpoints"].map(String) : null;
    const headers = Object.entries(given).flatMap(([key, value]) =>
      key.startsWith("header.") ? [[key.slice("header.".length), String(value)] as const] : [],
    );
    const config = {
      base: (text("uri") ?? this.#base).replace(/\/+$/, "").replace(/\/v1$/, ""),
      prefix: text("prefix") ?? "",
      separator: text("namespace-separator") ?? "%1F",
      headers: Object.fromEntries(headers),
      endpoints: endpoints === null || endpoints.length === 0 ? null : new Set(endpoints),
      isNessie: text("nessie.is-nessie-catalog") === "true",
    };
    this.#checkServer(config);
    this.#config = config;
  }

  close(): void {
    this.#connection?.then(({ http }) => http.close()).catch(() => undefined);
  }

  /** Whether the server offers an endpoint of {@link ENDPOINTS}; one that lists none offers all. */
  offers(endpoint: string): boolean {
    const { endpoints } = this.#use();
    return endpoints?.has(endpoint) ?? true;
  }

  /** Whether the server says that it offers an endpoint of {@link ENDPOINTS}. */
  lists(endpoint: string): boolean {
    return this.#use().endpoints?.has(endpoint) ?? false;
  }

  /** The server's address, as it says itself; without `/v1`. */
  get base(): string {
    return this.#use().base;
  }

  /** The address of all namespaces. */
  namespaces(): string {
    return `${this.#root()}/namespaces`;
  }

  /** The address of commits of several tables. */
  transaction(): string {
    return `${this.#root()}/transactions/commit`;
  }

  #root(): string {
    const { base, prefix } = this.#use();
    return `${base}/v1${prefix === "" ? "" : `/${encodePrefix(prefix)}`}`;
  }

  /** The address of a namespace. */
  namespace(namespace: TableName["namespace"]): string {
    const levels = namespace.map(encodeURIComponent).join(this.#use().separator);
    return `${this.namespaces()}/${levels}`;
  }

  /** The address of a namespace's tables. */
  tables(namespace: TableName["namespace"]): string {
    return `${this.namespace(namespace)}/tables`;
  }

  /** The address of a table. */
  table({ namespace, table }: TableName): string {
    return `${this.tables(namespace)}/${encodeURIComponent(table)}`;
  }

  /**
   * Asks, again while the server is away. The answer may be a refusal. Throws `catalog_unreachable`;
   * `catalog_refused` for an answer larger than `LIMITS.answerTextBytesMax`, which stays as large.
   * @param question of a POST that changes nothing; null: a GET
   */
  async read(
    operation: string,
    url: string,
    headers: Readonly<Record<string, string>> = {},
    question: string | null = null,
  ): Promise<HttpAnswer> {
    const method = question === null ? "GET" : "POST";
    const once = async (): Promise<HttpAnswer> => {
      try {
        const answer = await this.#send(method, url, headers, question);
        if (!isAway(answer)) return answer;
        throw this.away(operation, `HTTP ${answer.status} ${messageOf(answer)}`);
      } catch (error) {
        if (error instanceof AnswerTooLarge) throw this.#tooLarge(operation, error);
        throw error instanceof NoAnswer ? this.away(operation, describe(error), error) : error;
      }
    };
    const again = (error: unknown, attempt: number): void => {
      const fields = { retry_attempt: attempt + 1, reason: describe(error) };
      this.#parts.log.log("warn", "The catalog is asked again", fields);
    };
    return retry(this.#parts, this.#options.retry, once, again);
  }

  /**
   * Sends once. Throws, before anything was sent: `catalog_unreachable`, and what signing in throws.
   */
  async write(
    operation: string,
    url: string,
    body: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<WriteAnswer> {
    try {
      return { kind: "answer", answer: await this.#send("POST", url, headers, body) };
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      const cause = this.away(operation, describe(error), error);
      if (!error.maybeSent) throw cause;
      return { kind: "lost", cause };
    }
  }

  /** A key by which a server or proxy knows a request again: UUID version 7. */
  idempotencyKey(): string {
    const time = this.#parts.clock.nowMs().toString(16).padStart(12, "0");
    const random = this.#parts.random.uuid().slice(15);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${random}`;
  }

  /** Parses an answer's body. Throws `catalog_unreachable`: a proxy may have answered. */
  parse(operation: string, { body }: HttpAnswer): Json {
    try {
      return parseJson(body);
    } catch (cause) {
      throw this.away(operation, "the answer is not JSON", cause);
    }
  }

  /** An error for a server that does not answer, or not as such. */
  away(operation: string, reason: string, cause?: unknown): AppError {
    const sentence = `The catalog ${this.place} did not answer ${operation}: ${reason}`;
    return fail("catalog_unreachable", sentence, {}, cause);
  }

  /** An error for an answer that another try cannot change. */
  refusal(operation: string, answer: HttpAnswer): AppError {
    const { status } = answer;
    const said = `HTTP ${status} ${messageOf(answer)}`.trim();
    if (UNAUTHORIZED.has(status)) {
      const key = this.#options.nessieRef === null ? "rest.credential" : "nessie.auth";
      const sentence = `The catalog ${this.place} does not know us (${said}): check iceberg.${key}`;
      return fail("catalog_refused", sentence, { status });
    }
    const why = status === 403 ? "does not allow us" : "refused";
    const hint = isIcebergError(answer) ? "" : "; is its uri right?";
    const sentence = `The catalog ${this.place} ${why} ${operation} (${said})${hint}`;
    return fail("catalog_refused", sentence, { status });
  }

  /** An error for an answer that no other try makes smaller. */
  #tooLarge(operation: string, cause: AnswerTooLarge): AppError {
    const hint = "expire snapshots of the table, or look whether the uri is right";
    const sentence = `The catalog ${this.place} answered ${operation} with too much: ${cause.message}; ${hint}`;
    return fail("catalog_refused", sentence, {}, cause);
  }

  /** Our own settings under the names of the protocol; the server's overrides are stronger. */
  #given(): Record<string, string> {
    const { prefix } = this.#options;
    return prefix === null ? {} : { prefix };
  }

  #checkServer({ isNessie, endpoints }: ServerConfig): void {
    const asNessie = this.#options.nessieRef !== null;
    if (isNessie && !asNessie) {
      throw fail(
        "usage",
        `The catalog ${this.place} is Nessie, which shows one snapshot at a time: set ` +
          'iceberg.catalog_type = "nessie" and iceberg.nessie.uri',
      );
    }
    if (endpoints !== null && !endpoints.has(ENDPOINTS.load)) {
      const sentence = `The catalog ${this.place} does not offer ${ENDPOINTS.load}`;
      throw fail("catalog_refused", sentence);
    }
  }

  async #send(
    method: "GET" | "POST",
    url: string,
    headers: Readonly<Record<string, string>>,
    body: string | null,
  ): Promise<HttpAnswer> {
    const { http, authorizer } = await this.#connect();
    const request: HttpRequest = {
      method,
      url,
      headers: {
        accept: "application/json",
        ...(body === null ? {} : { "content-type": "application/json" }),
        ...this.#config?.headers,
        ...this.#options.headers,
        ...headers,
      },
      body,
    };
    const once = (signed: Readonly<Record<string, string>>): Promise<HttpAnswer> =>
      http.send({ ...request, headers: { ...request.headers, ...signed } });
    const signed = await authorizer.headers(request);
    const answer = await once(signed);
    if (!authorizer.renew(signed, answer)) return answer;
    return once(await authorizer.headers(request));
  }

  /** Nothing is sent yet. Throws `usage` for certificates that cannot be read. */
  #connect(): Promise<Connection> {
    this.#connection ??= this.#newConnection().catch((error: unknown) => {
      this.#connection = null;
      throw error;
    });
    return this.#connection;
  }

  async #newConnection(): Promise<Connection> {
    const { clock } = this.#parts;
    const { requestTimeoutMs: timeoutMs, connectionsMax, tls, proxy, auth } = this.#options;
    const settings = { clock, timeoutMs, connectionsMax, ...(proxy !== null && { proxy }) };
    const http = this.#parts.http ?? createHttp({ ...settings, ...(await readTls(tls)) });
    const ownTokens = `${this.#base}/v1/oauth/tokens`;
    const { credentials } = this.#parts;
    const own = { clock, http, ...(credentials !== undefined && { credentials }) };
    return { http, authorizer: createAuthorizer(auth, ownTokens, own) };
  }

  #use(): ServerConfig {
    if (this.#config !== null) return this.#config;
    throw fail("internal", "The catalog is not open");
  }
}

/** Whether an answer says nothing but "not now". */
export function isAway({ status }: HttpAnswer): boolean {
  return status >= 500 || status === 408 || status === 429;
}

/** Whether an answer says that the request was done, with a body or without (204). */
export function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

/** Whether an answer has the body of the protocol's errors; proxies have bodies of their own. */
export function isIcebergError(answer: HttpAnswer): boolean {
  return errorOf(answer) !== null;
}

/** `NoSuchTableException: Table does not exist: db.t`, cut; empty when the body says nothing. */
export function messageOf(answer: HttpAnswer): string {
  const error = errorOf(answer);
  const words = [error?.["type"], error?.["message"]].filter((word) => typeof word === "string");
  return words.join(": ").slice(0, MESSAGE_CHARACTERS_MAX);
}

function errorOf({ body }: HttpAnswer): { [key: string]: Json } | null {
  try {
    const { error } = membersOf(parseJson(body));
    return typeof error === "object" && error !== null && !Array.isArray(error) ? error : null;
  } catch {
    return null;
  }
}

/** The members of a JSON object; none for anything else. */
export function membersOf(value: Json | undefined): { [key: string]: Json } {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? value : {};
}

/** Servers hand prefixes out encoded or not: what is no part of a path is encoded. */
function encodePrefix(prefix: string): string {
  return prefix.replaceAll(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/g, encodeURIComponent);
}

/**
 * Questions to a schema registry by Confluent's API, each put once to every address until one knows.
 *
 * An answer is one of two: what was asked for, or that the registry does not have it, which only its own
 * error codes say. Everything else is trouble (away, slow, refusing, an answer of somebody else) and is
 * thrown: it says nothing about the schema.
 */
import type { Clock } from "#base/clock.ts";
import { type AppError, describe, fail } from "#base/errors.ts";
import { AnswerTooLarge, createHttp, type Http, type HttpAnswer, NoAnswer } from "#base/http.ts";
import { parseJson } from "#base/json.ts";
import type { RegistryAuth, RegistryOptions } from "./options.ts";

/** Longest wait for one answer. */
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 8;
/** Longest text of a registry in a sentence of ours. */
const MESSAGE_CHARACTERS_MAX = 200;

/** Confluent's "subject, version or schema not found". */
const NOT_FOUND: ReadonlySet<unknown> = new Set([40401, 40402, 40403]);

/** What a registry says of a schema. */
export interface SchemaAnswer {
  readonly text: string;
  readonly id: number | null;
  /** `AVRO`, `PROTOBUF`, `JSON`, or what an extension of the registry brings. */
  readonly language: string;
  readonly references: readonly SchemaReference[];
}

/** A version of a subject, and the name under which a schema refers to it. */
export interface SchemaReference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

/** An answer; null: the registry says that there is no such schema. */
export type RegistryAnswer = SchemaAnswer | null;

/** Asks one registry. */
export interface RegistryClient {
  /**
   * @param path behind the address, encoded
   * Throws `registry_unreachable`, `registry_refused`.
   */
  get(path: string): Promise<RegistryAnswer>;
  close(): void;
}

/** What a client is built from. `http` sends in place of the network; tests only. */
export interface ClientParts {
  readonly clock: Clock;
  readonly http?: Http;
}

/** A client; nothing is connected yet. */
export function registryClient(options: RegistryOptions, parts: ClientParts): RegistryClient {
  const { urls, auth, ca } = options;
  const http =
    parts.http ??
    createHttp({
      clock: parts.clock,
      timeoutMs: REQUEST_TIMEOUT_MS,
      connectionsMax: CONNECTIONS_MAX,
      ...(ca === null ? {} : { ca }),
    });
  const headers = { accept: ACCEPT, ...authorization(auth) };
  /** Address that answered last: the next question goes there first. */
  let first = 0;
  const get = async (path: string): Promise<RegistryAnswer> => {
    let trouble: AppError | null = null;
    for (let turn = 0; turn < urls.length; turn++) {
      const index = (first + turn) % urls.length;
      const url = (urls[index] ?? "").replace(/\/+$/, "");
      try {
        const answer = await ask(http, url, path, headers);
        if (answer === null) continue;
        first = index;
        return answer;
      } catch (error) {
        trouble ??= error as AppError;
      }
    }
    // One that is away may be the one that knows.
    if (trouble !== null) throw trouble;
    return null;
  };
  return { get, close: () => http.close() };
}

const ACCEPT = "application/vnd.schemaregistry.v1+json, application/json";

function authorization(auth: RegistryAuth): Readonly<Record<string, string>> {
  switch (auth.type) {
    case "none":
      return {};
    case "bearer":
      return { authorization: `Bearer ${auth.token}` };
    case "basic": {
      const text = Buffer.from(auth.userAndPassword).toString("base64");
      return { authorization: `Basic ${text}` };
    }
  }
}

async function ask(
  http: Http,
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<RegistryAnswer> {
  const answer = await send(http, url, path, headers);
  const body = objectOf(answer.body);
  const schema = answer.status === 200 && body !== null ? schemaOf(body) : null;
  if (schema !== null) return schema;
  const code = Number(body?.["error_code"] ?? 0);
  if (answer.status === 404 && NOT_FOUND.has(code)) return null;
  throw refusal(url, answer, body);
}

async function send(
  http: Http,
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<HttpAnswer> {
  try {
    return await http.send({ method: "GET", url: url + path, headers, body: null });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    if (error instanceof AnswerTooLarge) {
      const sentence = `The schema registry ${url} answered with too much: ${describe(error)}`;
      throw fail("registry_refused", sentence, {}, error);
    }
    const sentence = `The schema registry ${url} does not answer: ${describe(error)}`;
    throw fail("registry_unreachable", sentence, {}, error);
  }
}

/** An answer that says nothing about the schema. */
function refusal(
  url: string,
  { status }: HttpAnswer,
  body: Readonly<Record<string, unknown>> | null,
): AppError {
  const message = String(body?.["message"] ?? "").slice(0, MESSAGE_CHARACTERS_MAX);
  const said = `HTTP ${status} ${message}`.trim().toWellFormed();
  const place = `The schema registry ${url}`;
  if (status === 401) {
    const sentence = `${place} does not know us (${said}): check schema_registry.basic_auth or bearer`;
    return fail("registry_refused", sentence, { status });
  }
  if (status === 403) {
    return fail("registry_refused", `${place} does not allow us to read (${said})`, { status });
  }
  if (status >= 500 || status === 408 || status === 429) {
    return fail("registry_unreachable", `${place} cannot answer now (${said})`, { status });
  }
  const sentence = `${place} does not answer as a registry does (${said}): is schema_registry.url right?`;
  return fail("registry_refused", sentence, { status });
}

/** A schema as every endpoint shows it, null: this is none. Avro is what goes without saying. */
function schemaOf(body: Readonly<Record<string, unknown>>): SchemaAnswer | null {
  const { schema: text, schemaType, references, id } = body;
  if (typeof text !== "string") return null;
  const list: readonly unknown[] = Array.isArray(references) ? references : [];
  return {
    text,
    id: typeof id === "number" ? id : null,
    language: typeof schemaType === "string" ? schemaType : "AVRO",
    references: list.map((each) => {
      const { name, subject, version } = each as Partial<SchemaReference>;
      return { name: String(name), subject: String(subject), version: Number(version) };
    }),
  };
}

/** A body that is a JSON object; null: it is something else. */
function objectOf(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const json: unknown = parseJson(body);
    const isObject = typeof json === "object" && json !== null && !Array.isArray(json);
    return isObject ? (json as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

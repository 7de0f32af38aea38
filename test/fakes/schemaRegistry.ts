/**
 * A schema registry behind the client's HTTP port: the real client runs, and only the network is
 * replaced. Answers in Confluent's shapes, and lets a test answer in its place.
 */
import { type Http, type HttpAnswer, type HttpRequest, NoAnswer } from "#base/http.ts";

/** A version that another schema refers to. */
export interface FakeReference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

/** A registry with its schemas and what was asked of it. */
export interface RegistryFake {
  readonly http: Http;
  readonly requests: HttpRequest[];
  /** Registers a schema as the next version of a subject; its id. */
  register(
    subject: string,
    text: string,
    language?: "AVRO" | "PROTOBUF" | "JSON",
    references?: readonly FakeReference[],
  ): number;
  /** Set by tests: an answer of its own, or null to let the registry answer. */
  intercept: (request: HttpRequest) => Promise<HttpAnswer> | HttpAnswer | null;
}

/** An answer of a registry. */
export function registryAnswer(status: number, body: unknown): HttpAnswer {
  return { status, headers: {}, body: JSON.stringify(body) };
}

/** Its "not found". */
export function notFound(code: 40401 | 40402 | 40403): HttpAnswer {
  return registryAnswer(404, { error_code: code, message: "not found" });
}

/** No connection. */
export function registryAway(): NoAnswer {
  return new NoAnswer("connect ECONNREFUSED", false);
}

interface Version {
  readonly id: number;
  readonly body: object;
}

/** A registry without schemas. */
export function createRegistryFake(): RegistryFake {
  const subjects = new Map<string, Version[]>();
  const byId: Version[] = [];
  const requests: HttpRequest[] = [];
  const answer = (path: string): HttpAnswer => {
    const id = /\/schemas\/ids\/(\d+)$/.exec(path)?.[1];
    if (id !== undefined) {
      const found = byId[Number(id) - 1];
      return found === undefined ? notFound(40403) : registryAnswer(200, found.body);
    }
    const [, subject = "", version = ""] = /\/subjects\/([^/]+)\/versions\/(\w+)/.exec(path) ?? [];
    const versions = subjects.get(decodeURIComponent(subject));
    if (versions === undefined) return notFound(40401);
    const index = version === "latest" ? versions.length - 1 : Number(version) - 1;
    const found = versions[index];
    if (found === undefined) return notFound(40402);
    const more = { id: found.id, subject: decodeURIComponent(subject), version: index + 1 };
    return registryAnswer(200, { ...found.body, ...more });
  };
  const made: RegistryFake = {
    requests,
    intercept: () => null,
    register: (subject, text, language = "AVRO", references = []) => {
      const id = byId.length + 1;
      const type = language === "AVRO" ? {} : { schemaType: language };
      const refers = references.length === 0 ? {} : { references };
      const version = { id, body: { schema: text, ...type, ...refers } };
      byId.push(version);
      subjects.set(subject, [...(subjects.get(subject) ?? []), version]);
      return id;
    },
    http: {
      send: async (request) => {
        requests.push(request);
        const own = await made.intercept(request);
        return own ?? answer(new URL(request.url).pathname);
      },
      close: () => undefined,
    },
  };
  return made;
}

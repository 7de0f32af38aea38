/**
 * Which requests of Kafka's protocol are spoken, in which version, and the shape of one request.
 *
 * One version each: the lowest that carries what we need (topic ids, static membership), so that
 * every broker from Kafka 3.1 on is served; older ones are refused when the connection opens.
 */
import type { Reader } from "./wire.ts";
import { Writer } from "./wire.ts";

/** Requests by name: api key, version, and whether that version is "flexible" (tagged fields). */
export const API = {
  Fetch: { key: 1, version: 13, flexible: true },
  ListOffsets: { key: 2, version: 5, flexible: false },
  Metadata: { key: 3, version: 12, flexible: true },
  OffsetCommit: { key: 8, version: 7, flexible: false },
  OffsetFetch: { key: 9, version: 5, flexible: false },
  FindCoordinator: { key: 10, version: 2, flexible: false },
  JoinGroup: { key: 11, version: 5, flexible: false },
  Heartbeat: { key: 12, version: 3, flexible: false },
  LeaveGroup: { key: 13, version: 3, flexible: false },
  SyncGroup: { key: 14, version: 3, flexible: false },
  ApiVersions: { key: 18, version: 0, flexible: false },
} as const;

/** The name of a request. */
export type ApiName = keyof typeof API;

/**
 * Requests that a load test sends, and of which dead-letter topics need Produce. They are not looked for
 * when a connection opens: a broker that is only read from need not offer them.
 */
const SCRATCH_API = {
  Produce: { key: 0, version: 7, flexible: false },
  CreateTopics: { key: 19, version: 4, flexible: false },
  DeleteTopics: { key: 20, version: 3, flexible: false },
  DeleteGroups: { key: 42, version: 1, flexible: false },
} as const;

/** The name of a request, those of a load test included. */
export type RequestName = ApiName | keyof typeof SCRATCH_API;

/** {@link API} with the requests of a load test. */
export const ALL_API: Readonly<
  Record<
    RequestName,
    { readonly key: number; readonly version: number; readonly flexible: boolean }
  >
> = { ...API, ...SCRATCH_API };

/** One request with its answer's decoder. */
export interface Request<T> {
  readonly api: RequestName;
  readonly payload: Uint8Array;
  readonly decode: (answer: Reader) => T;
  /** How long to wait beyond the usual timeout: the broker may hold the answer back so long. */
  readonly extraWaitMs: number;
}

/** Builds a request; flexible ones get the empty tags that end their header. */
export function request<T>(
  api: RequestName,
  write: (writer: Writer) => void,
  decode: (answer: Reader) => T,
  extraWaitMs = 0,
): Request<T> {
  const writer = new Writer();
  if (ALL_API[api].flexible) writer.noTags();
  write(writer);
  const decodeBody = (answer: Reader): T => {
    if (ALL_API[api].flexible) answer.skipTags();
    return decode(answer);
  };
  return { api, payload: writer.finish(), decode: decodeBody, extraWaitMs };
}

/** Versions that a broker speaks. */
export type ApiVersions = Record<number, { minVersion: number; maxVersion: number }>;

/** ApiVersions v0: the first request on every connection. */
export function apiVersionsRequest(): Request<ApiVersions> {
  return request(
    "ApiVersions",
    () => undefined,
    (answer) => {
      answer.int16();
      const versions: ApiVersions = {};
      answer.array(() => {
        versions[answer.int16()] = { minVersion: answer.int16(), maxVersion: answer.int16() };
      });
      return versions;
    },
  );
}

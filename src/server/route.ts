/**
 * A route of the HTTP surface, as `app/` hands it in: who may ask, how much a request may cost, and
 * what answers it. The server enforces the first two; a route only answers.
 */

/**
 * Who may ask.
 * - `public`: everybody who reaches the listener.
 * - `token`: programs on this machine, and whoever shows `server.query_token`.
 * - `local`: programs on this machine only.
 */
export type Access = "public" | "token" | "local";

/** Which of the two addresses serves a route. */
export type Listener = "health" | "metrics";

/** A request that was let in. */
export interface RouteRequest {
  readonly url: URL;
  readonly headers: Headers;
  /** Empty for GET. */
  readonly body: Uint8Array;
  /** Aborted when the client has gone, the time is up, or the server stops: give the work up. */
  readonly signal: AbortSignal;
}

/** What a request may cost. */
export interface RouteLimits {
  /** Of the request; larger ones are answered with 413. */
  readonly bodyBytesMax: number;
  /** Until the answer begins; then 503. */
  readonly timeMsMax: number;
  /** Requests of this route that are answered at once; further ones get 503. */
  readonly atOnceMax: number;
}

/** One route. */
export interface Route {
  readonly method: "GET" | "POST";
  /** `/status`; one that ends in `/*` takes everything below. */
  readonly path: string;
  readonly listeners: readonly Listener[];
  readonly access: Access;
  readonly limits: RouteLimits;
  answer(request: RouteRequest): Response | Promise<Response>;
}

/** For routes that answer from memory. */
export const SMALL: RouteLimits = { bodyBytesMax: 0, timeMsMax: 10_000, atOnceMax: 16 };

/** True when a route takes this path. */
export function takes(route: Route, pathname: string): boolean {
  if (!route.path.endsWith("/*")) return pathname === route.path;
  return pathname.startsWith(route.path.slice(0, -1));
}

/**
 * The HTTP server: listens, and lets requests through to the routes that `app/` hands in (SPEC
 * section 7). It alone decides who is let in (`access.ts`) and what a request may cost, so that no
 * route can forget to.
 *
 * Every answer is made within the route's time. A client that goes away, and the server's end, abort
 * the work for it.
 */
import type { Clock } from "#base/clock.ts";
import { describe, fail } from "#base/errors.ts";
import { writePortableJson } from "#base/json.ts";
import type { Logger } from "#base/log.ts";
import { refusal } from "./access.ts";
import { type Listener, type Route, takes } from "./route.ts";

/** A host and port to listen on; port 0 takes a free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
  /** False: when it is taken, the process goes on without it and says so. */
  readonly isRequired: boolean;
}

/** Where and how to serve. */
export interface ServerOptions {
  /** Everything; null: not served. */
  readonly health: Address | null;
  /** Only `/metrics`; null or equal to `health`: no further listener. */
  readonly metrics: Address | null;
  /** `Authorization: Bearer <token>` for clients elsewhere; empty: there is none. */
  readonly token: string;
  /** PEM texts; `clientCa`: only clients that it signed are let in. */
  readonly tls: {
    readonly cert: string;
    readonly key: string;
    readonly clientCa: string | null;
  } | null;
}

/** A running server. */
export interface RunningServer {
  /** Base URLs that are served, without a slash at the end. */
  readonly urls: readonly string[];
  /** Stops listening; work under way is aborted, its answers are finished. */
  stop(): Promise<void>;
}

/** Of a connection on which nothing moves: longer than any answer of ours takes (Bun's most is 255). */
const IDLE_SECONDS = 60;

/** A configured address with what it serves. */
interface Place {
  readonly key: string;
  readonly address: Address;
  readonly routes: readonly Route[];
}

/**
 * Starts serving.
 * Throws `usage` when an address that is required cannot be listened on.
 */
export function startServer(
  options: ServerOptions,
  routes: readonly Route[],
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): RunningServer {
  const stopping = new AbortController();
  const servers: Bun.Server<undefined>[] = [];
  try {
    for (const place of placesOf(options, routes)) {
      try {
        servers.push(listen(place, options, clock, stopping.signal));
      } catch (error) {
        if (place.address.isRequired) throw error;
        log.log("warn", `Going on without it: ${describe(error)}`);
      }
    }
  } catch (error) {
    for (const server of servers) void server.stop(true);
    throw error;
  }
  return {
    urls: servers.map(({ url }) => url.href.replace(/\/$/, "")),
    stop: async () => {
      stopping.abort();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** An answer for programs. */
export function jsonAnswer(
  code: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const type = { "content-type": "application/json", "cache-control": "no-store" };
  return new Response(`${writePortableJson(body)}\n`, {
    status: code,
    headers: { ...type, ...headers },
  });
}

function placesOf({ health, metrics }: ServerOptions, routes: readonly Route[]): Place[] {
  const on = (listener: Listener): Route[] =>
    routes.filter(({ listeners }) => listeners.includes(listener));
  const isSame =
    metrics?.host === health?.host && metrics?.port === health?.port && metrics?.port !== 0;
  const places: Place[] = [];
  if (health !== null) {
    places.push({ key: "server.health_address", address: health, routes: on("health") });
  }
  if (metrics !== null && !isSame) {
    places.push({ key: "server.metrics_address", address: metrics, routes: on("metrics") });
  }
  return places;
}

function listen(
  { key, address, routes }: Place,
  { tls, token }: ServerOptions,
  clock: Clock,
  stopping: AbortSignal,
): Bun.Server<undefined> {
  const { host, port } = address;
  const busy = new Map<Route, number>();
  const answer = async (request: Request, client: string): Promise<Response> => {
    const url = urlOf(request);
    if (url === null) return jsonAnswer(400, { error: "The request's target is no URL" });
    const route = routeOf(routes, request.method, url.pathname);
    if (route instanceof Response) return route;
    const caller = { listenerHost: host, address: client, headers: request.headers };
    const refused = refusal(route.access, caller, token);
    if (refused !== null) return jsonAnswer(403, { error: refused });
    const count = busy.get(route) ?? 0;
    if (count >= route.limits.atOnceMax) return tooBusy(url.pathname);
    busy.set(route, count + 1);
    try {
      return await answerInTime(route, request, url, clock, stopping);
    } finally {
      busy.set(route, (busy.get(route) ?? 1) - 1);
    }
  };
  try {
    return Bun.serve({
      hostname: host,
      port,
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: Math.max(1, ...routes.map(({ limits }) => limits.bodyBytesMax)),
      ...(tls === null ? {} : { tls: tlsOptions(tls) }),
      fetch: (request, server) => answer(request, server.requestIP(request)?.address ?? ""),
      error: (error) => jsonAnswer(500, { error: describe(error) }),
    });
  } catch (cause) {
    const sentence = `Cannot listen on ${host}:${port} (${key}): ${describe(cause)}`;
    throw fail("usage", sentence, { key }, cause);
  }
}

function tlsOptions({ cert, key, clientCa }: NonNullable<ServerOptions["tls"]>): Bun.TLSOptions {
  if (clientCa === null) return { cert, key };
  return { cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: true };
}

/** A request without `Host` has a path only, as the health checks of old proxies (HTTP/1.0) ask. */
function urlOf(request: Request): URL | null {
  return URL.parse(request.url) ?? URL.parse(request.url, "http://localhost");
}

/** The route of a request, or the answer that there is none. */
function routeOf(routes: readonly Route[], method: string, pathname: string): Route | Response {
  const wanted = method === "HEAD" ? "GET" : method;
  const found = routes.filter((route) => takes(route, pathname));
  if (found.length === 0) {
    const paths = routes.map(({ path }) => path).join(", ");
    return jsonAnswer(404, { error: `There is nothing at ${pathname}; there are ${paths}` });
  }
  const allowed = [...new Set(found.map((route) => route.method))].join(", ");
  const route = found.find((each) => each.method === wanted);
  return route ?? jsonAnswer(405, { error: `Only ${allowed} is served` }, { allow: allowed });
}

async function answerInTime(
  route: Route,
  request: Request,
  url: URL,
  clock: Clock,
  stopping: AbortSignal,
): Promise<Response> {
  const { timeMsMax, bodyBytesMax } = route.limits;
  const body = await bodyOf(request, bodyBytesMax);
  if (body === null) {
    return jsonAnswer(413, { error: `A request may have ${bodyBytesMax} bytes` });
  }
  const late = new AbortController();
  const done = new AbortController();
  const signal = AbortSignal.any([request.signal, late.signal, stopping]);
  const expired = clock.sleep(timeMsMax, done.signal).then(() => {
    late.abort();
    return jsonAnswer(503, { error: `There was no answer within ${timeMsMax} ms` });
  });
  try {
    const { headers } = request;
    return await Promise.race([route.answer({ url, headers, body, signal }), expired]);
  } finally {
    done.abort();
  }
}

/** The request's body; null when it is too large. */
async function bodyOf(request: Request, bytesMax: number): Promise<Uint8Array | null> {
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooBusy(pathname: string): Response {
  const error = `Too many requests for ${pathname} are being answered; ask again`;
  return jsonAnswer(503, { error }, { "retry-after": "1" });
}

/**
 * The HTTP surface: `/health`, `/ready`, `/status`, `/metrics` (SPEC section 7).
 *
 * `/health`, `/ready` and `/metrics` need no token on any address; `/status` answers 403 unless the
 * client is on this machine or shows the token. Answers are made from memory; nothing waits for a
 * dependency.
 */
import { timingSafeEqual } from "node:crypto";
import { describe, fail } from "#base/errors.ts";
import { writeJson } from "#base/json.ts";
import type { Metrics } from "./metrics.ts";
import type { StatusSource } from "./status.ts";

/** A host and port to listen on; port 0 takes a free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
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
  /** Stops listening; answers under way are finished. */
  stop(): Promise<void>;
}

type Handler = (request: Request, isLocal: boolean) => Response | Promise<Response>;

/**
 * Starts serving.
 * Throws `usage` when an address cannot be listened on.
 */
export function startServer(
  options: ServerOptions,
  status: StatusSource,
  metrics: Metrics,
): RunningServer {
  const servers: Bun.Server<undefined>[] = [];
  try {
    for (const [key, address, handler] of listeners(options, status, metrics)) {
      servers.push(listen(key, address, options, handler));
    }
  } catch (error) {
    for (const server of servers) void server.stop(true);
    throw error;
  }
  return {
    urls: servers.map(({ url }) => url.href.replace(/\/$/, "")),
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

function listeners(
  options: ServerOptions,
  status: StatusSource,
  metrics: Metrics,
): [key: string, address: Address, handler: Handler][] {
  const { health, metrics: separate } = options;
  const all: [string, Address, Handler][] = [];
  if (health !== null) {
    all.push(["server.health_address", health, serveAll(options, status, metrics)]);
  }
  const isSame =
    separate?.host === health?.host && separate?.port === health?.port && separate?.port !== 0;
  if (separate !== null && !isSame) {
    all.push(["server.metrics_address", separate, serveMetricsOnly(status, metrics)]);
  }
  return all;
}

function listen(
  key: string,
  { host, port }: Address,
  { tls }: ServerOptions,
  handler: Handler,
): Bun.Server<undefined> {
  try {
    return Bun.serve({
      hostname: host,
      port,
      ...(tls === null ? {} : { tls: tlsOptions(tls) }),
      fetch: async (request, server) => {
        const client = server.requestIP(request)?.address ?? "";
        return handler(request, isLoopback(client));
      },
      error: (error) => json(500, { error: describe(error) }),
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

function serveAll(options: ServerOptions, status: StatusSource, metrics: Metrics): Handler {
  return async (request, isLocal) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return json(405, { error: "Only GET is served" });
    }
    switch (new URL(request.url).pathname) {
      case "/health": {
        const report = status.health();
        return json(report.status === "failed" ? 503 : 200, report);
      }
      case "/ready":
        return status.ready() ? json(200, { ready: true }) : json(503, { ready: false });
      case "/status":
        if (isLocal || showsToken(request, options.token)) return json(200, status.status());
        return json(403, { error: "Show server.query_token as a bearer token" });
      case "/metrics":
        return metricsAnswer(status, metrics);
      default:
        return json(404, { error: "There are /health, /ready, /status and /metrics" });
    }
  };
}

function serveMetricsOnly(status: StatusSource, metrics: Metrics): Handler {
  return async (request) => {
    if (new URL(request.url).pathname === "/metrics") return metricsAnswer(status, metrics);
    return json(404, { error: "There is /metrics" });
  };
}

async function metricsAnswer(status: StatusSource, metrics: Metrics): Promise<Response> {
  const text = await metrics.text(status.status());
  return new Response(text, { headers: { "content-type": metrics.contentType } });
}

function json(code: number, body: unknown): Response {
  return new Response(`${writeJson(body)}\n`, {
    status: code,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}

function showsToken(request: Request, token: string): boolean {
  if (token === "") return false;
  const shown = Buffer.from(request.headers.get("authorization") ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return shown.length === wanted.length && timingSafeEqual(shown, wanted);
}

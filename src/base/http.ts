/**
 * One HTTP request, sent once, with its answer as text or as bytes.
 *
 * Made with `node:http`, which does not send a request again by itself when a kept connection breaks;
 * Bun's `fetch` does (decision 0061), and a commit that was sent twice has no known outcome. Redirects
 * are not followed: they are answers.
 */
import { Agent, request as httpRequest } from "node:http";
import { request as httpsRequest, Agent as TlsAgent } from "node:https";
import type { Clock } from "./clock.ts";

/** A request. */
export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** An answer, whatever its status. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** No answer came. */
export class NoAnswer extends Error {
  /** True: the request may have reached the server; false: no connection was made. */
  readonly maybeSent: boolean;

  constructor(reason: string, maybeSent: boolean, cause?: unknown) {
    super(reason, cause === undefined ? undefined : { cause });
    this.name = "NoAnswer";
    this.maybeSent = maybeSent;
  }
}

/** Sends requests over connections that are kept. */
export interface Http {
  /** Throws {@link NoAnswer}. */
  send(request: HttpRequest): Promise<HttpAnswer>;
  close(): void;
}

/** A request whose body and answer are bytes. */
export interface ByteRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces, sent one after the other without being copied together; none: no body. */
  readonly body: readonly Uint8Array[];
}

/** An answer, whatever its status. */
export interface ByteAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** Sends requests over connections that are kept. */
export interface Transport {
  /** Throws {@link NoAnswer}, also when `signal` aborts. */
  send(request: ByteRequest, signal: AbortSignal): Promise<ByteAnswer>;
  close(): void;
}

/** What fails before there is a connection. */
const CONNECTING: ReadonlySet<unknown> = new Set(["connect", "getaddrinfo"]);

/**
 * Whether a request may have left before it failed. The code does not tell: EHOSTUNREACH,
 * ENETUNREACH and ECONNREFUSED also end a kept connection whose peer went out of reach (ICMP).
 */
export function maybeSent(error: unknown): boolean {
  return !CONNECTING.has((error as { readonly syscall?: unknown } | null)?.syscall);
}

/** The way to a server. */
export interface Route {
  /** Certificates (PEM) that servers must prove themselves by; default: the machine's own. */
  readonly ca?: string;
  /** Our own certificate and its key (PEM), for servers that ask for one. */
  readonly client?: { readonly cert: string; readonly key: string; readonly passphrase?: string };
  /** `http://host:port` of a proxy: TLS goes through a tunnel (CONNECT). Default: none is used. */
  readonly proxy?: string;
}

/** How to send. */
export interface HttpOptions extends Route {
  readonly clock: Clock;
  /** Of one request, its answer included. */
  readonly timeoutMs: number;
  readonly connectionsMax: number;
}

/** Opens nothing yet; a connection is made with the first request. */
export function createHttp(options: HttpOptions): Http {
  const { clock, timeoutMs, connectionsMax } = options;
  const transport = createTransport(connectionsMax, options);
  const send = async (request: HttpRequest): Promise<HttpAnswer> => {
    const done = new AbortController();
    const late = new AbortController();
    const expired = clock.sleep(timeoutMs, done.signal).then((): never => {
      late.abort();
      throw new NoAnswer(`no answer within ${timeoutMs} ms`, true);
    });
    const body = request.body === null ? [] : [Buffer.from(request.body)];
    try {
      const sent = transport.send({ ...request, body }, late.signal);
      const answer = await Promise.race([sent, expired]);
      return { ...answer, body: answer.body.toString("utf8") };
    } finally {
      expired.catch(() => undefined);
      done.abort();
    }
  };
  return { send, close: transport.close };
}

/**
 * The same in bytes, and without a time limit of its own.
 * @param connectionsMax to one host; further requests wait
 */
export function createTransport(connectionsMax: number, route: Route = {}): Transport {
  const { ca, client, proxy } = route;
  const settings = {
    keepAlive: true,
    maxSockets: connectionsMax,
    ...(proxy !== undefined && { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }),
  };
  const plain = new Agent(settings);
  const tls = new TlsAgent({ ...settings, ...(ca !== undefined && { ca }), ...client });
  return {
    send: (request, signal) => once(request, plain, tls, signal),
    close: () => {
      plain.destroy();
      tls.destroy();
    },
  };
}

function once(
  { method, url, headers, body }: ByteRequest,
  plain: Agent,
  tls: TlsAgent,
  signal: AbortSignal,
): Promise<ByteAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<ByteAnswer>();
  const lost = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    reject(new NoAnswer(reason, maybeSent(error), error));
  };
  const bytes = body.reduce((sum, piece) => sum + piece.length, 0);
  const mayHaveBody = method !== "GET" && method !== "DELETE";
  const length = mayHaveBody ? { "content-length": String(bytes) } : {};
  const isTls = url.startsWith("https:");
  const make = isTls ? httpsRequest : httpRequest;
  const request = make(
    url,
    { method, agent: isTls ? tls : plain, headers: { ...headers, ...length }, signal },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", lost);
      answer.on("close", () => {
        if (!answer.complete) lost(new Error("the answer was cut off"));
      });
      answer.on("end", () => {
        const own = Object.entries(answer.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(", ") : value,
        ]);
        resolve({
          status: answer.statusCode ?? 0,
          headers: Object.fromEntries(own),
          body: Buffer.concat(chunks),
        });
      });
    },
  );
  request.on("error", lost);
  for (const piece of body.slice(0, -1)) request.write(piece);
  request.end(body.at(-1));
  return promise;
}

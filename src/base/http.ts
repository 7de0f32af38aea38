/**
 * One HTTP request, sent once, with its answer as text or as bytes.
 *
 * Made with `node:http`, which does not send a request again by itself when a kept connection breaks;
 * Bun's `fetch` does (decision 0061), and a commit that was sent twice has no known outcome. Redirects
 * are not followed: they are answers. An answer has a largest size, beyond which it is not read.
 */
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as TlsAgent } from "node:https";
import type { Clock } from "./clock.ts";
import { LIMITS } from "./limits.ts";

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

/** The answer is larger than what is read; the request was done, and another try ends as this one. */
export class AnswerTooLarge extends NoAnswer {
  constructor(bytesMax: number) {
    super(`the answer is larger than ${bytesMax} bytes, which is more than is read`, true);
    this.name = "AnswerTooLarge";
  }
}

/** Sends requests over connections that are kept. */
export interface Http {
  /** Throws {@link NoAnswer}, and {@link AnswerTooLarge} beyond `LIMITS.answerTextBytesMax`. */
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
  /**
   * Throws {@link NoAnswer}, also when `signal` aborts, and {@link AnswerTooLarge}.
   * @param bytesMax of the answer's body; default `LIMITS.answerBytesMax`
   */
  send(request: ByteRequest, signal: AbortSignal, bytesMax?: number): Promise<ByteAnswer>;
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
      const sent = transport.send({ ...request, body }, late.signal, LIMITS.answerTextBytesMax);
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
    send: (request, signal, bytesMax = LIMITS.answerBytesMax) =>
      once(
        request,
        isTls(request) ? { make: httpsRequest, agent: tls } : { make: httpRequest, agent: plain },
        signal,
        bytesMax,
      ),
    close: () => {
      plain.destroy();
      tls.destroy();
    },
  };
}

/** How a request is made, by the scheme of its address. */
type Way =
  | { readonly make: typeof httpRequest; readonly agent: Agent }
  | { readonly make: typeof httpsRequest; readonly agent: TlsAgent };

function once(
  { method, url, headers, body }: ByteRequest,
  { make, agent }: Way,
  signal: AbortSignal,
  bytesMax: number,
): Promise<ByteAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<ByteAnswer>();
  const lost = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    const isKnown = error instanceof NoAnswer;
    reject(isKnown ? error : new NoAnswer(reason, maybeSent(error), error));
  };
  const bytes = body.reduce((sum, piece) => sum + piece.length, 0);
  const mayHaveBody = method !== "GET" && method !== "DELETE";
  const length = mayHaveBody ? { "content-length": String(bytes) } : {};
  const settings = { method, agent, headers: { ...headers, ...length }, signal };
  const request = make(url, settings, (answer) => {
    readBody(answer, bytesMax).then(
      (read) => resolve({ status: answer.statusCode ?? 0, headers: headersOf(answer), body: read }),
      (error: unknown) => {
        lost(error);
        request.destroy();
      },
    );
  });
  request.on("error", lost);
  for (const piece of body.slice(0, -1)) request.write(piece);
  request.end(body.at(-1));
  return promise;
}

/** Throws {@link AnswerTooLarge} as soon as it is clear, and what ends the connection. */
function readBody(answer: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  answer.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) {
      chunks.push(chunk);
      return;
    }
    chunks.length = 0;
    reject(new AnswerTooLarge(bytesMax));
  });
  answer.on("error", reject);
  answer.on("close", () => {
    if (!answer.complete) reject(new Error("the answer was cut off"));
  });
  answer.on("end", () => resolve(Buffer.concat(chunks)));
  return promise;
}

function headersOf(answer: IncomingMessage): ByteAnswer["headers"] {
  const entries = Object.entries(answer.headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(", ") : value,
  ]);
  return Object.fromEntries(entries);
}

function isTls({ url }: ByteRequest): boolean {
  return url.startsWith("https:");
}

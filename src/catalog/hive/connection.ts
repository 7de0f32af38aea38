/**
 * One connection to a metastore: a call at a time, each sent once, with a time limit. Plain Thrift, or with SASL PLAIN
 * before it, after which every message has its length before it.
 *
 * A connection that failed in the middle of a call is closed: what comes late must not be taken for the next answer.
 */
import { connect, type Socket } from "node:net";
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { NoAnswer } from "#base/http.ts";
import { CALLS, STRUCTS } from "./metastoreApi.ts";
import {
  decodeHead,
  decodeStruct,
  encodeCall,
  type ThriftFields,
  type ThriftStruct,
} from "./thrift.ts";
import { MessageLength } from "./thriftWalk.ts";

/** The calls of the interface. */
export type MetastoreCall = keyof typeof CALLS;

/** Where a metastore listens. */
export interface MetastoreAddress {
  readonly host: string;
  readonly port: number;
}

/** A login by SASL PLAIN. */
export interface MetastoreLogin {
  readonly user: string;
  readonly password: string;
}

/** What a call answered: the members of its result, or an exception of Thrift itself. */
export type MetastoreReply =
  | { readonly kind: "result"; readonly members: ThriftStruct }
  | { readonly kind: "application"; readonly code: number; readonly message: string };

/** One connection. */
export interface MetastoreConnection {
  /** False once it was closed, from whichever side. */
  readonly isOpen: boolean;
  /** Throws {@link NoAnswer}; nothing else may be asked meanwhile. */
  call(name: MetastoreCall, members: ThriftStruct): Promise<MetastoreReply>;
  close(): void;
}

/** How to connect. */
export interface ConnectionOptions {
  readonly clock: Clock;
  /** Null: no login is asked for. */
  readonly login: MetastoreLogin | null;
  /** Of one call, and of the connection's making, ms. */
  readonly timeoutMs: number;
}

/** An exception of Thrift itself. */
const APPLICATION: ThriftFields = { message: [1, "string"], code: [2, "i32"] };
/** Longest message that is believed. */
const MESSAGE_LENGTH_MAX = 256 * 1024 * 1024;
const SASL = { start: 1, ok: 2, complete: 5 } as const;
const SASL_HEAD = 5;

/** Connects, and signs in where a login is given. Throws {@link NoAnswer}, `catalog_refused` for a wrong login. */
export async function connectMetastore(
  { host, port }: MetastoreAddress,
  options: ConnectionOptions,
): Promise<MetastoreConnection> {
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  const connection = new Connection(socket, options);
  try {
    await connection.ready();
    if (options.login !== null) await connection.signIn(options.login);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Takes what has come as long as it wants more. */
interface Waiting {
  /** The answer when it is whole; null while it is not. */
  readonly take: (bytes: Buffer) => Buffer | null;
  readonly resolve: (answer: Buffer) => void;
  readonly reject: (error: unknown) => void;
}

class Connection implements MetastoreConnection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #connected = Promise.withResolvers<void>();
  #received: Buffer[] = [];
  #waiting: Waiting | null = null;
  #sequence = 0;
  #isFramed = false;
  #isConnected = false;
  isOpen = true;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#connected.promise.catch(() => undefined);
    socket.on("connect", () => {
      this.#isConnected = true;
      this.#connected.resolve();
    });
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#ended(error));
    socket.on("close", () => this.#ended(new Error("the connection was closed")));
  }

  ready(): Promise<void> {
    return this.#within(this.#connected.promise, "no connection");
  }

  close(): void {
    this.isOpen = false;
    this.#socket.destroy();
  }

  /** `\0user\0password` in one message; the server answers COMPLETE, or closes. */
  async signIn({ user, password }: MetastoreLogin): Promise<void> {
    const mechanism = saslMessage(SASL.start, Buffer.from("PLAIN"));
    const secret = saslMessage(SASL.ok, Buffer.from(`\0${user}\0${password}`));
    const answer = await this.#ask(Buffer.concat([mechanism, secret]), wholeSasl);
    const status = answer.readUInt8(0);
    if (status !== SASL.complete) {
      const said = answer.subarray(SASL_HEAD).toString("utf8");
      throw fail("catalog_refused", `The Hive Metastore refused the login of ${user}: ${said}`);
    }
    this.#isFramed = true;
  }

  async call(name: MetastoreCall, members: ThriftStruct): Promise<MetastoreReply> {
    const sequence = ++this.#sequence;
    const fields: ThriftFields = CALLS[name].arguments;
    const message = encodeCall(STRUCTS, { name, sequence }, fields, members);
    const bytes = this.#isFramed ? framed(message) : message;
    const answer = await this.#ask(bytes, this.#isFramed ? wholeFrame : wholeMessage());
    const head = decodeHead(answer);
    if (head.message.sequence !== sequence) {
      this.close();
      throw new NoAnswer("the answer belongs to another call", true);
    }
    if (head.message.kind === "exception") {
      const { code, message: said } = decodeStruct(STRUCTS, APPLICATION, answer, head.at);
      return { kind: "application", code: Number(code ?? 0), message: String(said ?? "") };
    }
    const result: ThriftFields = CALLS[name].result;
    return { kind: "result", members: decodeStruct(STRUCTS, result, answer, head.at) };
  }

  async #ask(bytes: Buffer, take: Waiting["take"]): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#received = [];
    this.#waiting = { take, resolve, reject };
    if (!this.isOpen) this.#ended(new Error("the connection was closed"));
    else this.#socket.write(bytes);
    return this.#within(promise, "no answer");
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk);
    const bytes = this.#received.length === 1 ? chunk : Buffer.concat(this.#received);
    this.#received = [bytes];
    const waiting = this.#waiting;
    try {
      const answer = waiting?.take(bytes) ?? null;
      if (waiting !== null && answer === null) return;
      if (waiting === null || answer === null) throw notAsked();
      this.#waiting = null;
      waiting.resolve(answer);
    } catch (error) {
      waiting?.reject(error);
      this.close();
    }
  }

  #ended(cause: Error): void {
    this.isOpen = false;
    const lost = new NoAnswer(cause.message, this.#isConnected, cause);
    this.#connected.reject(lost);
    this.#waiting?.reject(lost);
    this.#waiting = null;
  }

  async #within<T>(running: Promise<T>, what: string): Promise<T> {
    const { clock, timeoutMs } = this.#options;
    const done = new AbortController();
    const late = clock.sleep(timeoutMs, done.signal).then((): never => {
      throw new NoAnswer(`${what} within ${timeoutMs} ms`, this.#isConnected);
    });
    try {
      return await Promise.race([running, late]);
    } catch (error) {
      running.catch(() => undefined);
      this.close();
      throw error;
    } finally {
      late.catch(() => undefined);
      done.abort();
    }
  }
}

function notAsked(): Error {
  return fail("catalog_unreachable", "The Hive Metastore said something that nobody had asked for");
}

function saslMessage(status: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(SASL_HEAD);
  head.writeUInt8(status, 0);
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

function wholeSasl(bytes: Buffer): Buffer | null {
  if (bytes.length < SASL_HEAD) return null;
  const length = SASL_HEAD + lengthOf(bytes.readUInt32BE(1));
  return bytes.length < length ? null : bytes.subarray(0, length);
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(message.length, 0);
  return Buffer.concat([head, message]);
}

function wholeFrame(bytes: Buffer): Buffer | null {
  if (bytes.length < 4) return null;
  const length = 4 + lengthOf(bytes.readUInt32BE(0));
  return bytes.length < length ? null : bytes.subarray(4, length);
}

function wholeMessage(): Waiting["take"] {
  const message = new MessageLength();
  return (bytes) => {
    const length = message.of(bytes);
    lengthOf(bytes.length);
    return length === null ? null : bytes.subarray(0, length);
  };
}

function lengthOf(length: number): number {
  if (length <= MESSAGE_LENGTH_MAX) return length;
  throw fail("catalog_unreachable", "What answers is no Hive Metastore: it announces too much");
}

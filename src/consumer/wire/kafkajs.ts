/**
 * The one door to kafkajs: its connection (sockets, TLS, SASL handshakes, matching of answers to
 * requests). Requests and answers are ours, as bytes.
 *
 * The package is pinned exactly and these are inner modules, so {@link checkKafkajs} looks at start
 * whether what we rely on is there. Three things are replaced: kafkajs keeps a timer spinning with
 * negative delays on idle connections (1,800 wake-ups a second), ours is set only when it has work; it
 * joins every answer from chunks in fresh memory, ours comes from `answers.ts`; and its sockets hand
 * their bytes over without a stream's bookkeeping. Logins, whose bytes may come without Kafka's framing,
 * stay with kafkajs.
 */
import type { Socket } from "node:net";
import Connection from "kafkajs/src/network/connection.js";
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";
import createSocketFactory from "kafkajs/src/network/socketFactory.js";
import Encoder from "kafkajs/src/protocol/encoder.js";
import { createErrorFromCode } from "kafkajs/src/protocol/error.js";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { type AnswerBuffers, AnswerReader } from "./answers.ts";

/** One TCP or TLS connection to one broker. */
export type KafkajsConnection = Connection;

/** What a connection needs. Times in milliseconds. */
export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  /** `tls.connect` options, null for plain text. */
  readonly ssl: Record<string, unknown> | null;
  /** kafkajs's `sasl` options, null for none. */
  readonly sasl: Record<string, unknown> | null;
}

/** A login that ends within this time counts as ended: a new connection is opened. */
const LOGIN_SPARE_MS = 2000;

const stockSchedule = RequestQueue.prototype.scheduleCheckPendingRequests;

RequestQueue.prototype.scheduleCheckPendingRequests = function scheduleOnlyWithWork(): void {
  if (this.pending.length > 0) stockSchedule.call(this);
};

const stockSocket = createSocketFactory();

/**
 * A socket whose bytes go to their listener as they come. A stream would look after each chunk whether
 * somebody has paused it, and whether to read on, which costs more than the chunk's own way. Nobody pauses it,
 * and a push that is never refused does not either. What comes after its end is the stream's to drop.
 */
export function openSocket(options: object): Socket {
  const socket = stockSocket(options);
  const push = socket.push.bind(socket);
  socket.push = (chunk: Buffer | null): boolean => {
    if (chunk === null || socket.destroyed || socket.readableEnded) return push(chunk);
    return socket.emit("data", chunk) || push(chunk);
  };
  return socket;
}

/** Fails when the installed kafkajs is not the one that this file was written against. */
export function checkKafkajs(): void {
  const expected: readonly (keyof KafkajsConnection)[] = [
    "connect",
    "disconnect",
    "authenticate",
    "isAuthenticated",
    "rejectRequests",
    "send",
    "processData",
  ];
  for (const method of expected) {
    assert(typeof Connection.prototype[method] === "function", `kafkajs has ${method}()`);
  }
  assert(typeof stockSchedule === "function", "kafkajs schedules pending requests");
  const { fulfillRequest } = RequestQueue.prototype;
  assert(typeof fulfillRequest === "function", "kafkajs matches answers to requests");
}

/**
 * A connection that is not open yet. kafkajs's own lines go to `debug`: errors are told by us.
 * @param buffers where large answers are put; whoever asked for one releases it
 */
export function createConnection(
  options: ConnectionOptions,
  buffers: AnswerBuffers,
  log: Logger,
): KafkajsConnection {
  const write = (message: string): void => log.log("debug", `kafkajs: ${message}`);
  const logger = {
    namespace: () => logger,
    debug: () => undefined,
    info: write,
    warn: write,
    error: write,
  };
  const connection = new Connection({
    host: options.host,
    port: options.port,
    clientId: options.clientId,
    connectionTimeout: options.connectTimeoutMs,
    ssl: options.ssl,
    sasl: options.sasl,
    logger,
    socketFactory: openSocket,
    requestTimeout: 30_000,
    enforceRequestTimeout: false,
    maxInFlightRequests: null,
    reauthenticationThreshold: LOGIN_SPARE_MS,
  });
  const reader = new AnswerReader(buffers, {
    answer: (correlationId, payload) =>
      connection.requestQueue.fulfillRequest({ size: payload.length, correlationId, payload }),
    broken: (size) =>
      connection.rejectRequests(
        fail("kafka_unreachable", `An answer of ${size} bytes is not one of Kafka's`),
      ),
  });
  connection.processData = function processData(chunk: Buffer): void {
    if (this.authHandlers === null) reader.push(chunk);
    else Connection.prototype.processData.call(this, chunk);
  };
  return connection;
}

/** Sends one request whose body is `payload`, and answers the body of the response. */
export function sendBytes(
  connection: KafkajsConnection,
  request: { apiKey: number; apiVersion: number; apiName: string; payload: Uint8Array },
): Promise<Uint8Array> {
  const encode = async (): Promise<Encoder> => {
    const encoder = new Encoder();
    encoder.writeBufferInternal(Buffer.from(request.payload));
    return encoder;
  };
  return connection.send<Uint8Array>({
    request: { ...request, encode },
    response: { decode: async (raw) => raw, parse: async (raw) => raw },
    logResponseError: false,
  });
}

/** kafkajs's name of a protocol error code. */
export function protocolErrorName(code: number): string {
  return createErrorFromCode(code).type;
}

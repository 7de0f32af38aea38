/**
 * Types of the parts of kafkajs 2.2.4 that `kafkajs.ts` imports from inside the package.
 */

declare module "kafkajs/src/network/connection.js" {
  interface Log {
    namespace(name: string): Log;
    debug(message: string, extra?: Record<string, unknown>): void;
    info(message: string, extra?: Record<string, unknown>): void;
    warn(message: string, extra?: Record<string, unknown>): void;
    error(message: string, extra?: Record<string, unknown>): void;
  }
  class Connection {
    /** Set while a login waits for its answer. */
    authHandlers: unknown;
    readonly requestQueue: {
      fulfillRequest(answer: { correlationId: number; size: number; payload: Uint8Array }): void;
    };
    constructor(options: {
      host: string;
      port: number;
      logger: Log;
      socketFactory: unknown;
      ssl: Record<string, unknown> | null;
      sasl: Record<string, unknown> | null;
      clientId: string;
      connectionTimeout: number;
      requestTimeout: number;
      enforceRequestTimeout: boolean;
      maxInFlightRequests: number | null;
      reauthenticationThreshold: number;
    });
    connect(): Promise<boolean>;
    disconnect(): Promise<boolean>;
    authenticate(): Promise<void>;
    isConnected(): boolean;
    isAuthenticated(): boolean;
    rejectRequests(error: unknown): void;
    processData(chunk: Buffer): void;
    setVersions(versions: Record<number, { minVersion: number; maxVersion: number }>): void;
    setSupportAuthenticationProtocol(isSupported: boolean): void;
    send<T>(protocol: {
      request: {
        apiKey: number;
        apiVersion: number;
        apiName: string;
        encode(): Promise<{ buf: Buffer }>;
      };
      response: { decode(raw: Buffer): Promise<T>; parse(decoded: T): Promise<T> };
      logResponseError: boolean;
    }): Promise<T>;
  }
  export = Connection;
}

declare module "kafkajs/src/network/requestQueue/index.js" {
  class RequestQueue {
    readonly pending: readonly unknown[];
    readonly throttledUntil: number;
    scheduleCheckPendingRequests(): void;
    fulfillRequest(answer: unknown): void;
  }
  export = RequestQueue;
}

declare module "kafkajs/src/network/socketFactory.js" {
  function createSocketFactory(): (options: object) => import("node:net").Socket;
  export = createSocketFactory;
}

declare module "kafkajs/src/protocol/encoder.js" {
  class Encoder {
    buf: Buffer;
    writeBufferInternal(buffer: Buffer): void;
  }
  export = Encoder;
}

declare module "kafkajs/src/protocol/error.js" {
  export function createErrorFromCode(code: number): Error & { type: string; code: number };
}

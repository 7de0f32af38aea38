/**
 * Connections to the brokers of one cluster: opened when first needed, by node and role, closed
 * and opened anew after an error or when their login runs out.
 *
 * A broker answers the requests of one connection in order, so that a long poll, a join and a
 * look-up each have a connection of their own ("role"). Nothing is retried here.
 */
import type { Clock } from "#base/clock.ts";
import { type AppError, fail, kindOf } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Settings } from "#consumer/options.ts";
import type { AnswerBuffers } from "./answers.ts";
import { type HostPort, parseBrokerAddress } from "./brokerAddress.ts";
import { createConnection, type KafkajsConnection, sendBytes } from "./kafkajs.ts";
import {
  ALL_API,
  API,
  type ApiName,
  type ApiVersions,
  apiVersionsRequest,
  type Request,
} from "./protocol.ts";
import { explainConnect, saslOptions, tlsOptions, tokenSource, userOf } from "./security.ts";
import { Reader } from "./wire.ts";

/** What a connection is used for; requests of one role wait for each other. */
export type Role = "control" | "group" | "fetch-a" | "fetch-b" | "produce";

/** A broker's address. */
export interface BrokerAddress {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

interface Link {
  readonly connection: KafkajsConnection;
  readonly address: string;
}

/** The parts that come in. */
export interface ClusterParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly buffers: AnswerBuffers;
}

/** The cluster, as connections. */
export class Cluster {
  private readonly settings: Settings;
  private readonly parts: ClusterParts;
  private readonly token: () => Promise<string>;
  private readonly seeds: readonly (HostPort & { readonly key: string })[];
  private readonly links = new Map<string, Promise<Link>>();
  private nodes = new Map<number, BrokerAddress>();
  private closed = false;

  /** Throws `usage` for a bootstrap server that is no address. */
  constructor(settings: Settings, parts: ClusterParts) {
    this.settings = settings;
    this.parts = parts;
    this.token = tokenSource(settings.sasl, parts.clock, settings.connectTimeoutMs);
    this.seeds = settings.bootstrapServers.map((server) => {
      const address = parseBrokerAddress(server);
      if ("problem" in address) {
        throw fail("usage", `A broker of kafka.bootstrap_servers ${address.problem}`);
      }
      return { key: `seed ${server}`, ...address };
    });
  }

  /** Takes over the brokers' addresses from a metadata answer. */
  setBrokers(brokers: readonly BrokerAddress[]): void {
    this.nodes = new Map(brokers.map((broker) => [broker.nodeId, broker]));
  }

  /** Sends to one node. Throws `kafka_unreachable`, `kafka_refused`, `batch_corrupt`. */
  async send<T>(nodeId: number, role: Role, request: Request<T>): Promise<T> {
    const node = this.nodes.get(nodeId);
    if (node === undefined) {
      throw fail("kafka_unreachable", `Kafka broker ${nodeId} is not in the cluster's metadata`);
    }
    return this.sendOver(`${nodeId}/${role}`, node.host, node.port, request);
  }

  /** Sends to whichever broker answers: known ones first, then the bootstrap servers. */
  async sendAny<T>(request: Request<T>): Promise<T> {
    let worst: AppError | null = null;
    for (const { key, host, port } of this.candidates()) {
      try {
        return await this.sendOver(key, host, port, request);
      } catch (error) {
        if (this.closed || kindOf(error) === "batch_corrupt") throw error;
        if (worst === null || kindOf(error) === "kafka_refused") worst = error as AppError;
      }
    }
    throw worst ?? fail("kafka_unreachable", "No Kafka broker is known");
  }

  /** Ends every connection; requests under way fail. */
  close(): void {
    this.closed = true;
    const open = [...this.links.values()];
    this.links.clear();
    // One that is still being opened is ended when it is open; nobody waits for it.
    for (const pending of open) pending.then(discard, () => undefined);
  }

  private candidates(): { key: string; host: string; port: number }[] {
    const known = [...this.nodes.values()].map(({ nodeId, host, port }) => ({
      key: `${nodeId}/control`,
      host,
      port,
    }));
    const rotate = known.length === 0 ? 0 : Math.floor(this.parts.random.unit() * known.length);
    const connectedFirst = [...known.slice(rotate), ...known.slice(0, rotate)].sort(
      (a, b) => Number(this.links.has(b.key)) - Number(this.links.has(a.key)),
    );
    return [...connectedFirst, ...this.seeds];
  }

  private async sendOver<T>(
    key: string,
    host: string,
    port: number,
    request: Request<T>,
  ): Promise<T> {
    const link = await this.link(key, host, port);
    let bytes: Uint8Array;
    try {
      bytes = await this.exchange(link, request);
    } catch (error) {
      this.links.delete(key);
      discard(link);
      if (kindOf(error) === "kafka_refused") throw error;
      const context = { broker: link.address, request: request.api };
      const sentence = `Kafka broker ${link.address} did not answer a ${request.api} request`;
      throw fail("kafka_unreachable", sentence, context, error);
    }
    return request.decode(new Reader(bytes));
  }

  private async exchange(link: Link, request: Request<unknown>): Promise<Uint8Array> {
    const { key, version } = ALL_API[request.api];
    const timer = new AbortController();
    const late = this.parts.clock
      .sleep(this.settings.requestTimeoutMs + request.extraWaitMs, timer.signal)
      .then(() => {
        if (timer.signal.aborted) return new Uint8Array(0);
        throw fail("kafka_unreachable", "The request timed out");
      });
    const answer = sendBytes(link.connection, {
      apiKey: key,
      apiVersion: version,
      apiName: request.api,
      payload: request.payload,
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      late.catch(() => undefined);
      answer.catch(() => undefined);
      timer.abort();
    }
  }

  private async link(key: string, host: string, port: number): Promise<Link> {
    if (this.closed) throw fail("kafka_unreachable", "The Kafka consumer is closed");
    const current = this.links.get(key);
    if (current !== undefined) {
      const link = await current;
      if (this.usable(link, host, port)) return link;
      if (this.links.get(key) === current) this.links.delete(key);
      void link.connection.disconnect().catch(() => undefined);
      return this.link(key, host, port);
    }
    const opening = this.open(host, port);
    this.links.set(key, opening);
    opening.catch(() => {
      if (this.links.get(key) === opening) this.links.delete(key);
    });
    return opening;
  }

  private usable({ connection, address }: Link, host: string, port: number): boolean {
    if (address !== `${host}:${port}` || !connection.isConnected()) return false;
    return this.settings.sasl === null || connection.isAuthenticated();
  }

  private async open(host: string, port: number): Promise<Link> {
    const address = `${host}:${port}`;
    const connection = createConnection(
      {
        host,
        port,
        clientId: this.settings.clientId,
        connectTimeoutMs: this.settings.connectTimeoutMs,
        ssl: tlsOptions(this.settings),
        sasl: saslOptions(this.settings.sasl, this.token),
      },
      this.parts.buffers,
      this.parts.log,
    );
    const link = { connection, address };
    let phase: "connect" | "hello" | "login" = "connect";
    try {
      await connection.connect();
      phase = "hello";
      const hello = apiVersionsRequest();
      const versions = hello.decode(new Reader(await this.exchange(link, hello)));
      checkVersions(versions, address);
      phase = "login";
      connection.setVersions(versions);
      connection.setSupportAuthenticationProtocol(true);
      if (this.settings.sasl !== null) await connection.authenticate();
    } catch (error) {
      discard(link);
      throw explainConnect(error, address, this.settings, phase);
    }
    const log = { broker: address, user: userOf(this.settings) };
    this.parts.log.log("debug", "Connected to Kafka broker", log);
    return link;
  }
}

/** Ends a connection without waiting for answers that may never come. */
function discard({ connection, address }: Link): void {
  connection.rejectRequests(fail("kafka_unreachable", `Connection to ${address} was closed`));
  void connection.disconnect().catch(() => undefined);
}

function checkVersions(versions: ApiVersions, address: string): void {
  for (const name of Object.keys(API) as ApiName[]) {
    const { key, version } = API[name];
    const range = versions[key];
    if (range === undefined || range.minVersion > version || range.maxVersion < version) {
      throw fail(
        "kafka_refused",
        `Kafka broker ${address} does not speak ${name} version ${version}: Kafka 3.1 or newer is needed`,
        { broker: address, request: name },
      );
    }
  }
}

/**
 * The consumer against a real broker with SASL_SSL, mutual TLS and ACLs: every mechanism reads, and
 * every refusal is one clear sentence that names broker and user, and never the secret.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { AppError, describe as sentenceOf } from "#base/errors.ts";
import type { KafkaConsumerOptions, SaslOptions, SslOptions } from "#consumer/options.ts";
import { produceValues } from "../../scripts/events/events.ts";
import { createTopic, grantRead } from "../../scripts/events/topics.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import type { KafkaSecurity } from "../../scripts/services/kafkaSecurity.ts";
import { startTokenEndpoint, type TokenEndpoint } from "../../scripts/services/tokenEndpoint.ts";
import { Driver } from "../support/consumerDriver.ts";

const TOPIC = "secured";
let broker: KafkaBroker;
let security: KafkaSecurity;
let tokens: TokenEndpoint;

beforeAll(async () => {
  broker = await startKafka({
    security: true,
    properties: { "connections.max.reauth.ms": "4000" },
  });
  if (broker.security === undefined) throw new Error("the broker has no secure listeners");
  security = broker.security;
  tokens = startTokenEndpoint(3);
  await createTopic(broker.bootstrap, { topic: TOPIC, partitions: 1 });
  await produceValues({ bootstrap: broker.bootstrap, topic: TOPIC }, [{ value: "a" }]);
  await grantRead(broker.bootstrap, "reader");
}, 120_000);

afterAll(async () => {
  await tokens?.stop();
  await broker?.stop();
});

const pem = (path: string): string => readFileSync(path, "utf8");

function trusted(more: Partial<SslOptions> = {}): SslOptions {
  return { enabled: true, ca: pem(security.certificates.ca), ...more };
}

function login(mechanism: "plain" | "scram-sha-256" | "scram-sha-512", password?: string) {
  return { mechanism, username: "reader", password: password ?? security.users.reader } as const;
}

function oauth(clientSecret = tokens.clientSecret): SaslOptions {
  return { mechanism: "oauthbearer", tokenEndpoint: tokens.url, clientId: "reader", clientSecret };
}

function options(more: Partial<KafkaConsumerOptions>): KafkaConsumerOptions {
  return {
    bootstrapServers: [security.saslSsl],
    topics: [TOPIC],
    groupId: `group-${crypto.randomUUID()}`,
    ssl: trusted(),
    ...more,
  };
}

async function reads(more: Partial<KafkaConsumerOptions>): Promise<void> {
  const reader = await new Driver(options(more)).open();
  await reader.until("a record", () => reader.count === 1);
  await reader.close();
}

/** The error with which `open` refuses. */
async function refusal(more: Partial<KafkaConsumerOptions>): Promise<AppError> {
  const reader = new Driver(options(more));
  try {
    await reader.open();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  } finally {
    await reader.close();
  }
  throw new Error("open() did not refuse");
}

describe("what is let in", () => {
  for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"] as const) {
    test(`SASL ${mechanism} over TLS reads`, async () => {
      await reads({ sasl: login(mechanism) });
    }, 30_000);
  }

  test("SASL oauthbearer reads on when its token has run out, with a new one", async () => {
    const before = tokens.issued();
    const reader = await new Driver(options({ sasl: oauth() })).open();
    await reader.until("a record", () => reader.count >= 1);
    await Bun.sleep(5000);
    const seen = reader.count;
    await produceValues({ bootstrap: broker.bootstrap, topic: TOPIC }, [{ value: "b" }]);
    await reader.until("a record after the refresh", () => reader.count === seen + 1);
    expect(tokens.issued() - before).toBeGreaterThan(1);
    expect(reader.of("revoked")).toHaveLength(0);
    await reader.close();
  }, 30_000);

  test("a client certificate reads, also with an encrypted key", async () => {
    const { client, encryptedClientKey, clientKeyPassword } = security.certificates;
    const bootstrapServers = [security.mutualTls];
    const cert = pem(client.cert);
    for (const key of [
      { key: pem(client.key) },
      { key: pem(encryptedClientKey), keyPassword: clientKeyPassword },
    ]) {
      const reader = new Driver(options({ bootstrapServers, ssl: trusted({ cert, ...key }) }));
      await reader.open();
      await reader.until("a record", () => reader.count >= 1);
      await reader.close();
    }
  }, 30_000);
});

describe("what is refused", () => {
  const mechanisms = ["plain", "scram-sha-256", "scram-sha-512"] as const;
  for (const mechanism of mechanisms) {
    test(`a wrong password with ${mechanism} names broker and user, not the password`, async () => {
      const error = await refusal({ sasl: login(mechanism, "not-the-password") });
      expect(error.kind).toBe("kafka_refused");
      expect(error.message).toContain(security.saslSsl);
      expect(error.message).toContain("reader");
      expect(Bun.inspect(error)).not.toContain("not-the-password");
    }, 30_000);
  }

  test("a wrong client secret is refused by the token endpoint, by name", async () => {
    const error = await refusal({ sasl: oauth("not-the-secret") });
    expect(error.kind).toBe("kafka_refused");
    expect(error.message).toContain("client reader");
    expect(Bun.inspect(error)).not.toContain("not-the-secret");
  }, 30_000);

  test("a mechanism that the broker does not offer is named", async () => {
    const bootstrapServers = [security.mutualTls];
    const { client } = security.certificates;
    const ssl = trusted({ cert: pem(client.cert), key: pem(client.key) });
    const error = await refusal({ bootstrapServers, ssl, sasl: login("plain") });
    expect(error.kind).toBe("kafka_refused");
    expect(error.message).toContain(security.mutualTls);
  }, 30_000);

  test("a broker whose authority is not trusted is refused by us", async () => {
    const ssl = trusted({ ca: pem(security.certificates.foreignCa) });
    const error = await refusal({ ssl, sasl: login("plain") });
    expect(error.kind).toBe("kafka_refused");
    expect(sentenceOf(error)).toContain("authority that we do not trust");
  }, 30_000);

  test("a broker with another host name in its certificate is refused by us", async () => {
    const ssl = trusted({ serverName: "kafka.example.org" });
    const error = await refusal({ ssl, sasl: login("plain") });
    expect(error.kind).toBe("kafka_refused");
    expect(sentenceOf(error)).toContain("another host name");
  }, 30_000);

  for (const which of ["expiredClient", "foreignClient", "none"] as const) {
    test(`a client certificate that the broker does not take (${which}) is one clear sentence`, async () => {
      const { certificates } = security;
      const pair = which === "none" ? null : certificates[which];
      const ssl = trusted(pair === null ? {} : { cert: pem(pair.cert), key: pem(pair.key) });
      const error = await refusal({ bootstrapServers: [security.mutualTls], ssl });
      expect(error.kind).toBe("kafka_refused");
      expect(error.message).toContain(security.mutualTls);
      expect(error.message).toMatch(/certificate/);
    }, 30_000);
  }

  test("plain text at a TLS listener is unreachable, with the hint that a person needs", async () => {
    const ssl = { enabled: false };
    const error = await refusal({ ssl, sasl: login("plain") });
    expect(error.message).toMatch(/TLS/);
  }, 30_000);

  test("TLS at a plain listener is one clear sentence", async () => {
    const error = await refusal({ bootstrapServers: [broker.bootstrap] });
    expect(error.kind).toBe("kafka_refused");
    expect(sentenceOf(error)).toMatch(/TLS/);
  }, 30_000);

  test("a user without permission is named with the topic", async () => {
    const sasl = { ...login("plain", security.users.stranger), username: "stranger" };
    const error = await refusal({ sasl });
    expect(error.kind).toBe("kafka_refused");
    expect(error.message).toContain("stranger");
    expect(error.message).toContain(TOPIC);
  }, 30_000);

  test("a broker that is not there is unreachable, by address", async () => {
    const error = await refusal({ bootstrapServers: ["127.0.0.1:19999"], sasl: login("plain") });
    expect(error.kind).toBe("kafka_unreachable");
    expect(error.message).toContain("127.0.0.1:19999");
  }, 30_000);
});

/**
 * The product at a broker with SASL_SSL, mutual TLS and ACLs, through its configuration file: every
 * way in ingests, every refusal is one sentence and one exit code, and no secret is printed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from "kafkajs";
import { produceValues } from "../../scripts/events/events.ts";
import { createTopic, grantRead } from "../../scripts/events/topics.ts";
import { judgeTable, readTopic } from "../../scripts/judge/judge.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import type { KafkaSecurity } from "../../scripts/services/kafkaSecurity.ts";
import { temporaryFolder, until } from "../../scripts/services/process.ts";
import { type Config, startProduct } from "../../scripts/services/product.ts";
import { startTokenEndpoint, type TokenEndpoint } from "../../scripts/services/tokenEndpoint.ts";
import { fileTable, runUntilEnd, tableFolder } from "../support/binary.ts";

type Section = Config[string];

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
  const { bootstrap } = broker;
  await createTopic(bootstrap, { topic: TOPIC, partitions: 1 });
  await produceValues({ bootstrap, topic: TOPIC }, [{ value: '{"n":1}' }, { value: '{"n":2}' }]);
  await grantRead(bootstrap, "reader");
  await allow("groupless", AclResourceTypes.TOPIC);
}, 600_000);

afterAll(async () => {
  await tokens?.stop();
  await broker?.stop();
});

/** Lets `user` read topics but use no group, or the other way round. */
async function allow(user: string, resourceType: AclResourceTypes): Promise<void> {
  const admin = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const operations = [AclOperationTypes.READ, AclOperationTypes.DESCRIBE];
  await admin.createAcls({
    acl: operations.map((operation) => ({
      resourceType,
      resourceName: "*",
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: `User:${user}`,
      host: "*",
      operation,
      permissionType: AclPermissionTypes.ALLOW,
    })),
  });
  await admin.disconnect();
}

function trusted(more: Section = {}): Section {
  return { enabled: true, ca_file: security.certificates.ca, ...more };
}

function password(mechanism: string, more: Section = {}): Section {
  return { mechanism, username: "reader", password: security.users.reader, ...more };
}

function oauth(clientId: string, clientSecret = tokens.clientSecret): Section {
  return {
    mechanism: "oauthbearer",
    token_endpoint: tokens.url,
    client_id: clientId,
    client_secret: clientSecret,
  };
}

/** A configuration into a folder's warehouse; SASL_SSL with our own authority unless told otherwise. */
function configOf(folder: string, sections: Config): Config {
  const config = fileTable({
    bootstrap: security.saslSsl,
    topic: TOPIC,
    warehouse: join(folder, "warehouse"),
    config: { "kafka.ssl": trusted(), ...sections },
  });
  return { ...config, kafka: { ...config["kafka"], consumer_group: `g-${crypto.randomUUID()}` } };
}

const MUTUAL = (): Section => ({ bootstrap_servers: security.mutualTls });

function pair(name: "client" | "expiredClient" | "foreignClient"): Section {
  const { cert, key } = security.certificates[name];
  return trusted({ cert_file: cert, key_file: key });
}

/** Every secret that a configuration here may hold. */
function secrets(): string[] {
  const { users, certificates } = security;
  const own = [users.reader, users.stranger, certificates.clientKeyPassword, tokens.clientSecret];
  return [...own, "wrong-secret-77"];
}

function expectNoSecret(output: string): void {
  for (const secret of secrets()) expect(output).not.toContain(secret);
}

describe("what is let in, ingests", () => {
  const ways: readonly (readonly [string, () => Config])[] = [
    ["plain", () => ({ "kafka.sasl": password("plain") })],
    ["scram-sha-256", () => ({ "kafka.sasl": password("scram-sha-256") })],
    ["scram-sha-512", () => ({ "kafka.sasl": password("scram-sha-512") })],
    ["oauthbearer", () => ({ "kafka.sasl": oauth("reader") })],
    ["mutual TLS", () => ({ kafka: MUTUAL(), "kafka.ssl": pair("client") })],
    [
      "mutual TLS, encrypted key",
      () => {
        const { client, encryptedClientKey, clientKeyPassword } = security.certificates;
        const key = { key_file: encryptedClientKey, key_password: clientKeyPassword };
        return { kafka: MUTUAL(), "kafka.ssl": trusted({ cert_file: client.cert, ...key }) };
      },
    ],
  ];
  test.each(ways)(
    "%s",
    async (_, sections) => {
      const folder = await temporaryFolder("secure");
      const config = configOf(folder, sections());
      const { product, exitCode } = await runUntilEnd({ folder, config });
      expect([exitCode, exitCode === 0 ? "" : product.log()]).toEqual([0, ""]);
      const verdict = await judgeTable({
        table: { folder: tableFolder(join(folder, "warehouse"), TOPIC) },
        topics: [await readTopic(broker.bootstrap, TOPIC)],
        readers: ["duckdb"],
      });
      expect(verdict.violations).toEqual([]);
      expect(verdict.readers.duckdb?.rows).toBeGreaterThanOrEqual(2);
      expectNoSecret(product.log());
    },
    60_000,
  );

  test("oauthbearer goes on with a new token when the old one has run out", async () => {
    const { bootstrap } = broker;
    const topic = "refreshed";
    await createTopic(bootstrap, { topic, partitions: 1 });
    const folder = await temporaryFolder("refresh");
    const config = configOf(folder, { "kafka.sasl": oauth("reader") });
    const kafka = { ...config["kafka"], topic };
    const product = await startProduct({
      folder,
      config: { ...config, kafka, "iceberg.commit": { interval_ms: 300 } },
    });
    await product.ready();
    const before = tokens.issued();
    await until("two more tokens", () => tokens.issued() >= before + 2, 30_000);
    await produceValues({ bootstrap, topic }, [{ value: '{"n":3}' }]);
    const line = "kafka_messages_consumed_total{";
    await until(
      "the record consumed",
      async () =>
        (await product.metrics()).split("\n").some((l) => l.startsWith(line) && l.endsWith(" 1")),
      30_000,
    );
    expect(await product.terminate()).toBe(0);
    const verdict = await judgeTable({
      table: { folder: tableFolder(join(folder, "warehouse"), topic) },
      topics: [await readTopic(bootstrap, topic)],
      readers: ["duckdb"],
    });
    expect(verdict.violations).toEqual([]);
    expect(verdict.readers.duckdb?.rows).toBe(1);
    expectNoSecret(product.log());
  }, 90_000);
});

describe("what is refused, is one sentence", () => {
  const wrong = "wrong-secret-77";
  const refusals: readonly (readonly [string, () => Config, readonly RegExp[]])[] = [
    ...["plain", "scram-sha-256", "scram-sha-512"].map(
      (mechanism) =>
        [
          `a wrong password, ${mechanism}`,
          () => ({ "kafka.sasl": password(mechanism, { password: wrong }) }),
          [/refused the login of user reader/],
        ] as const,
    ),
    [
      "a wrong client secret",
      () => ({ "kafka.sasl": oauth("reader", wrong) }),
      [/reader/, /token/],
    ],
    [
      "a broker of a foreign authority",
      () => ({
        "kafka.sasl": password("plain"),
        "kafka.ssl": trusted({ ca_file: security.certificates.foreignCa }),
      }),
      [/authority/],
    ],
    [
      "an expired client certificate",
      () => ({ kafka: MUTUAL(), "kafka.ssl": pair("expiredClient") }),
      [/certificate/],
    ],
    [
      "a client certificate of a foreign authority",
      () => ({ kafka: MUTUAL(), "kafka.ssl": pair("foreignClient") }),
      [/certificate/],
    ],
    [
      "no permission for the topic",
      () => {
        const login = { username: "stranger", password: security.users.stranger };
        return { "kafka.sasl": password("plain", login) };
      },
      [/stranger/, /secured/, /topic/i],
    ],
    ["no permission for the group", () => ({ "kafka.sasl": oauth("groupless") }), [/group/i, /g-/]],
  ];
  test.each(refusals)(
    "%s",
    async (_, sections, words) => {
      const folder = await temporaryFolder("refused");
      const config = configOf(folder, sections());
      const { product, exitCode } = await runUntilEnd({ folder, config });
      const errors = product.logLines().filter(({ level }) => level === "error");
      expect([exitCode, errors.length]).toEqual([1, 1]);
      for (const word of words) expect(errors[0]?.message).toMatch(word);
      expectNoSecret(product.log());
      expect(product.log()).not.toMatch(/^ +at /m);

      const check = await startProduct({ folder, config, command: ["check"] });
      expect(await check.exited).toBe(1);
      for (const word of words) expect(check.log()).toMatch(word);
      expectNoSecret(check.log());
    },
    60_000,
  );
});

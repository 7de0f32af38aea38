import { afterEach, describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import { type KafkaConsumerOptions, type SaslOptions, withDefaults } from "#consumer/options.ts";
import {
  explainConnect,
  saslOptions,
  tlsOptions,
  tokenSource,
  userOf,
} from "#consumer/wire/security.ts";

const ADDRESS = "b:9093";
const SECRET = "hush-hush";
const plain: SaslOptions = { mechanism: "plain", username: "ann", password: SECRET };

function settings(more: Partial<KafkaConsumerOptions> = {}) {
  return withDefaults({ bootstrapServers: [ADDRESS], groupId: "g", ...more });
}

function error(name: string, message: string, more: object = {}): Error {
  return Object.assign(new Error(message), { name, ...more });
}

describe("options", () => {
  test("TLS is off unless enabled, and passes on what is given", () => {
    expect(tlsOptions(settings())).toBeNull();
    expect(tlsOptions(settings({ ssl: { enabled: false, ca: "x" } }))).toBeNull();
    const all = { ca: "a", cert: "c", key: "k", keyPassword: "p", serverName: "s" };
    expect(tlsOptions(settings({ ssl: { enabled: true, ...all } }))).toEqual({
      ca: "a",
      cert: "c",
      key: "k",
      passphrase: "p",
      servername: "s",
      rejectUnauthorized: true,
    });
  });

  test("each connection gets a SASL object of its own", () => {
    const token = async (): Promise<string> => "t";
    expect(saslOptions(null, token)).toBeNull();
    expect(saslOptions(plain, token)).not.toBe(saslOptions(plain, token));
  });

  test("the user is named by login, client id or certificate", () => {
    expect(userOf(settings())).toBe("anonymous");
    expect(userOf(settings({ sasl: plain }))).toBe("ann");
    expect(userOf(settings({ ssl: { enabled: true, cert: "c" } }))).toBe("the TLS client");
  });
});

describe("Amazon MSK", () => {
  const msk: SaslOptions = { mechanism: "aws-msk-iam", region: "eu-west-1", roleArn: null };

  test("signs in over OAUTHBEARER, with a token that is signed anew at four fifths of its life", async () => {
    const environment = { ...process.env };
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "s" });
    try {
      let nowMs = Date.UTC(2026, 0, 1);
      const clock: Clock = { ...systemClock, nowMs: () => nowMs };
      const token = tokenSource(msk, clock, 1000);
      const options = saslOptions(msk, token) as {
        mechanism: string;
        oauthBearerProvider: () => Promise<{ value: string }>;
      };
      expect(options.mechanism).toBe("oauthbearer");
      const { value } = await options.oauthBearerProvider();
      const url = new URL(Buffer.from(value, "base64url").toString());
      expect(url.hostname).toBe("kafka.eu-west-1.amazonaws.com");
      expect(url.searchParams.get("X-Amz-Credential")).toStartWith("AKIDEXAMPLE/");
      nowMs += 719_000;
      expect(await token()).toBe(value);
      nowMs += 2000;
      expect(await token()).not.toBe(value);
    } finally {
      process.env = environment;
    }
  });

  test("the user is the role, or the identity of AWS", () => {
    const ssl = { enabled: true };
    expect(userOf(settings({ ssl, sasl: msk }))).toBe("the AWS identity");
    expect(userOf(settings({ ssl, sasl: { ...msk, roleArn: "arn:role" } }))).toBe("arn:role");
  });
});

describe("explainConnect()", () => {
  const tls = settings({ ssl: { enabled: true }, sasl: plain });
  for (const [what, cause, phase, kind, sentence] of [
    [
      "a refused port",
      error("KafkaJSConnectionError", "ECONNREFUSED"),
      "connect",
      "kafka_unreachable",
      "cannot be reached",
    ],
    [
      "an expired server",
      error("E", "x", { code: "CERT_HAS_EXPIRED" }),
      "connect",
      "kafka_refused",
      "broker's certificate has expired",
    ],
    [
      "another host",
      error("E", "x", { code: "ERR_TLS_CERT_ALTNAME_INVALID" }),
      "connect",
      "kafka_refused",
      "another host name",
    ],
    [
      "an unknown authority",
      error("E", "x", { code: "DEPTH_ZERO_SELF_SIGNED_CERT" }),
      "connect",
      "kafka_refused",
      "do not trust",
    ],
    [
      "other TLS trouble",
      error("E", "wrong version: ssl"),
      "connect",
      "kafka_refused",
      "wrong version",
    ],
    [
      "a missing client certificate",
      error("E", "SSLV3_ALERT_BAD_CERTIFICATE"),
      "hello",
      "kafka_refused",
      "demands a client certificate",
    ],
    [
      "a close at the first request",
      error("E", "Closed connection"),
      "hello",
      "kafka_refused",
      "client certificate",
    ],
    [
      "a wrong password",
      error("KafkaJSSASLAuthenticationError", "SASL PLAIN authentication failed"),
      "login",
      "kafka_refused",
      "refused the login of user ann (SASL PLAIN)",
    ],
    [
      "a mechanism not offered",
      error(
        "KafkaJSSASLAuthenticationError",
        "SASL PLAIN mechanism is not supported by the server",
      ),
      "login",
      "kafka_refused",
      "does not offer SASL mechanism PLAIN",
    ],
    [
      "a drop during login",
      error("E", "Closed connection"),
      "login",
      "kafka_unreachable",
      "during the login of ann",
    ],
  ] as const) {
    test(`${what} is ${kind}, in one sentence with the address`, () => {
      const explained = explainConnect(cause, ADDRESS, tls, phase);
      expect(explained.kind).toBe(kind);
      expect(explained.message).toContain(ADDRESS);
      expect(explained.message).toContain(sentence);
      expect(Bun.inspect(explained)).not.toContain(SECRET);
    });
  }

  test("plain text that is closed at once hints at TLS, and is tried again", () => {
    const explained = explainConnect(error("E", "Closed"), ADDRESS, settings(), "hello");
    expect([explained.kind, explained.message]).toEqual([
      "kafka_unreachable",
      expect.stringContaining("does this listener expect TLS?"),
    ]);
  });
});

describe("tokenSource()", () => {
  let server: ReturnType<typeof Bun.serve> | null = null;
  let nowMs = 0;
  const TIMEOUT_MS = 5000;
  let timeUp: () => void = () => undefined;
  const clock = {
    nowMs: () => nowMs,
    sleep: (ms: number) => {
      expect(ms).toBe(TIMEOUT_MS);
      return new Promise<void>((resolve) => {
        timeUp = resolve;
      });
    },
  } as Clock;

  afterEach(async () => {
    await server?.stop(true);
    server = null;
  });

  function source(
    answer: (form: URLSearchParams, auth: string) => Response | Promise<Response>,
  ): () => Promise<string> {
    server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) =>
        answer(
          new URLSearchParams(await request.text()),
          Buffer.from(request.headers.get("authorization")?.slice(6) ?? "", "base64").toString(),
        ),
    });
    const tokenEndpoint = `http://127.0.0.1:${server.port}/token`;
    const sasl = { clientId: "cli", clientSecret: SECRET, scope: "s", tokenEndpoint } as const;
    return tokenSource({ mechanism: "oauthbearer", ...sasl }, clock, TIMEOUT_MS);
  }

  test("asks with client credentials, keeps the token for 80 % of its life, then asks anew", async () => {
    let asked = 0;
    const token = source((form, auth) => {
      expect([form.get("grant_type"), form.get("scope")]).toEqual(["client_credentials", "s"]);
      expect(auth).toBe(`cli:${SECRET}`);
      return Response.json({ access_token: `t${++asked}`, expires_in: 100 });
    });
    nowMs = 1_000_000;
    expect([await token(), await token()]).toEqual(["t1", "t1"]);
    nowMs += 79_000;
    expect(await token()).toBe("t1");
    nowMs += 2000;
    expect(await token()).toBe("t2");
  });

  test("a refusal is kafka_refused, trouble is kafka_unreachable, and neither shows the secret", async () => {
    for (const [answer, kind] of [
      [() => new Response("{}", { status: 401 }), "kafka_refused"],
      [() => Response.json({ hello: 1 }), "kafka_refused"],
      [() => new Response("not json"), "kafka_refused"],
      [() => new Response("", { status: 503 }), "kafka_unreachable"],
    ] as const) {
      nowMs = 0;
      const caught = await source(() => answer())().catch((e: unknown) => e);
      expect(kindOf(caught)).toBe(kind);
      expect(Bun.inspect(caught)).not.toContain(SECRET);
      await server?.stop(true);
    }
    const gone = source(() => new Response(""));
    await server?.stop(true);
    expect(kindOf(await gone().catch((e: unknown) => e))).toBe("kafka_unreachable");
  });

  test("an endpoint that does not answer, or stops within its answer, is given up in time", async () => {
    const endless = new ReadableStream({ start: (c) => c.enqueue(Buffer.from("{")) });
    for (const answer of [
      () => new Promise<Response>(() => undefined),
      () => new Response(endless),
    ]) {
      const asked = Promise.withResolvers<void>();
      const token = source(() => {
        asked.resolve();
        return answer();
      });
      const caught = token().catch((e: unknown) => e);
      await asked.promise;
      timeUp();
      expect(kindOf(await caught)).toBe("kafka_unreachable");
      expect(String(await caught)).toContain("did not answer in time");
      await server?.stop(true);
    }
  });

  test("without OAuth there is no token to ask for", async () => {
    expect(kindOf(await tokenSource(null, clock, TIMEOUT_MS)().catch((e: unknown) => e))).toBe(
      "internal",
    );
  });
});

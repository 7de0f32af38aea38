/** Signatures against AWS's published test suite of version 4, and the shapes of its services. */
import { describe, expect, test } from "bun:test";
import { mskTokens } from "#aws/mskToken.ts";
import { signedHeaders } from "#aws/signer.ts";
import { type Clock, systemClock } from "#base/clock.ts";

/** Keys, time, region and service of the suite (`aws-sig-v4-test-suite`). */
const IDENTITY = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const AT_MS = Date.UTC(2015, 7, 30, 12, 36, 0);
const SCOPE = { service: "service", region: "us-east-1" };
const HOST = "https://example.amazonaws.com";
const FORM = { "content-type": "application/x-www-form-urlencoded" };

describe("AWS's test suite", () => {
  const vectors = [
    [
      "get-vanilla",
      "GET",
      "/",
      {},
      null,
      "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ],
    [
      "get-vanilla-query-order-key-case",
      "GET",
      "/?Param2=value2&Param1=value1",
      {},
      null,
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ],
    [
      "post-vanilla",
      "POST",
      "/",
      {},
      null,
      "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ],
    [
      "post-x-www-form-urlencoded",
      "POST",
      "/",
      FORM,
      "Param1=value1",
      "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ],
  ] as const;

  for (const [name, method, path, headers, body, signature] of vectors) {
    test(name, async () => {
      const request = { method, url: `${HOST}${path}`, headers, body };
      const signed = await signedHeaders(request, SCOPE, IDENTITY, AT_MS);
      expect(signed["authorization"]).toEndWith(`Signature=${signature}`);
      expect(signed["authorization"]).toStartWith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ",
      );
      expect(signed["x-amz-date"]).toBe("20150830T123600Z");
    });
  }
});

test("a session's token is sent and signed, and no header of the request is repeated", async () => {
  const identity = { ...IDENTITY, sessionToken: "token" };
  const headers = { accept: "application/json", "X-Own": "1" };
  const request = { method: "GET", url: `${HOST}:8443/v1/a%1Fb`, headers, body: null };
  const signed = await signedHeaders(request, SCOPE, identity, AT_MS);
  expect(signed["x-amz-security-token"]).toBe("token");
  expect(signed["authorization"]).toContain(
    "SignedHeaders=accept;host;x-amz-date;x-amz-security-token;x-own",
  );
  expect(Object.keys(signed).sort()).toEqual([
    "authorization",
    "x-amz-date",
    "x-amz-security-token",
  ]);
});

test("an MSK token is the signed address of kafka-cluster:Connect in base64url, as AWS's signers make it", async () => {
  const clock: Clock = { ...systemClock, nowMs: () => AT_MS };
  const expiration = new Date(AT_MS + 60_000);
  const identity = { ...IDENTITY, sessionToken: "to/ken=", expiration };
  const tokens = mskTokens({ region: "eu-west-1", roleArn: null }, clock, async () => identity);
  const { token, lifeMs } = await tokens();
  expect(lifeMs).toBe(60_000);
  expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
  const url = new URL(Buffer.from(token, "base64url").toString());
  expect(url.origin + url.pathname).toBe("https://kafka.eu-west-1.amazonaws.com/");
  const { "X-Amz-Signature": signature, ...rest } = Object.fromEntries(url.searchParams);
  expect(signature).toMatch(/^[0-9a-f]{64}$/);
  expect(rest).toEqual({
    Action: "kafka-cluster:Connect",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": "AKIDEXAMPLE/20150830/eu-west-1/kafka-cluster/aws4_request",
    "X-Amz-Date": "20150830T123600Z",
    "X-Amz-Expires": "900",
    "X-Amz-Security-Token": "to/ken=",
    "X-Amz-SignedHeaders": "host",
    "User-Agent": "kafka-iceberg",
  });
  const lasting = mskTokens({ region: "eu-west-1", roleArn: null }, clock, async () => IDENTITY);
  expect((await lasting()).lifeMs).toBe(900_000);
});

/** Credentials of AWS: when they are asked for anew, roles, and what a person reads when there are none. */
import { describe, expect, test } from "bun:test";
import { Readable } from "node:stream";
import { type AwsIdentity, awsCredentials } from "#aws/credentials.ts";
import { type Clock, systemClock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import { rejection } from "../../support/rejection.ts";

const KINDS = { refused: "catalog_refused", unreachable: "catalog_unreachable" } as const;
const OWN = { roleArn: null, region: "us-east-1" };
const ROLE = { roleArn: "arn:aws:iam::123456789012:role/Ingest", region: "us-east-1" };
const HOUR_MS = 3_600_000;

function source(lifeMs: number | null) {
  let nowMs = 1_000_000;
  const clock: Clock = { ...systemClock, nowMs: () => nowMs };
  const asked: boolean[] = [];
  const chain = async ({ forceRefresh = false }): Promise<AwsIdentity> => {
    asked.push(forceRefresh);
    const end = lifeMs === null ? {} : { expiration: new Date(nowMs + lifeMs) };
    return { accessKeyId: `key${asked.length}`, secretAccessKey: "secret", ...end };
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { clock, chain, asked, pass };
}

/** STS that answers with `status`; keeps what it was asked. */
function sts(status: number, body: string) {
  const bodies: string[] = [];
  const handle = async (request: unknown) => {
    bodies.push(Buffer.from((request as { body: string | Uint8Array }).body).toString());
    const headers = { "content-type": "text/xml" };
    return { response: { statusCode: status, headers, body: Readable.from([Buffer.from(body)]) } };
  };
  return { bodies, stsHandler: { handle } };
}

const ASSUMED = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
  <Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
  <SessionToken>t</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>
  </AssumeRoleResult></AssumeRoleResponse>`;
const DENIED = `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
  <Message>User u is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`;

describe("AWS credentials", () => {
  test("keys that last are asked for once, by all who wait together", async () => {
    const { asked, ...parts } = source(null);
    const credentials = awsCredentials(OWN, KINDS, parts);
    await Promise.all([credentials(), credentials()]);
    expect((await credentials()).accessKeyId).toBe("key1");
    expect(asked).toEqual([false]);
  });

  test("keys are asked for anew five minutes before their end, and at once after a refusal", async () => {
    const { asked, pass, ...parts } = source(HOUR_MS);
    const credentials = awsCredentials(OWN, KINDS, parts);
    await credentials();
    pass(HOUR_MS - 301_000);
    expect((await credentials()).accessKeyId).toBe("key1");
    pass(2000);
    expect((await credentials()).accessKeyId).toBe("key2");
    expect((await credentials(true)).accessKeyId).toBe("key3");
    expect(asked).toEqual([false, false, true]);
  });

  test("a role is assumed with the chain's keys", async () => {
    const { bodies, stsHandler } = sts(200, ASSUMED);
    const { clock, chain } = source(null);
    const identity = await awsCredentials(ROLE, KINDS, { clock, chain, stsHandler })();
    expect(identity).toMatchObject({ accessKeyId: "ASIA1", sessionToken: "t" });
    expect(identity.expiration?.getUTCFullYear()).toBe(2030);
    expect(bodies[0]).toContain("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FIngest");
    expect(bodies[0]).toContain("RoleSessionName=kafka-iceberg");
  });

  test("a role that may not be assumed is refused by its name; STS away may pass", async () => {
    const { clock, chain } = source(null);
    const at = (status: number, body: string) =>
      awsCredentials(ROLE, KINDS, { clock, chain, ...sts(status, body) })();
    const denied = await rejection(at(403, DENIED));
    expect(kindOf(denied)).toBe("catalog_refused");
    expect(denied.message).toContain(
      "The role arn:aws:iam::123456789012:role/Ingest was not assumed",
    );
    const away = await rejection(at(503, "<html>"));
    expect(kindOf(away)).toBe("catalog_unreachable");
  });

  test("no keys anywhere is refused, naming the places that were looked at", async () => {
    const missing = Object.assign(new Error("Could not load credentials from any providers"), {
      name: "CredentialsProviderError",
    });
    const chain = () => Promise.reject(missing);
    const error = await rejection(awsCredentials(OWN, KINDS, { clock: systemClock, chain })());
    expect(kindOf(error)).toBe("catalog_refused");
    expect(error.message).toContain("environment, a profile, a web identity, the container");
  });

  test("a source that failed is asked again by the next call", async () => {
    const { chain, clock } = source(null);
    let failures = 1;
    const moody = (options: { readonly forceRefresh?: boolean }) =>
      failures-- > 0 ? Promise.reject(new Error("socket hang up")) : chain(options);
    const credentials = awsCredentials(OWN, KINDS, { clock, chain: moody });
    expect(kindOf(await rejection(credentials()))).toBe("catalog_unreachable");
    expect((await credentials()).accessKeyId).toBe("key1");
  });
});

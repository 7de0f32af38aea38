/** REST requests with signatures of AWS, on a server that verifies each. */
import { describe, expect, test } from "bun:test";
import type { AwsIdentity } from "#aws/credentials.ts";
import { signedHeaders } from "#aws/signer.ts";
import type { HttpRequest } from "#base/http.ts";
import { answer } from "../../../fakes/restServer.ts";
import { rejection } from "../../../support/rejection.ts";
import { append, createTable, NAME, restRig } from "../../../support/restRig.ts";

const AUTH = { type: "sigv4", service: "glue", region: "eu-west-1" } as const;

function identityOf(generation: number): AwsIdentity {
  const secretAccessKey = `secret${generation}`;
  return { accessKeyId: `AKIA${generation}`, secretAccessKey, sessionToken: "t/o=" };
}

/** Whether a request has the signature that its headers, its body and the keys make. */
async function isRight({ method, url, headers, body }: HttpRequest, identity: AwsIdentity) {
  const { authorization, "x-amz-date": date = "", "x-amz-security-token": _, ...own } = headers;
  const at = date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z");
  const request = { method, url, headers: own, body };
  const right = await signedHeaders(request, AUTH, identity, Date.parse(at));
  return authorization === right["authorization"];
}

/** A server that takes the keys of one generation alone. */
async function verifying(keys: { current: number; readonly asked: boolean[] }) {
  let held = keys.current;
  const rig = await restRig(
    { auth: AUTH, headers: { "x-own": "1" } },
    (server) => {
      server.intercept = async (request) => {
        if (await isRight(request, identityOf(keys.current))) return null;
        return answer(
          403,
          { message: "The security token included in the request is expired" },
          {
            "x-amzn-errortype": "ExpiredTokenException",
          },
        );
      };
    },
    async (fresh = false) => {
      keys.asked.push(fresh);
      if (fresh) held = keys.current;
      return identityOf(held);
    },
  );
  return rig;
}

describe("SigV4", () => {
  test("every request is signed over its headers and body, that for the configuration too", async () => {
    const keys = { current: 1, asked: [] };
    const rig = await verifying(keys);
    await createTable(rig);
    expect((await append(rig, 7n)).kind).toBe("committed");
    expect((await rig.catalog.load(NAME))?.metadata.currentSnapshotId).toBe(7n);
    for (const { headers } of rig.server.requests) {
      expect(headers["authorization"]).toContain("/eu-west-1/glue/aws4_request");
      expect(headers["authorization"]).toContain("x-own");
    }
    const [first] = rig.server.requests;
    expect(first && (await isRight({ ...first, body: "altered" }, identityOf(1)))).toBe(false);
    expect(keys.asked).not.toContain(true);
  });

  test("keys that have ended are asked for anew once, and a commit that met this is sent again, and lands", async () => {
    const keys: { current: number; asked: boolean[] } = { current: 1, asked: [] };
    const rig = await verifying(keys);
    await createTable(rig);
    keys.current = 2;
    expect((await append(rig, 7n)).kind).toBe("committed");
    expect(keys.asked.filter((fresh) => fresh)).toHaveLength(1);
  });

  test("a 403 that is about rights is a refusal, and asked once", async () => {
    const keys = { current: 1, asked: [] };
    const rig = await verifying(keys);
    await createTable(rig);
    rig.server.intercept = async () => answer(403, { message: "not authorized to perform" });
    const before = rig.server.requests.length;
    expect(await rejection(rig.catalog.load(NAME))).toMatchObject({ kind: "catalog_refused" });
    expect(rig.server.requests.length).toBe(before + 1);
  });
});

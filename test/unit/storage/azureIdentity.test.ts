/** Tokens of Microsoft Entra: which source is used, and what its refusals become. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { type HttpAnswer, type HttpRequest, NoAnswer } from "#base/http.ts";
import { identitySource } from "#storage/azureIdentity.ts";
import { errorOf } from "../../support/s3Rig.ts";

const GRANTED = { status: 200, headers: {}, body: '{"access_token":"t","expires_in":"3600"}' };
const clock = { ...systemClock, nowMs: () => 1000 };

function source(
  variables: Readonly<Record<string, string>>,
  answer: () => HttpAnswer = () => GRANTED,
  clientSecret: string | null = null,
) {
  const sent: HttpRequest[] = [];
  const http = {
    send: async (request: HttpRequest) => {
      sent.push(request);
      return answer();
    },
    close: () => undefined,
  };
  const variable = (name: string): string | undefined => variables[name];
  const identity = { tenantId: null, clientId: null, clientSecret, variable };
  return { sent, ...identitySource(identity, { clock, http }) };
}

describe("tokens of Microsoft Entra", () => {
  test("a service principal signs in with its secret", async () => {
    const rig = source({ AZURE_TENANT_ID: "t1", AZURE_CLIENT_ID: "c1" }, undefined, "hunter2&");
    expect(await rig.fetch()).toEqual({ token: "t", expiresOnTimestamp: 3_601_000 });
    const [request] = rig.sent;
    expect(request?.url).toBe("https://login.microsoftonline.com/t1/oauth2/v2.0/token");
    expect(new URLSearchParams(request?.body ?? "").get("client_secret")).toBe("hunter2&");
    expect(rig.who).toBe("the service principal c1");
  });

  test("a federated token is read anew for each token", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "token-")), "token");
    const variables = {
      AZURE_TENANT_ID: "t1",
      AZURE_CLIENT_ID: "c1",
      AZURE_FEDERATED_TOKEN_FILE: file,
      AZURE_AUTHORITY_HOST: "https://login.test/",
    };
    const rig = source(variables);
    for (const token of ["one", "two"]) {
      writeFileSync(file, `${token}\n`);
      await rig.fetch();
      const { url, body } = rig.sent.at(-1) ?? { url: "", body: "" };
      expect(url).toBe("https://login.test/t1/oauth2/v2.0/token");
      expect(new URLSearchParams(body ?? "").get("client_assertion")).toBe(token);
    }
  });

  test("else the machine's managed identity is asked, where it is for this kind of machine", async () => {
    const machine = source({ AZURE_CLIENT_ID: "c1" });
    await machine.fetch();
    expect(machine.sent[0]?.url).toStartWith("http://169.254.169.254/metadata/identity");
    expect(machine.sent[0]?.url).toContain("client_id=c1");
    const service = source({ IDENTITY_ENDPOINT: "http://localhost:1/x", IDENTITY_HEADER: "h" });
    await service.fetch();
    expect(service.sent[0]?.url).toStartWith("http://localhost:1/x?api-version=2019-08-01");
    expect(service.sent[0]?.headers).toEqual({ "x-identity-header": "h" });
  });

  test("a machine without an identity is told what to set; one whose identity is away is asked again", async () => {
    let away = true;
    const rig = source({}, () => {
      if (away) throw new NoAnswer("connect EHOSTUNREACH", false);
      return GRANTED;
    });
    const none = await errorOf(rig.fetch());
    expect([none.kind, none.message]).toEqual([
      "storage_refused",
      expect.stringContaining("storage.azure.account_key"),
    ]);
    away = false;
    await rig.fetch();
    away = true;
    expect((await errorOf(rig.fetch())).kind).toBe("storage_unreachable");
  });

  test("a refusal gives the reason and no secret; trouble of the server passes", async () => {
    const refused = { error: "invalid_client", error_description: "AADSTS7000215: wrong\r\nTrace" };
    let status = 401;
    const variables = { AZURE_TENANT_ID: "t1", AZURE_CLIENT_ID: "c1" };
    const answer = () => ({ status, headers: {}, body: JSON.stringify(refused) });
    const rig = source(variables, answer, "hunter2");
    const error = await errorOf(rig.fetch());
    expect(error.kind).toBe("storage_refused");
    expect(error.message).toContain("the service principal c1 (401): AADSTS7000215: wrong");
    expect(error.message).not.toMatch(/hunter2|Trace/);
    status = 503;
    expect((await errorOf(rig.fetch())).kind).toBe("storage_unreachable");
  });
});

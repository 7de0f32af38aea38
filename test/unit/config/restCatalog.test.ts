import { describe, expect, test } from "bun:test";
import { catalogOptions } from "#config/buildPipeline.ts";
import { load, loadRight } from "./helpers.ts";

const REST = '[kafka]\ntopic = "events"\n[iceberg]\ncatalog_type = "rest"\n[iceberg.rest]\n';
const NESSIE = '[kafka]\ntopic = "events"\n[iceberg]\ncatalog_type = "nessie"\n';
const URI = 'uri = "http://c.test"\n';

async function options(text: string) {
  const [pipeline] = (await loadRight(text)).pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  return catalogOptions(pipeline, false);
}

async function problems(text: string): Promise<readonly string[]> {
  return (await load(text)).problems;
}

describe("a REST catalog's settings", () => {
  test("by default: nobody signs in, reads are tried four times, credentials of the store are asked for", async () => {
    expect(await options(REST + URI)).toMatchObject({
      type: "rest",
      uri: "http://c.test",
      auth: { type: "none" },
      retry: { retriesMax: 3 },
      requestTimeoutMs: 30_000,
      connectionsMax: 5,
      vendedCredentials: true,
      remoteSigning: false,
      nessieRef: null,
    });
  });

  test("a credential is taken apart at its first colon; one without a colon is the secret", async () => {
    const auth = async (type: string, credential: string) =>
      options(`${REST}${URI}credential_type = "${type}"\ncredential = "${credential}"\n`);
    expect(await auth("basic", "u:p:w")).toMatchObject({ auth: { user: "u", password: "p:w" } });
    expect(await auth("bearer", "a:b")).toMatchObject({ auth: { type: "bearer", token: "a:b" } });
    expect(await auth("oauth2", "id:s")).toMatchObject({
      auth: { clientId: "id", clientSecret: "s", scope: "catalog", serverUri: null },
    });
    expect(await auth("oauth2", "s")).toMatchObject({ auth: { clientId: "", clientSecret: "s" } });
  });

  test("Nessie is a REST catalog with a branch, and signs in with its own token or as [iceberg.rest] says", async () => {
    const nessie = `${NESSIE}[iceberg.nessie]\nuri = "http://n.test"\nref = "dev"\nauth = "tok"\n`;
    expect(await options(nessie)).toMatchObject({
      uri: "http://n.test",
      nessieRef: "dev",
      auth: { type: "bearer", token: "tok" },
    });
    const rest = '[iceberg.rest]\ncredential_type = "oauth2"\ncredential = "id:s"\n';
    expect(await options(nessie + rest)).toMatchObject({ auth: { type: "oauth2" } });
  });

  test("certificates by their files and a proxy", async () => {
    const files = 'ca_file = "/ca"\ncert_file = "/c"\nkey_file = "/k"\nkey_password = "p"\n';
    expect(await options(`${REST}${URI}${files}proxy = "http://p:3128"\n`)).toMatchObject({
      tls: { caFile: "/ca", certFile: "/c", keyFile: "/k", keyPassword: "p" },
      proxy: "http://p:3128",
    });
  });

  for (const [what, text, wanted] of [
    [
      "a certificate without its key",
      `${REST}${URI}cert_file = "/c"\n`,
      "needs iceberg.rest.key_file",
    ],
    [
      "a key without its certificate",
      `${REST}${URI}key_file = "/k"\n`,
      "needs iceberg.rest.cert_file",
    ],
    [
      "a proxy that is no URL",
      `${REST}${URI}proxy = "p:3128"\n`,
      "iceberg.rest.proxy: must be http",
    ],
    ["without an address", REST, 'iceberg.catalog_type: "rest" needs iceberg.rest.uri'],
    ["Nessie without one", NESSIE, 'iceberg.catalog_type: "nessie" needs iceberg.nessie.uri'],
    ["with no URL", `${REST}uri = "c:1"\n`, "iceberg.rest.uri: must be a URL that begins with"],
    ["with a user in the URL", `${REST}uri = "http://u:p@c.test"\n`, "holds a user"],
    [
      "with a way to sign in, without a credential",
      `${REST}${URI}credential_type = "bearer"\n`,
      '"bearer" needs iceberg.rest.credential',
    ],
    [
      "with a credential for nothing",
      `${REST}${URI}credential = "x"\n`,
      "needs iceberg.rest.credential_type",
    ],
    [
      "basic without a user",
      `${REST}${URI}credential_type = "basic"\ncredential = "x"\n`,
      'must be "user:password"',
    ],
  ] as const) {
    test(`${what} is told by name`, async () => {
      const found = await problems(text);
      expect(found.join("\n")).toContain(wanted);
      expect(found).toHaveLength(1);
      expect(found.join("\n")).not.toContain("u:p@");
    });
  }
});

describe("SigV4", () => {
  const signed = (uri: string, more = "") =>
    `${REST}uri = "${uri}"\ncredential_type = "sigv4"\n${more}`;

  test("service and region are those of the address, unless set", async () => {
    const auth = async (uri: string, more = "") => options(signed(uri, more));
    expect(await auth("https://glue.eu-west-1.amazonaws.com/iceberg")).toMatchObject({
      auth: { type: "sigv4", service: "glue", region: "eu-west-1" },
    });
    expect(await auth("https://s3tables.us-east-2.amazonaws.com/iceberg")).toMatchObject({
      auth: { service: "s3tables", region: "us-east-2" },
    });
    expect(await auth("https://a1.execute-api.us-west-2.amazonaws.com/prod")).toMatchObject({
      auth: { service: "execute-api", region: "us-west-2" },
    });
    const own = 'signing_name = "glue"\nsigning_region = "us-east-1"\n';
    expect(await auth("http://localhost:8181", own)).toMatchObject({
      auth: { service: "glue", region: "us-east-1" },
    });
  });

  test("an address without a region, and a credential that would not be used, are refused", async () => {
    const found = await problems(signed("http://localhost:8181", 'credential = "x"\n'));
    expect(found).toEqual([
      expect.stringContaining("needs iceberg.rest.signing_region"),
      expect.stringContaining("is not used with sigv4"),
    ]);
  });
});

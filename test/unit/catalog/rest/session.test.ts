import { describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import { systemClock } from "#base/clock.ts";
import { AnswerTooLarge, createHttp, maybeSent, NoAnswer } from "#base/http.ts";
import { answer, lost, type RestFake, refusal } from "../../../fakes/restServer.ts";
import { rejection } from "../../../support/rejection.ts";
import { append, createTable, NAME, restRig } from "../../../support/restRig.ts";

const OAUTH = {
  type: "oauth2",
  clientId: "us",
  clientSecret: "s3cret",
  serverUri: null,
  scope: "catalog",
} as const;

/** Gives tokens that live so many seconds and asks them of every other request. */
function guard(server: RestFake, seconds: number): { good: Set<string>; given: string[] } {
  const tokens = { good: new Set<string>(), given: [] as string[] };
  server.intercept = async (request) => {
    if (request.url.endsWith("/oauth/tokens")) {
      const token = `token-${tokens.given.length}`;
      tokens.given.push(token);
      tokens.good.add(token);
      return answer(200, { access_token: token, expires_in: seconds });
    }
    const known = tokens.good.has((request.headers["authorization"] ?? "").slice("Bearer ".length));
    return known ? null : refusal(401, "NotAuthorizedException");
  };
  return tokens;
}

describe("the server's configuration", () => {
  test("decides prefix, address, separator and headers; our own prefix only where it is silent", async () => {
    const rig = await restRig({ prefix: "ours", warehouse: "wh 1" }, (server) => {
      server.config = {
        defaults: { prefix: "default" },
        overrides: { "namespace-separator": "%2E", "header.x-team": "data" },
      };
      server.intercept = async (request) =>
        request.url.includes("/config") ? null : answer(404, {});
    });
    await rejection(rig.catalog.load({ namespace: ["a", "b"], table: "t/1".replace("/", "-") }));
    const [config, load] = rig.server.requests;
    expect(config?.url).toBe("http://rest.test/v1/config?warehouse=wh%201");
    expect(load?.url).toBe("http://rest.test/v1/ours/namespaces/a%2Eb/tables/t-1?snapshots=all");
    expect(load?.headers["x-team"]).toBe("data");
  });

  test("a server that lists its endpoints without loading a table is refused by name", async () => {
    const opening = restRig({}, (server) => {
      server.config = { endpoints: ["GET /v1/{prefix}/namespaces"] };
    });
    expect((await rejection(opening)).message).toContain(
      "does not offer GET /v1/{prefix}/namespaces",
    );
  });

  test("Nessie under another name is refused, with the setting that it needs", async () => {
    const opening = restRig({}, (server) => {
      server.config = { overrides: { "nessie.is-nessie-catalog": "true" } };
    });
    expect(await rejection(opening)).toMatchObject({ kind: "usage" });
    const rig = await restRig({ nessieRef: "dev/1", uri: "http://n.test/iceberg" }, (server) => {
      server.intercept = async () => answer(200, server.config);
    });
    expect(rig.server.requests[0]?.url).toBe("http://n.test/iceberg/dev%2F1/v1/config");
    expect(rig.catalog.traits).toMatchObject({ type: "nessie", showsAncestors: false });
  });
});

describe("reads", () => {
  test("whose answer is larger than is read are asked once, and say what to do", async () => {
    const rig = await restRig();
    await createTable(rig);
    let asked = 0;
    rig.server.intercept = async () => {
      asked++;
      throw new AnswerTooLarge(1000);
    };
    const error = await rejection(rig.catalog.load(NAME));
    expect(error).toMatchObject({ kind: "catalog_refused" });
    expect(error.message).toContain("larger than 1000 bytes");
    expect(error.message).toContain("expire snapshots");
    expect(asked).toBe(1);
  });

  test("are asked again while the server is away, and then say so", async () => {
    const rig = await restRig();
    await createTable(rig);
    let left = 2;
    rig.server.intercept = async () => {
      if (left-- > 0) throw lost();
      return null;
    };
    expect((await rig.catalog.load(NAME))?.name).toEqual(NAME);
    rig.server.intercept = async () => refusal(503, "ServiceUnavailable", "later");
    const error = await rejection(rig.catalog.load(NAME));
    expect(error).toMatchObject({ kind: "catalog_unreachable" });
    expect(error.message).toContain("HTTP 503 ServiceUnavailable: later");
  });

  test("a 404 that is not the protocol's is no missing table", async () => {
    const rig = await restRig();
    expect(await rig.catalog.load(NAME)).toBeNull();
    rig.server.intercept = async () => ({ status: 404, headers: {}, body: "<html>nginx</html>" });
    expect((await rejection(rig.catalog.load(NAME))).message).toContain("is its uri right?");
  });

  test("a head that has not changed is not sent again, and one that has is", async () => {
    const rig = await restRig();
    await createTable(rig);
    const first = await rig.catalog.load(NAME);
    expect(rig.server.requests.at(-1)?.headers["if-none-match"]).toBe(
      `"${first?.metadataLocation}"`,
    );
    expect(await rig.catalog.load(NAME)).toBe(first);
    await append(rig, 7n);
    expect((await rig.catalog.load(NAME))?.metadata.currentSnapshotId).toBe(7n);
  });

  test("after a commit of ours the server need not send the head that we made", async () => {
    const rig = await restRig();
    await createTable(rig);
    const outcome = await append(rig, 7n);
    if (outcome.kind !== "committed") throw new Error(outcome.kind);
    expect(await rig.catalog.load(NAME)).toBe(outcome.table);
  });

  test("listings are read page by page", async () => {
    const rig = await restRig();
    await createTable(rig);
    const { sampleTable } = await import("../../../support/icebergSamples.ts");
    for (const table of ["a", "z"]) {
      const uuid = crypto.randomUUID();
      const metadataAt = (location: string) => sampleTable(location, { uuid });
      await rig.catalog.create({ name: { namespace: ["db"], table }, metadataAt });
    }
    expect((await rig.catalog.list(["db"])).map(({ table }) => table)).toEqual(["a", "t", "z"]);
  });

  test("a listing whose next page is always the same one ends with an error", async () => {
    const rig = await restRig();
    rig.server.intercept = async () =>
      answer(200, { identifiers: [{ namespace: ["db"], name: "t" }], "next-page-token": "more" });
    expect(await rejection(rig.catalog.list(["db"]))).toMatchObject({
      kind: "catalog_unreachable",
    });
    expect(rig.server.count("GET", /tables$/)).toBe(2);
  });
});

describe("signing in", () => {
  test("bearer, basic and own headers are sent with every request, that for the configuration too", async () => {
    const bearer = await restRig({
      auth: { type: "bearer", token: "tok" },
      headers: { "x-a": "b" },
    });
    expect(bearer.server.requests[0]?.headers).toMatchObject({
      authorization: "Bearer tok",
      "x-a": "b",
    });
    const basic = await restRig({ auth: { type: "basic", user: "u", password: "p:w" } });
    expect(basic.server.requests[0]?.headers["authorization"]).toBe(`Basic ${btoa("u:p:w")}`);
  });

  test("a token serves until three quarters of its life, then another one is fetched", async () => {
    let tokens: ReturnType<typeof guard> | null = null;
    const rig = await restRig({ auth: OAUTH }, (server) => {
      tokens = guard(server, 5);
    });
    await createTable(rig);
    expect(tokens).toMatchObject({ given: ["token-0"] });
    rig.passMs(3800);
    await rig.catalog.load(NAME);
    expect(tokens).toMatchObject({ given: ["token-0", "token-1"] });
    const form = rig.server.requests.find(({ url }) => url.endsWith("/oauth/tokens"))?.body;
    expect(form).toBe(
      "grant_type=client_credentials&client_id=us&client_secret=s3cret&scope=catalog",
    );
  });

  test("401 and 419 fetch a token once more; a commit that met one is sent again, and lands", async () => {
    let tokens: ReturnType<typeof guard> | undefined;
    const rig = await restRig({ auth: OAUTH }, (server) => {
      tokens = guard(server, 3600);
    });
    await createTable(rig);
    tokens?.good.clear();
    await rig.catalog.load(NAME);
    tokens?.good.clear();
    expect((await append(rig, 7n)).kind).toBe("committed");
    expect(tokens?.given).toHaveLength(3);
  });

  test("a refused client is told with its id, never with its secret", async () => {
    const opening = restRig({ auth: OAUTH }, (server) => {
      server.intercept = async () => answer(401, { error: "invalid_client" });
    });
    const error = await rejection(opening);
    expect(error).toMatchObject({ kind: "catalog_refused" });
    expect(error.message).toContain("refused client us (HTTP 401 invalid_client)");
    expect(error.message).not.toContain("s3cret");
  });

  test("a token that stays refused stops, and names the key", async () => {
    const opening = restRig({ auth: { type: "bearer", token: "tok" } }, (server) => {
      server.intercept = async () => refusal(401, "NotAuthorizedException", "expired");
    });
    const error = await rejection(opening);
    expect(error.message).toContain("check iceberg.rest.credential");
    expect(error.message).not.toContain("tok:");
  });
});

describe("the network", () => {
  test("a request whose kept connection breaks is sent once, and says that it may have arrived", async () => {
    let arrived = 0;
    const server = createServer((request, response) => {
      arrived++;
      if (request.url === "/first") response.end("{}");
      else request.socket.destroy();
    });
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    const http = createHttp({ clock: systemClock, timeoutMs: 5000, connectionsMax: 1 });
    const post = { method: "POST", headers: {}, body: "{}" } as const;
    const base = `http://127.0.0.1:${port}`;
    try {
      expect((await http.send({ ...post, url: `${base}/first` })).status).toBe(200);
      const broken = http.send({ ...post, url: `${base}/second` });
      expect(await rejectedWith(broken)).toMatchObject({ maybeSent: true });
      expect(arrived).toBe(2);
    } finally {
      http.close();
      server.close();
    }
    const closed = http.send({ ...post, url: `${base}/third` });
    expect(await rejectedWith(closed)).toMatchObject({ maybeSent: false });
  });

  test("a failure of an open connection may have been sent, also with the code of one that was never made", () => {
    for (const code of ["EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED"]) {
      for (const syscall of ["read", "write", undefined]) {
        expect(maybeSent(Object.assign(new Error(code), { code, syscall }))).toBe(true);
      }
      expect(maybeSent(Object.assign(new Error(code), { code, syscall: "connect" }))).toBe(false);
    }
    expect(maybeSent(Object.assign(new Error("no name"), { syscall: "getaddrinfo" }))).toBe(false);
    expect(maybeSent(null)).toBe(true);
  });
});

async function rejectedWith(promise: Promise<unknown>): Promise<NoAnswer> {
  const error: unknown = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof NoAnswer) return error;
  throw new Error(`no NoAnswer but ${String(error)}`);
}

/**
 * The REST catalog over TLS as it is in the field: a CA of one's own, a server that asks for our
 * certificate, a proxy that TLS passes by a tunnel. Server and proxy are Node's, on loopback.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  createServer as createProxy,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { RestCatalogOptions, TlsFiles } from "#catalog/rest/options.ts";
import { createRestCatalog } from "#catalog/rest/restCatalog.ts";
import { type Certificates, makeCertificates } from "../../scripts/services/certificates.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { createMemoryStorage } from "../fakes/memoryStorage.ts";
import { createRestFake } from "../fakes/restServer.ts";
import { restOptions } from "../support/catalogPlaces.ts";
import { rejection } from "../support/rejection.ts";

const NO_FILES: TlsFiles = { caFile: null, certFile: null, keyFile: null, keyPassword: null };
const storage = createMemoryStorage();
const fake = createRestFake(storage);

let files: Certificates;
let server: Server;
let proxy: Server;
let tunnels = 0;

beforeAll(async () => {
  files = await makeCertificates(await temporaryFolder("rest-tls"), true);
  const own = await Bun.file(files.serverKeyStore).text();
  const ca = await Bun.file(files.ca).text();
  const asks = { key: own, cert: own, ca, requestCert: true, rejectUnauthorized: true };
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url } = request;
    const body = await text(request);
    const answer = await fake.http.send({
      method: method === "POST" ? "POST" : "GET",
      url: `https://rest.test${url}`,
      headers: headersOf(request),
      body: body === "" ? null : body,
    });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
  };
  server = createServer(asks, (request, response) => void pass(request, response));
  proxy = createProxy().on("connect", ({ url = "" }, socket) => {
    tunnels++;
    const [host = "", port] = url.split(":");
    const onward = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    onward.on("error", () => socket.destroy());
    socket.on("error", () => onward.destroy());
  });
  await Promise.all([server, proxy].map(listens));
});

afterAll(() => {
  for (const each of [server, proxy]) {
    each?.close();
    each?.closeAllConnections();
  }
});

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

function listens(each: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  each.listen(0, "127.0.0.1", resolve);
  return promise;
}

function portOf(each: Server): number {
  return (each.address() as AddressInfo).port;
}

/** Opens a catalog and looks for a table that is not there. */
async function asks(over: Partial<RestCatalogOptions>): Promise<unknown> {
  const uri = `https://127.0.0.1:${portOf(server)}`;
  const parts = { storage, storageWith: () => storage, clock: systemClock };
  const catalog = createRestCatalog(restOptions(uri, over), {
    ...parts,
    random: systemRandom,
    log: silentLogger,
  });
  try {
    await catalog.open();
    return await catalog.load({ namespace: ["db"], table: "t" });
  } finally {
    await catalog.close();
  }
}

function client(): TlsFiles {
  const { cert: certFile, key: keyFile } = files.client;
  return { ...NO_FILES, caFile: files.ca, certFile, keyFile };
}

test("a server is trusted by our CA and shown our certificate, also one with an encrypted key", async () => {
  expect(await asks({ tls: client() })).toBeNull();
  const { encryptedClientKey: keyFile, clientKeyPassword: keyPassword } = files;
  expect(await asks({ tls: { ...client(), keyFile, keyPassword } })).toBeNull();
});

test("without our CA, without a certificate, or with one that has ended, nothing is asked", async () => {
  const before = fake.requests.length;
  const { cert: certFile, key: keyFile } = files.expiredClient;
  for (const tls of [
    NO_FILES,
    { ...client(), caFile: files.foreignCa },
    { ...client(), certFile: null, keyFile: null },
    { ...client(), certFile, keyFile },
  ]) {
    expect(await rejection(asks({ tls }))).toMatchObject({ kind: "catalog_unreachable" });
  }
  expect(fake.requests.length).toBe(before);
});

test("a file that is missing or is no PEM is named with its key", async () => {
  for (const [over, key] of [
    [{ caFile: "/nowhere/ca.pem" }, "ca_file"],
    [{ keyFile: files.ca }, "key_file"],
  ] as const) {
    const error = await rejection(asks({ tls: { ...client(), ...over } }));
    expect(error).toMatchObject({ kind: "usage" });
    expect(error.message).toContain(`iceberg.rest.${key}`);
  }
});

test("a proxy is passed by a tunnel, whose connection is kept", async () => {
  expect(await asks({ tls: client(), proxy: `http://127.0.0.1:${portOf(proxy)}` })).toBeNull();
  expect(tunnels).toBe(1);
});

test("a proxy that is away: nothing was sent", async () => {
  const before = fake.requests.length;
  const error = await rejection(asks({ tls: client(), proxy: "http://127.0.0.1:1" }));
  expect(error).toMatchObject({ kind: "catalog_unreachable" });
  expect(fake.requests.length).toBe(before);
});

/**
 * A throw-away certificate authority for tests: server, client, expired and foreign certificates.
 *
 * Made by the openssl command; all files are PEM, keys PKCS #8 (unencrypted but for one).
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./process.ts";

/** A certificate and its key, as PEM files. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Paths of the files made by {@link makeCertificates}. */
export interface Certificates {
  /** The authority that the server's and the clients' certificates come from. */
  readonly ca: string;
  /** An authority that nobody here trusts. */
  readonly foreignCa: string;
  /** Server key and certificate in one file, as Kafka's PEM key store wants it. */
  readonly serverKeyStore: string;
  /** CN=reader. */
  readonly client: KeyPair;
  /** The same key as `client`, encrypted with `clientKeyPassword`. */
  readonly encryptedClientKey: string;
  readonly clientKeyPassword: string;
  /** CN=reader, but expired yesterday. */
  readonly expiredClient: KeyPair;
  /** CN=reader, signed by the foreign authority. */
  readonly foreignClient: KeyPair;
}

const PASSWORD = "key-secret-29";

/** Makes them all in `folder`; with `fresh` false only names the files that are there. */
export async function makeCertificates(folder: string, fresh: boolean): Promise<Certificates> {
  const file = (name: string): string => join(folder, name);
  const pair = (name: string): KeyPair => ({ cert: file(`${name}.pem`), key: file(`${name}.key`) });
  const all: Certificates = {
    ca: file("ca.pem"),
    foreignCa: file("foreign-ca.pem"),
    serverKeyStore: file("server-store.pem"),
    client: pair("client"),
    encryptedClientKey: file("client-encrypted.key"),
    clientKeyPassword: PASSWORD,
    expiredClient: pair("expired"),
    foreignClient: pair("foreign"),
  };
  if (!fresh) return all;
  const own = await authority(folder, "ca");
  const foreign = await authority(folder, "foreign-ca");
  await signed(pair("server"), own, "127.0.0.1", 30);
  await signed(all.client, own, "reader", 30);
  await signed(all.expiredClient, own, "reader", -1);
  await signed(all.foreignClient, foreign, "reader", 30);
  const server = pair("server");
  const store = (await Bun.file(server.key).text()) + (await Bun.file(server.cert).text());
  writeFileSync(all.serverKeyStore, store);
  await run(
    ["openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", all.client.key].concat([
      "-out",
      all.encryptedClientKey,
      "-passout",
      `pass:${PASSWORD}`,
    ]),
  );
  return all;
}

async function authority(folder: string, name: string): Promise<KeyPair> {
  const pair = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  const subject = ["-subj", `/CN=kafka-iceberg test ${name}`, "-days", "30"];
  const out = ["-keyout", pair.key, "-out", pair.cert];
  await run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", ...subject, ...out]);
  return pair;
}

async function signed(pair: KeyPair, by: KeyPair, name: string, days: number): Promise<void> {
  const request = `${pair.cert}.csr`;
  const extensions = `${pair.cert}.ext`;
  writeFileSync(extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  const subject = ["-subj", `/CN=${name}`];
  const out = ["-keyout", pair.key, "-out", request];
  await run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", ...subject, ...out]);
  await run(
    ["openssl", "x509", "-req", "-in", request, "-CA", by.cert, "-CAkey", by.key].concat([
      "-CAcreateserial",
      "-days",
      String(days),
      "-extfile",
      extensions,
      "-out",
      pair.cert,
    ]),
  );
}

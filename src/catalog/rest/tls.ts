/**
 * Certificates of a connection, read from their files when the catalog is opened: a renewed one counts
 * from the next start on.
 */
import { readFile } from "node:fs/promises";
import { describe, fail } from "#base/errors.ts";
import type { Route } from "#base/http.ts";
import type { TlsFiles } from "./options.ts";

/** Reads what is given. Throws `usage` for a file that cannot be read or is no PEM. */
export async function readTls(files: TlsFiles): Promise<Pick<Route, "ca" | "client">> {
  const { caFile, certFile, keyFile, keyPassword } = files;
  const ca = caFile === null ? null : await pem("ca_file", caFile, "CERTIFICATE");
  if (certFile === null || keyFile === null) return ca === null ? {} : { ca };
  const client = {
    cert: await pem("cert_file", certFile, "CERTIFICATE"),
    key: await pem("key_file", keyFile, "PRIVATE KEY"),
    ...(keyPassword !== null && { passphrase: keyPassword }),
  };
  return ca === null ? { client } : { ca, client };
}

async function pem(key: string, file: string, block: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    const sentence = `iceberg.rest.${key}: ${file} cannot be read: ${describe(cause)}`;
    throw fail("usage", sentence, {}, cause);
  }
  if (new RegExp(`-----BEGIN (?:[A-Z0-9]+ )*${block}-----`).test(text)) return text;
  throw fail("usage", `iceberg.rest.${key}: ${file} has no block -----BEGIN ${block}-----`);
}

/**
 * Certificates and keys that the configuration names as files. A file of another kind is told at the
 * start: TLS itself would say so at each connection only, as a broker that cannot be reached.
 */
import { fail } from "#base/errors.ts";
import type { Environment } from "./environment.ts";

/** Blocks of a PEM file (RFC 7468) that a key of the configuration wants. */
const BLOCKS: Readonly<Record<"certificate" | "key", RegExp>> = {
  certificate: /-----BEGIN (?:[A-Z0-9]+ )*CERTIFICATE-----/,
  key: /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/,
};

/** The text of a PEM file. Throws `usage` when it cannot be read or holds no block of that kind. */
export async function readPem(
  environment: Environment,
  path: string,
  kind: keyof typeof BLOCKS,
): Promise<string> {
  const text = await environment.file(path);
  if (BLOCKS[kind].test(text)) return text;
  const wanted = kind === "key" ? "PRIVATE KEY" : "CERTIFICATE";
  throw fail("usage", `${path} is no PEM file with a block -----BEGIN ${wanted}-----`);
}

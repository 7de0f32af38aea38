/**
 * Asks a REST catalog for the signature of one request to S3 (the protocol's `s3-signer-open-api`):
 * method, address, region and headers go there, address and headers with the signature come back.
 */
import { fail } from "#base/errors.ts";
import { writeJson } from "#base/json.ts";
import type { SignedRequest, UnsignedRequest } from "#storage/s3Signer.ts";
import { membersOf, messageOf, type RestSession } from "./session.ts";
import type { SignerAddress } from "./vendedStore.ts";

/**
 * Throws `storage_refused` with the status when the catalog does not sign the request; what
 * {@link RestSession.read} throws.
 */
export async function signatureOf(
  session: RestSession,
  { uri, endpoint }: SignerAddress,
  request: UnsignedRequest,
): Promise<SignedRequest> {
  const { method, region, headers, body } = request;
  const listed = Object.entries(headers).map(([name, value]) => [name, [value]] as const);
  const question = writeJson({
    method,
    region,
    uri: request.uri,
    headers: Object.fromEntries(listed),
    properties: {},
    ...(body === null ? {} : { body }),
  });
  const what = "a signature";
  const address = addressOf(uri ?? session.base, endpoint);
  const answer = await session.read(what, address, {}, question);
  if (answer.status !== 200) {
    const { pathname } = new URL(request.uri);
    const said = `HTTP ${answer.status} ${messageOf(answer)}`.trim();
    const sentence = `The catalog ${session.place} does not sign ${method} of ${pathname} (${said})`;
    throw fail("storage_refused", sentence, { status: answer.status });
  }
  const signed = membersOf(session.parse(what, answer));
  const given = Object.entries(membersOf(signed["headers"])).map(
    ([name, values]) => [name, [values].flat().map(String).join(",")] as const,
  );
  return { uri: String(signed["uri"] ?? request.uri), headers: Object.fromEntries(given) };
}

function addressOf(base: string, endpoint: string): string {
  if (/^https?:/.test(endpoint)) return endpoint;
  return `${base.replace(/\/+$/, "")}/${endpoint.replace(/^\/+/, "")}`;
}

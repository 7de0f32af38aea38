/**
 * An OAuth 2 token endpoint (client credentials) for tests of SASL OAUTHBEARER.
 *
 * Issues unsecured JSON Web Tokens (`alg: none`), which a broker set up by kafkaSecurity.ts takes.
 */

/** A running token endpoint. */
export interface TokenEndpoint {
  readonly url: string;
  readonly clientSecret: string;
  /** Tokens issued so far. */
  issued(): number;
  stop(): Promise<void>;
}

/**
 * Starts a token endpoint; the token's subject is the client id.
 * @param lifetimeSeconds life of each token, default 3600; short ones force a refresh
 */
export function startTokenEndpoint(lifetimeSeconds: number = 3600): TokenEndpoint {
  const clientSecret = "token-secret-43";
  let issued = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const form = new URLSearchParams(await request.text());
      const [id, secret] = credentials(request.headers.get("authorization"), form);
      if (form.get("grant_type") !== "client_credentials" || secret !== clientSecret) {
        return Response.json({ error: "invalid_client" }, { status: 401 });
      }
      issued++;
      const token = unsecuredToken(id, lifetimeSeconds);
      return Response.json({
        access_token: token,
        token_type: "Bearer",
        expires_in: lifetimeSeconds,
      });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/token`,
    clientSecret,
    issued: () => issued,
    stop: () => server.stop(true),
  };
}

/** Client id and secret, from HTTP Basic or from the form. */
function credentials(header: string | null, form: URLSearchParams): [string, string] {
  if (header?.startsWith("Basic ")) {
    const plain = Buffer.from(header.slice(6), "base64").toString();
    const colon = plain.indexOf(":");
    return [decodeURIComponent(plain.slice(0, colon)), decodeURIComponent(plain.slice(colon + 1))];
  }
  return [form.get("client_id") ?? "", form.get("client_secret") ?? ""];
}

function unsecuredToken(subject: string, lifetimeSeconds: number): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: subject, iat: now, exp: now + lifetimeSeconds };
  return `${part({ alg: "none" })}.${part(claims)}.`;
}

/**
 * SASL and TLS: our options in kafkajs's form, OAuth tokens with refresh, and one clear sentence
 * for each way in which a broker can refuse or be out of reach.
 */
import { X509Certificate } from "node:crypto";
import type { Clock } from "#base/clock.ts";
import { type AppError, describe, fail } from "#base/errors.ts";
import type { SaslOptions, Settings, SslOptions } from "#consumer/options.ts";

/** `tls.connect` options; null for plain text. */
export function tlsOptions(settings: Settings): Record<string, unknown> | null {
  const { ssl } = settings;
  if (ssl === null) return null;
  return {
    ...(ssl.ca === undefined ? {} : { ca: ssl.ca }),
    ...(ssl.cert === undefined ? {} : { cert: ssl.cert }),
    ...(ssl.key === undefined ? {} : { key: ssl.key }),
    ...(ssl.keyPassword === undefined ? {} : { passphrase: ssl.keyPassword }),
    ...(ssl.serverName === undefined ? {} : { servername: ssl.serverName }),
    rejectUnauthorized: true,
  };
}

/** kafkajs's `sasl` options; a fresh object per connection, because kafkajs writes into it. */
export function saslOptions(
  sasl: SaslOptions | null,
  token: () => Promise<string>,
): Record<string, unknown> | null {
  if (sasl === null) return null;
  if (sasl.mechanism === "oauthbearer" || sasl.mechanism === "aws-msk-iam") {
    return {
      mechanism: "oauthbearer",
      oauthBearerProvider: async () => ({ value: await token() }),
    };
  }
  return { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password };
}

/** The name under which we log in, for messages. */
export function userOf(settings: Settings): string {
  const { sasl } = settings;
  if (sasl === null) return settings.ssl?.cert === undefined ? "anonymous" : "the TLS client";
  switch (sasl.mechanism) {
    case "oauthbearer":
      return sasl.clientId;
    case "aws-msk-iam":
      return sasl.roleArn ?? "the AWS identity";
    default:
      return sasl.username;
  }
}

/**
 * A function that answers a valid OAuth token, asked for anew at 80 % of its life (RFC 6749 4.4).
 * It throws `kafka_unreachable` when the endpoint has not answered in full within `timeoutMs`, and
 * `kafka_refused` when it refuses. For Amazon MSK it signs the token itself.
 */
export function tokenSource(
  sasl: SaslOptions | null,
  clock: Clock,
  timeoutMs: number,
): () => Promise<string> {
  let cached = { token: "", refreshAtMs: 0 };
  const ask = tokensOf(sasl, clock, timeoutMs);
  return async () => {
    if (clock.nowMs() < cached.refreshAtMs) return cached.token;
    const { token, lifeMs } = await ask();
    cached = { token, refreshAtMs: clock.nowMs() + lifeMs * 0.8 };
    return cached.token;
  };
}

interface Token {
  readonly token: string;
  readonly lifeMs: number;
}

/** What makes tokens; the SDK of AWS is loaded with the first of its own. */
function tokensOf(sasl: SaslOptions | null, clock: Clock, timeoutMs: number): () => Promise<Token> {
  let sign: (() => Promise<Token>) | null = null;
  switch (sasl?.mechanism) {
    case "aws-msk-iam":
      return async () => {
        const { mskTokens } = await import("#aws/mskToken.ts");
        sign ??= mskTokens(sasl, clock);
        return sign();
      };
    case "oauthbearer":
      return async () => {
        const answer = await within(clock, timeoutMs, (signal) => askToken(sasl, signal));
        return { token: answer.access_token, lifeMs: (answer.expires_in ?? 300) * 1000 };
      };
    default:
      return () => Promise.reject(fail("internal", "No OAuth login is configured"));
  }
}

/** Runs `action`, whose signal aborts after `timeoutMs`. */
async function within<T>(
  clock: Clock,
  timeoutMs: number,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  void clock.sleep(timeoutMs, done.signal).then(() => {
    if (!done.signal.aborted) late.abort(new Error(`No answer within ${timeoutMs} ms`));
  });
  try {
    return await action(late.signal);
  } finally {
    done.abort();
  }
}

async function askToken(
  sasl: Extract<SaslOptions, { mechanism: "oauthbearer" }>,
  signal: AbortSignal,
): Promise<{ access_token: string; expires_in?: number }> {
  const form = new URLSearchParams({ grant_type: "client_credentials" });
  if (sasl.scope !== undefined) form.set("scope", sasl.scope);
  const credentials = `${encodeURIComponent(sasl.clientId)}:${encodeURIComponent(sasl.clientSecret)}`;
  const context = { endpoint: sasl.tokenEndpoint, clientId: sasl.clientId };
  const response = await fetch(sasl.tokenEndpoint, {
    method: "POST",
    body: form,
    headers: { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` },
    signal,
  }).catch((error: unknown) => {
    throw fail("kafka_unreachable", unanswered(signal), context, error);
  });
  if (response.status >= 500 || response.status === 429) {
    throw fail(
      "kafka_unreachable",
      `The OAuth token endpoint answered ${response.status}`,
      context,
    );
  }
  const body = (await response.json().catch((error: unknown) => {
    if (signal.aborted) throw fail("kafka_unreachable", unanswered(signal), context, error);
    return null;
  })) as { access_token?: unknown; expires_in?: unknown } | null;
  if (!response.ok || typeof body?.access_token !== "string") {
    const sentence = `The OAuth token endpoint refused client ${sasl.clientId} (HTTP ${response.status})`;
    throw fail("kafka_refused", sentence, context);
  }
  return typeof body.expires_in === "number"
    ? { access_token: body.access_token, expires_in: body.expires_in }
    : { access_token: body.access_token };
}

function unanswered(signal: AbortSignal): string {
  return signal.aborted
    ? "The OAuth token endpoint did not answer in time"
    : "The OAuth token endpoint cannot be reached";
}

const TLS_CODE =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS|ERR_SSL|ERR_OSSL|ERR_BORING|HOSTNAME)/;
const TLS_TEXT = /certificate|self.signed|handshake|hostname|altname|\btls\b|\bssl\b|alert/i;

/**
 * What went wrong while a connection was opened, as one sentence: `kafka_refused` when a person
 * must act, else `kafka_unreachable`.
 * @param address `host:port`
 * @param phase how far the opening had come
 */
export function explainConnect(
  error: unknown,
  address: string,
  settings: Settings,
  phase: "connect" | "hello" | "login",
): AppError {
  const name = error instanceof Error ? error.name : "";
  const { code, type } = error as { code?: string | number; type?: string };
  const text = describe(error);
  const context = { broker: address, user: userOf(settings) };
  if (name === "AppError") return error as AppError;
  if (name.includes("SASL") || type === "SASL_AUTHENTICATION_FAILED" || phase === "login") {
    return explainLogin(error, text, address, settings);
  }
  if (settings.ssl !== null && (TLS_CODE.test(String(code)) || TLS_TEXT.test(text))) {
    const sentence = `TLS with Kafka broker ${address} failed: ${tlsReason(String(code), text, settings.ssl)}`;
    return fail("kafka_refused", sentence, context, error);
  }
  if (phase === "hello") {
    const hint =
      settings.ssl === null
        ? "does this listener expect TLS?"
        : "it may want a client certificate that it trusts, or this listener has no TLS";
    const sentence = `Kafka broker ${address} closed the connection at the first request: ${hint}`;
    return fail(
      settings.ssl === null ? "kafka_unreachable" : "kafka_refused",
      sentence,
      context,
      error,
    );
  }
  return fail("kafka_unreachable", `Kafka broker ${address} cannot be reached`, context, error);
}

/** UNSUPPORTED_SASL_MECHANISM. */
const UNSUPPORTED_MECHANISM = 33;

function explainLogin(error: unknown, text: string, address: string, settings: Settings): AppError {
  const user = userOf(settings);
  const mechanism = settings.sasl?.mechanism.toUpperCase() ?? "";
  const context = { broker: address, user, mechanism };
  const { code } = error as { code?: unknown };
  if (code === UNSUPPORTED_MECHANISM || text.includes("is not supported by the server")) {
    const sentence = `Kafka broker ${address} does not offer SASL mechanism ${mechanism}`;
    return fail("kafka_refused", sentence, context);
  }
  if (
    /closed|ECONNRESET|Not connected|timeout/i.test(text) &&
    !/authentication failed/i.test(text)
  ) {
    const sentence = `Kafka broker ${address} closed the connection during the login of ${user}`;
    return fail("kafka_unreachable", sentence, context, error);
  }
  const sentence = `Kafka broker ${address} refused the login of user ${user} (SASL ${mechanism})`;
  return fail("kafka_refused", sentence, context);
}

function tlsReason(code: string, text: string, ssl: SslOptions): string {
  if (/ALERT.*(CERTIFICATE|CA$|_CA\b)/.test(text)) return clientCertificate(ssl);
  if (/EXPIRED/.test(code) || /expired/i.test(text)) return "the broker's certificate has expired";
  if (/ALTNAME|HOSTNAME/.test(code) || /altname|hostname/i.test(text)) {
    return "the broker's certificate is for another host name";
  }
  if (/UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED/.test(code) || /self.signed|unable to/i.test(text)) {
    return "the broker's certificate was signed by an authority that we do not trust";
  }
  return text;
}

/** The broker's complaint about our side, with what a person needs to judge it. */
function clientCertificate({ cert }: SslOptions): string {
  if (cert === undefined) return "it demands a client certificate (kafka.ssl.cert_file)";
  const { subject, issuer, validTo } = new X509Certificate(cert);
  return `it does not accept our client certificate (${subject}, signed by ${issuer}, valid until ${validTo})`;
}

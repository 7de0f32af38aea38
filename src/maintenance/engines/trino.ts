/**
 * Statements in the user's own Trino, by its client protocol (https://trino.io/docs/current/develop/client-protocol.html):
 * a statement is sent, then each answer says where the next one is, until one does not.
 */

import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { type Http, type HttpAnswer, type HttpRequest, NoAnswer } from "#base/http.ts";
import { type Json, parseJson } from "#base/json.ts";

/** Where Trino is, and who asks. */
export interface TrinoOptions {
  /** E.g. `http://trino:8080`. */
  readonly url: string;
  readonly user: string;
}

interface Answer {
  readonly nextUri?: string;
  readonly error?: { readonly message?: string; readonly errorName?: string };
}

/** Of an answer that says that the server is busy. */
const BUSY = [502, 503, 504];
const AGAIN_MS = 100;
const BUSY_MAX = 100;

/**
 * Runs a statement to its end.
 * @throws AppError `query` with Trino's own sentence, `query_engine` for an answer that is none,
 *   `process_unreachable` when it does not answer, `stopped`
 */
export async function runInTrino(
  parts: { readonly http: Http; readonly clock: Clock },
  { url, user }: TrinoOptions,
  statement: string,
  stop: AbortSignal,
): Promise<void> {
  const headers = { "x-trino-user": user, "x-trino-source": "kafka-iceberg" };
  const root = url.replace(/\/+$/, "");
  const { host } = new URL(root);
  let answer = read(
    await ask(parts.http, {
      method: "POST",
      url: `${root}/v1/statement`,
      headers,
      body: statement,
    }),
  );
  let busy = 0;
  while (answer.nextUri !== undefined) {
    if (stop.aborted) throw fail("stopped", "Stopped on request; Trino may go on with it");
    // Credentials and statements go where the user said, and nowhere else.
    if (new URL(answer.nextUri).host !== host) {
      throw fail("query_engine", `Trino at ${host} says that it goes on at ${answer.nextUri}`);
    }
    const request = { method: "GET", url: answer.nextUri, headers, body: null } as const;
    const next = await ask(parts.http, request);
    if (BUSY.includes(next.status) && busy++ < BUSY_MAX) {
      await parts.clock.sleep(AGAIN_MS, stop);
      continue;
    }
    answer = read(next);
  }
}

async function ask(http: Http, request: HttpRequest): Promise<HttpAnswer> {
  try {
    return await http.send(request);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    const goesOn = error.maybeSent ? ". It may go on with the statement" : "";
    const sentence = `Trino at ${new URL(request.url).host} does not answer`;
    throw fail("process_unreachable", `${sentence}: ${error.message}${goesOn}`);
  }
}

function read({ status, body }: HttpAnswer): Answer {
  if (status !== 200) throw fail("query_engine", `Trino answers ${status}`, { status });
  let answer: Json;
  try {
    answer = parseJson(body);
  } catch (cause) {
    throw fail("query_engine", "Trino's answer is not JSON", {}, cause);
  }
  const { error } = answer as Answer;
  if (error !== undefined) {
    throw fail(
      "query",
      `Trino: ${error.message ?? "the statement failed"} (${error.errorName ?? "?"})`,
    );
  }
  return answer as Answer;
}

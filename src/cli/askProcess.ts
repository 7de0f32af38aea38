/**
 * Commands that ask a running process: `query --url`, whose answer has the rows that are not committed yet
 * (SPEC section 3), and `profile`.
 */
import { fail } from "#base/errors.ts";
import { AnswerTooLarge, type ByteAnswer, createTransport, NoAnswer } from "#base/http.ts";
import { type Json, parseJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import { utf8Text } from "#base/text.ts";
import type { AnswerColumn } from "#sql/database.ts";
import { writeAnswer } from "#sql/output.ts";

/** A question to a running process. */
export interface RemoteQuestion {
  /** `http://127.0.0.1:8080`, as of `server.health_address`. */
  readonly url: string;
  /** `server.query_token`; empty: none is shown. */
  readonly token: string;
  readonly sql: string;
  readonly format: "table" | "json" | "csv" | "arrow";
  /** Of a table; those between the first and the last are left out. */
  readonly shownMax: number;
  /** `snapshot` or `as_of`, as `/query` takes them. */
  readonly time: { readonly [parameter: string]: string };
}

/** The process has a limit of its own (`server.query_timeout_ms`), and the better sentence for it. */
const TIMEOUT_MS = 3_660_000;

/**
 * Asks, and writes the answer.
 * @throws AppError as {@link askRoute}
 */
export async function askProcess(question: RemoteQuestion): Promise<string | Uint8Array> {
  const { url, token, sql, format, shownMax, time } = question;
  const accept = format === "table" ? ACCEPT.json : ACCEPT[format];
  const body = JSON.stringify({ sql });
  const answer = await askRoute(url, token, { path: "/query", parameters: time, accept, body });
  if (format !== "table") return answer;
  const { columns, rows } = parseJson(utf8Text(answer)) as unknown as {
    columns: readonly AnswerColumn[];
    rows: readonly (readonly Json[])[];
  };
  return writeAnswer({ columns, rows: rows.map((row) => row.map(textOf)) }, "table", shownMax);
}

/** Media types that `/query` answers in. */
const ACCEPT = {
  json: "application/json",
  csv: "text/csv",
  arrow: "application/vnd.apache.arrow.stream",
};

/** What is asked of a route. */
interface RouteQuestion {
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly accept: string;
  /** null: GET. */
  readonly body: string | null;
}

/**
 * The body of a running process's answer.
 * @param url its address @param token `server.query_token`; empty: none is shown
 * @throws AppError `usage`; `query` for what the process refuses, and an answer that is too large to be taken;
 *   `query_engine` when it cannot answer now, `process_unreachable` when it does not answer
 */
export async function askRoute(
  url: string,
  token: string,
  asked: RouteQuestion,
): Promise<Uint8Array> {
  const http = createTransport(1);
  const shown = token === "" ? {} : { authorization: `Bearer ${token}` };
  const { accept, body } = asked;
  const headers = { ...shown, accept, "content-type": "application/json" };
  const method = body === null ? "GET" : "POST";
  try {
    const sent = body === null ? [] : [Buffer.from(body)];
    const request = { method, url: addressOf(url, asked), headers, body: sent };
    const answer = await http.send(
      request,
      AbortSignal.timeout(TIMEOUT_MS),
      LIMITS.answerTextBytesMax,
    );
    if (answer.status === 200) return answer.body;
    throw refusalOf(url, asked.path, answer);
  } catch (error) {
    if (error instanceof AnswerTooLarge) throw fail("query", `Ask for less: ${error.message}`);
    if (!(error instanceof NoAnswer)) throw error;
    const sentence = `${new URL(url).origin} does not answer: ${error.message}`;
    throw fail(
      "process_unreachable",
      `${sentence}. Is a process running there (server.health_address)?`,
    );
  } finally {
    http.close();
  }
}

function addressOf(url: string, { path, parameters }: RouteQuestion): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw fail("usage", "--url is the address of a running process: http://127.0.0.1:8080");
  }
  const address = new URL(path, url);
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  return String(address);
}

function refusalOf(url: string, path: string, { status, body }: ByteAnswer): Error {
  const kind = status >= 500 ? "query_engine" : "query";
  const sentence = sentenceOf(utf8Text(body));
  if (sentence !== null) return fail(kind, sentence);
  return fail(
    kind,
    `${new URL(url).origin} answers ${status} to ${path}: no kafka-iceberg is there`,
  );
}

/** Of `{"error": "..."}`; null for what another program says. */
function sentenceOf(body: string): string | null {
  try {
    const { error } = parseJson(body) as { error?: Json };
    return typeof error === "string" ? error : null;
  } catch {
    return null;
  }
}

/** Texts as they are, lists and structs as JSON. */
function textOf(value: Json): string | null {
  return value === null || typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * Commits of several tables in one request (REST catalog spec, `POST /v1/{prefix}/transactions/commit`).
 *
 * The answer says nothing of the tables: each is loaded, and a success is believed of those that show what was
 * asked for. Iceberg's own server compares all requirements first and then commits table after table, so that one
 * to which somebody else commits meanwhile is left out of what it calls a success.
 *
 * A definite no is a conflict of all. Should a server have changed some of them nevertheless, the commit loop finds
 * that, since it looks for its commit id before each attempt.
 */
import type { HttpAnswer } from "#base/http.ts";
import { writeJson } from "#base/json.ts";
import type { CommitOutcome, LoadedTable, TableChange, TableName } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import {
  ENDPOINTS,
  isAway,
  isIcebergError,
  isSuccess,
  messageOf,
  type RestSession,
} from "./session.ts";
import { changeToJson, missingIn } from "./wire.ts";

/** The part of a catalog that such a commit has to do with. */
export interface TransactionParts {
  readonly session: RestSession;
  /** The head as it was read last, or now; null when there is no such table. */
  readonly known: (name: TableName) => Promise<LoadedTable | null>;
  /** The head, asked for now. */
  readonly load: (name: TableName) => Promise<LoadedTable | null>;
  /** What is known of the head is not used again. */
  readonly forget: (name: TableName) => void;
  /** Why a head cannot take a change; null when it can. */
  readonly unfit: (head: LoadedTable | null, change: TableChange) => string | null;
}

/** Commits all of them, or says of each that it was not. Null: not offered, nothing was done. Never throws. */
export async function commitTransaction(
  parts: TransactionParts,
  changes: readonly TableChange[],
): Promise<readonly CommitOutcome[] | null> {
  const { session } = parts;
  if (!session.offers(ENDPOINTS.transaction)) return null;
  if (changes.length === 0) return [];
  const all = (outcome: CommitOutcome): CommitOutcome[] => changes.map(() => outcome);
  try {
    const heads = await Promise.all(changes.map(({ name }) => parts.known(name)));
    for (const [index, change] of changes.entries()) {
      const cause = parts.unfit(heads[index] ?? null, change);
      if (cause !== null) return all({ kind: "conflict", cause });
    }
    const [first] = changes.map(({ name }) => fullName(name));
    const what = `a commit to ${first} and ${changes.length - 1} more tables`;
    const tables = changes.map((change, index) =>
      changeToJson(change, heads[index]?.metadata ?? null),
    );
    const body = writeJson({ "table-changes": tables });
    const key = { "idempotency-key": session.idempotencyKey() };
    const sent = await session.write(what, session.transaction(), body, key);
    if (sent.kind === "answer" && isSuccess(sent.answer)) {
      return await Promise.all(
        changes.map((change, index) => outcomeOf(parts, change, heads[index] ?? null)),
      );
    }
    if (sent.kind === "answer" && isUnknown(sent.answer)) return null;
    for (const { name } of changes) parts.forget(name);
    if (sent.kind === "lost") return all({ kind: "unknown", cause: sent.cause });
    return all(refusalOf(session, what, sent.answer));
  } catch (cause) {
    // Nothing was sent. What another try cannot cure is one table's: its own commit throws it.
    return all({ kind: "conflict", cause });
  }
}

/** What became of one table of a request that was answered with success. */
async function outcomeOf(
  { load, forget }: TransactionParts,
  { name, updates }: TableChange,
  before: LoadedTable | null,
): Promise<CommitOutcome> {
  try {
    const table = await load(name);
    const missing =
      table === null ? "it is gone" : missingIn(table.metadata, before?.metadata ?? null, updates);
    if (table !== null && missing === null) return { kind: "committed", table };
    forget(name);
    const cause = `the catalog said that ${fullName(name)} was changed, but ${missing}`;
    return { kind: "unknown", cause };
  } catch (cause) {
    forget(name);
    return { kind: "unknown", cause };
  }
}

/** Whether the server does not know the request, or says that it has it not: one that lists no endpoints may. */
function isUnknown(answer: HttpAnswer): boolean {
  return UNKNOWN.has(answer.status) || (answer.status === 404 && !isIcebergError(answer));
}

/** Method not allowed, not supported (REST catalog spec, 406), not implemented. */
const UNKNOWN: ReadonlySet<number> = new Set([405, 406, 501]);

function refusalOf(session: RestSession, what: string, answer: HttpAnswer): CommitOutcome {
  const said = `HTTP ${answer.status} ${messageOf(answer)}`;
  const cause = isAway(answer) ? session.away(what, said) : said;
  return { kind: isAway(answer) && answer.status !== 429 ? "unknown" : "conflict", cause };
}

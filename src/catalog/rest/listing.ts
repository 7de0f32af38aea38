/**
 * Names of the tables of a namespace, page by page.
 */
import type { TableName } from "#catalog/catalog.ts";
import { isIcebergError, membersOf, type RestSession } from "./session.ts";

/** Tables asked for in one page. */
const PAGE_TABLES = 1000;

/** See `Catalog.list`. */
export async function listTables(
  session: RestSession,
  namespace: TableName["namespace"],
): Promise<TableName[]> {
  const names: string[] = [];
  for (let token: string | null = ""; token !== null; ) {
    const page = await pageOf(session, namespace, token);
    // A server that has no pages of its own would give the first one for ever.
    if (page.next !== null && page.next === token) {
      throw session.away("a listing", "its next page is the one that was asked for");
    }
    names.push(...page.names);
    token = page.next;
  }
  return names.sort().map((table) => ({ namespace, table }));
}

/** One page; `next` asks for the one behind it. A missing namespace has no tables. */
async function pageOf(
  session: RestSession,
  namespace: TableName["namespace"],
  token: string,
): Promise<{ readonly names: readonly string[]; readonly next: string | null }> {
  const page = `pageSize=${PAGE_TABLES}&pageToken=${encodeURIComponent(token)}`;
  const answer = await session.read("a listing", `${session.tables(namespace)}?${page}`);
  if (answer.status === 404 && isIcebergError(answer)) return { names: [], next: null };
  if (answer.status !== 200) throw session.refusal("a listing", answer);
  const json = membersOf(session.parse("a listing", answer));
  const identifiers = Array.isArray(json["identifiers"]) ? json["identifiers"] : [];
  const names = identifiers.map((identifier) => String(membersOf(identifier)["name"]));
  const next = json["next-page-token"];
  return { names, next: typeof next === "string" && next !== "" ? next : null };
}

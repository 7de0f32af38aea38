/**
 * `GET /tables/NAME`: a table as the catalog has it, other writers' commits included, for people. Answered
 * through the metadata cache, so that asking often costs the catalog little, and from what it said last
 * while it is away.
 */
import { describe, policyOf } from "#base/errors.ts";
import type { LoadedTable, TableName } from "#catalog/catalog.ts";
import type { Cached, MetadataCache } from "#catalog/metadataCache.ts";
import { fullName } from "#catalog/names.ts";
import { describeTable } from "#cli/differences.ts";
import { typeName } from "#columns/evolve.ts";
import type { Route } from "#server/route.ts";
import { jsonAnswer } from "#server/server.ts";

/** Where the tables of a process are looked up. */
export interface TableReader {
  readonly pipeline: string;
  readonly cache: MetadataCache;
  /** Tables that the pipeline writes: others are not asked for. */
  readonly tables: readonly TableName[];
}

const PATH = "/tables/";

/** The route. @param readers those that run now */
export function tableRoute(readers: () => readonly TableReader[]): Route {
  return {
    method: "GET",
    path: `${PATH}*`,
    listeners: ["health"],
    access: "token",
    limits: { bodyBytesMax: 0, timeMsMax: 30_000, atOnceMax: 4 },
    answer: async ({ url }) => {
      const wanted = decodeURIComponent(url.pathname.slice(PATH.length));
      for (const { pipeline, cache, tables } of readers()) {
        const name = tables.find((each) => fullName(each) === wanted || each.table === wanted);
        if (name !== undefined) return answerOf(pipeline, cache, name);
      }
      return jsonAnswer(404, { error: `No pipeline of this process writes the table ${wanted}` });
    },
  };
}

async function answerOf(
  pipeline: string,
  cache: MetadataCache,
  name: TableName,
): Promise<Response> {
  try {
    const head = await cache.head(name);
    if (head === null) return jsonAnswer(404, { error: `There is no table ${fullName(name)}` });
    const [schema, manifests] = [await cache.schema(name), await cache.manifests(name)];
    return jsonAnswer(200, {
      pipeline,
      ...reportOf(head),
      columns: (schema?.value.fields ?? []).map((field) => ({
        name: field.name,
        type: typeName(field.type),
        required: field.required,
      })),
      manifests: manifests?.value.length ?? 0,
      stale: [head, schema, manifests].some((each) => each?.isStale === true),
    });
  } catch (error) {
    const code = policyOf(error).action === "again" ? 503 : 500;
    return jsonAnswer(code, { error: describe(error) });
  }
}

function reportOf({ value: { name, metadata }, ageMs }: Cached<LoadedTable>): object {
  const { snapshots, currentSnapshotId, location, formatVersion, properties } = metadata;
  const head = snapshots.find(({ snapshotId }) => snapshotId === currentSnapshotId);
  const total = (what: string): number => Number(head?.summary[`total-${what}`] ?? 0);
  return {
    table: fullName(name),
    location,
    format_version: formatVersion,
    partitioned_by: describeTable(metadata).partitioned,
    snapshot_id: currentSnapshotId,
    operation: head?.summary["operation"] ?? null,
    committed_at: head === undefined ? null : new Date(head.timestampMs).toISOString(),
    rows: total("records"),
    data_files: total("data-files"),
    delete_files: total("delete-files"),
    bytes: total("files-size"),
    snapshots: snapshots.length,
    properties: Object.keys(properties).length,
    age_ms: Math.round(ageMs),
  };
}

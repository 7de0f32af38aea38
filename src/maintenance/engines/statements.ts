/**
 * The same runs as statements of other engines: Iceberg's procedures in Spark, `ALTER TABLE ... EXECUTE` in Trino, for
 * tables too large for one machine (`maintenance ... --engine spark|trino`). Pure.
 *
 * Expiry names its snapshots, since ours keeps those by which committed offsets are read (SPEC 2.2), which no
 * other engine knows.
 */
import { fail } from "#base/errors.ts";
import type { TableName } from "#catalog/catalog.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { CompactSettings } from "#maintenance/compactPlan.ts";
import type { Operation } from "#maintenance/run.ts";

/** What a run would do here. */
export interface EnginePlan {
  readonly operation: Operation;
  readonly name: TableName;
  /** The catalog's name in the engine. */
  readonly catalog: string;
  /** Of the table's head: its commits go to no other branch. */
  readonly compact: CompactSettings;
  readonly jobs: number;
  /** How rows are sorted; null: they are not. */
  readonly sort: EngineSort | null;
  /** Snapshots that go, and before them branches and tags. */
  readonly expired: readonly SnapshotId[];
  readonly expiredRefs: readonly { readonly name: string; readonly type: "branch" | "tag" }[];
  /** Files older than this are orphans, ms since epoch, and as an age in ms. */
  readonly orphansBeforeMs: number;
  readonly orphanAgeMs: number;
}

/** By the table's own sort order, or by columns of like weight along a space-filling curve. */
export type EngineSort =
  | { readonly kind: "table" }
  | { readonly kind: "z-order"; readonly columns: readonly string[] };

/** Spark's statements, in order; none: there is nothing to do. */
export function sparkStatements(plan: EnginePlan): string[] {
  const { operation, name, catalog } = plan;
  const identifier = [...name.namespace, name.table].map(sparkName).join(".");
  const table = `table => ${sparkText(identifier)}`;
  const call = (procedure: string, ...rest: string[]): string =>
    `CALL ${sparkName(catalog)}.system.${procedure}(${[table, ...rest].join(", ")})`;
  switch (operation) {
    case "compact":
      return [
        call(
          "rewrite_data_files",
          ...sorting(plan.sort),
          `options => ${sparkMap(rewriteOptions(plan))}`,
        ),
        call("rewrite_position_delete_files"),
      ];
    case "expire": {
      const dropped = plan.expiredRefs.map(
        (ref) =>
          `ALTER TABLE ${sparkName(catalog)}.${identifier} DROP ${ref.type.toUpperCase()} ${sparkName(ref.name)}`,
      );
      if (plan.expired.length === 0) return dropped;
      const ids = plan.expired.map((id) => `${id}L`).join(", ");
      // Older than nothing: else Spark adds those older than five days.
      return [
        ...dropped,
        call(
          "expire_snapshots",
          "older_than => TIMESTAMP '1970-01-02 00:00:00'",
          `snapshot_ids => array(${ids})`,
        ),
      ];
    }
    case "orphans":
      return [call("remove_orphan_files", `older_than => ${sparkTime(plan.orphansBeforeMs)}`)];
    case "manifests":
      return [call("rewrite_manifests")];
    case "statistics":
      return [call("compute_table_stats"), call("compute_partition_stats")];
  }
}

function sorting(sort: EngineSort | null): string[] {
  if (sort === null) return [];
  if (sort.kind === "table") return ["strategy => 'sort'"];
  const columns = sort.columns.map(sparkName).join(", ");
  return ["strategy => 'sort'", `sort_order => ${sparkText(`zorder(${columns})`)}`];
}

/** Iceberg's options of the settings of `[maintenance]`. */
function rewriteOptions({ compact, jobs }: EnginePlan): Record<string, string> {
  const { smallBytes, targetBytes, deleteRatio } = compact;
  return {
    "target-file-size-bytes": String(targetBytes),
    "min-file-size-bytes": String(Math.min(smallBytes, targetBytes - 1)),
    // Large files stay as they are, as by ours.
    "max-file-size-bytes": String(Number.MAX_SAFE_INTEGER),
    "min-input-files": "2",
    "delete-ratio-threshold": String(deleteRatio),
    "remove-dangling-deletes": "true",
    "max-concurrent-file-group-rewrites": String(jobs),
    "partial-progress.enabled": "true",
  };
}

/** Trino's statements, in order. @throws AppError `usage` for what Trino cannot be told */
export function trinoStatements(plan: EnginePlan): string[] {
  const { operation, name, catalog } = plan;
  const identifier = [catalog, name.namespace.join("."), name.table].map(trinoName).join(".");
  const execute = (procedure: string, argument = ""): string =>
    `ALTER TABLE ${identifier} EXECUTE ${procedure}${argument === "" ? "" : `(${argument})`}`;
  switch (operation) {
    case "compact":
      if (plan.sort?.kind === "z-order") throw fail("usage", "Trino has no z-order: use Spark");
      return [execute("optimize", `file_size_threshold => '${plan.compact.smallBytes}B'`)];
    case "expire":
      throw fail(
        "usage",
        "Trino expires snapshots by their age alone, and would take those by which committed offsets are read: use the embedded engine or Spark",
      );
    case "orphans":
      return [
        execute("remove_orphan_files", `retention_threshold => '${days(plan.orphanAgeMs)}d'`),
      ];
    case "manifests":
      return [execute("optimize_manifests")];
    case "statistics":
      return [`ANALYZE ${identifier}`];
  }
}

const DAY_MS = 86_400_000;

/** Not rounded down: younger files than were asked for stay. */
function days(ms: number): string {
  return (Math.ceil((ms / DAY_MS) * 100) / 100).toFixed(2);
}

function sparkName(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

function sparkText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function sparkMap(options: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(options).map(([key, value]) => `'${key}', '${value}'`);
  return `map(${pairs.join(", ")})`;
}

/** With its zone: a session has one of its own. */
function sparkTime(ms: number): string {
  return `TIMESTAMP '${new Date(ms).toISOString().replace("T", " ").replace("Z", "")} UTC'`;
}

function trinoName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

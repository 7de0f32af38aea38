/**
 * Deleting by writing anew (`delete_mode = "copy-on-write"`): files that hold deleted rows become files without them,
 * in the commit that deletes, so that readers need to know of no deletes at all.
 *
 * All is done on the head of one attempt. A file that was written for an earlier attempt is used again only
 * where the same rows of the same inputs go, and nothing else hides any of theirs (CHANGE_RULES section 3).
 */
import { assert } from "#base/assert.ts";
import { type AppError, type ErrorKind, fail, kindOf } from "#base/errors.ts";
import { writeJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import type { Attempt } from "#commit/change.ts";
import { currentSchema } from "#commit/columns.ts";
import { logFlushStarted } from "#commit/logCommit.ts";
import { type DeleteRows, type RowDeletes, replacedDeletes } from "#commit/rowDeletes.ts";
import { placeKey } from "#iceberg/deletes/deleteIndex.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import { withoutMetrics } from "#iceberg/io/liveFiles.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { LocatedRows } from "#keyindex/port.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { hiddenRows } from "#keyindex/readKeys.ts";
import { unwritable } from "#sql/rewrite/copyStatement.ts";
import { cutGroups, type PlannedGroup, type PlannedInput } from "./compactPlan.ts";
import type { CopySlots } from "./copySlots.ts";
import type { RewriteEngine } from "./engine.ts";
import { rewrittenLocation } from "./location.ts";
import { refuseStopped } from "./run.ts";

/** What files are written anew with. */
export interface CopyOnWriteParts {
  readonly engine: Pick<RewriteEngine, "rewrite">;
  /** Those of the process. */
  readonly slots: CopySlots;
  /** Aborted when the process ends. */
  readonly stop: AbortSignal;
}

/** A group of one attempt: files of one partition that become one. */
interface CopiedGroup {
  readonly group: PlannedGroup;
  /** Rows of each input that are not in the output. */
  readonly hidden: readonly RowSet[];
  /** Equal where the output would be the same. */
  readonly key: string;
}

/** Files whose rows are told before the event loop gets a turn: some milliseconds. */
const TURN_FILES = 16;
/** Ends of a group that may do better with nothing beside it. */
const WORTH_ALONE: ReadonlySet<ErrorKind> = new Set(["query", "query_engine", "rewrite_process"]);
/** Scratch files of a group, by its bytes: fetched inputs, and the output. */
const SCRATCH_SHARE = 2.2;

/**
 * Deletes the rows of one flush.
 * @param targetBytes of the files that are written, about
 */
export function copyOnWrite(parts: CopyOnWriteParts, targetBytes: number): DeleteRows {
  const written = new Map<string, DataFile | null>();
  return async (attempt, located) => {
    if (located.length === 0) return { added: [], removed: [] };
    const { name, metadata } = attempt.head;
    // Another engine may have given it a column since it was opened.
    const refusal = copyRefusal(fullName(name), currentSchema(metadata).fields);
    if (refusal !== null) throw refusal;
    const groups = await groupsOf(attempt, located, targetBytes);
    await writeGroups(parts, attempt, groups, written);
    return deletesOf(
      located,
      groups.flatMap(({ key }) => written.get(key) ?? []),
    );
  };
}

/** Why rows of a table with these columns cannot be deleted so; null: they can. */
export function copyRefusal(table: string, fields: readonly Field[]): AppError | null {
  const reason = unwritable(fields);
  if (reason === null) return null;
  const sentence = `Rows of ${table} cannot be deleted by iceberg.write.delete_mode = "copy-on-write": ${reason}`;
  return fail("table_unsupported", sentence, { table });
}

async function groupsOf(
  { parts: { clock }, head: { storage, metadata } }: Attempt,
  located: readonly LocatedRows[],
  targetBytes: number,
): Promise<CopiedGroup[]> {
  const positionDeletes = new PositionDeletes(storage);
  const byPath = new Map(located.map((each) => [each.file.path, each]));
  const inputs = located.map(({ file, deletes }) => inputOf(file, deletes.equality));
  const groups = [...Map.groupBy(inputs, placeKey).values()].flatMap((members) =>
    cutGroups(members, targetBytes),
  );
  const copied: CopiedGroup[] = [];
  let count = 0;
  for (const group of groups) {
    const hidden: RowSet[] = [];
    const hash = new Bun.CryptoHasher("sha256");
    hash.update(`${metadata.formatVersion} ${metadata.currentSchemaId}`);
    for (const { path, deletes, sequenceNumber, firstRowId } of group.inputs) {
      const each = byPath.get(path);
      assert(each !== undefined, "an input is a located file");
      const rows = await hiddenRows({ positionDeletes }, each.file, each.deletes);
      each.rows.forEach((row) => {
        rows.add(row);
      });
      hidden.push(rows);
      const equality = deletes.map(({ file }) => fileKey(file));
      hash.update(writeJson({ path, sequenceNumber, firstRowId, equality }));
      hash.update(rows.words);
      if (++count % TURN_FILES === 0) await clock.turn();
    }
    copied.push({ group, hidden, key: hash.digest("hex") });
  }
  return copied;
}

/** A file as the engine reads it: what is deleted of it by position is said beside it. */
function inputOf(file: LiveData, equality: PlannedInput["deletes"]): PlannedInput {
  const { path, format: fileFormat, specId, partition, sequenceNumber, firstRowId } = file;
  return {
    ...{ path, fileFormat, specId, partition, sequenceNumber, firstRowId, snapshotId: null },
    recordCount: BigInt(file.rows),
    sizeBytes: BigInt(file.bytes),
    deletes: equality,
  };
}

/** Writes what no attempt has written; the names are in the log before the first byte. */
async function writeGroups(
  { engine, slots, stop }: CopyOnWriteParts,
  { parts, head, ledger, commitId }: Attempt,
  groups: readonly CopiedGroup[],
  written: Map<string, DataFile | null>,
): Promise<void> {
  const jobs = groups
    .filter(({ key }) => !written.has(key))
    .map((each) => ({ ...each, location: rewrittenLocation(parts, head, each.group) }));
  if (jobs.length === 0) return;
  ledger.plan(jobs.map(({ location }) => location));
  await logFlushStarted(parts, head, commitId, ledger.names, {});
  const write = async ({ group, hidden, key, location }: (typeof jobs)[number]): Promise<void> => {
    refuseStopped(stop);
    const { output } = await engine.rewrite({ head, group, hidden, location, commitId }, stop);
    if (output !== null) ledger.store([location]);
    written.set(key, output);
  };
  const left = jobs.values();
  const refused: typeof jobs = [];
  const work = async (): Promise<void> => {
    for (const job of left) {
      await slots
        .run(scratchBytes(job), () => write(job))
        .catch((error: unknown) => {
          if (!WORTH_ALONE.has(kindOf(error))) throw error;
          refused.push(job);
        });
    }
  };
  // Nothing is written any more when a failure is told.
  const ends = await Promise.allSettled(Array.from({ length: LIMITS.copiesAtOnce }, work));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  // The engine refuses also when memory was short: only what it cannot write alone stops the table.
  for (const job of refused) await slots.run(scratchBytes(job), () => write(job), "none");
}

function scratchBytes({ group }: CopiedGroup): number {
  return SCRATCH_SHARE * group.bytes;
}

/** The files that go, and the deletes that were about them alone. */
function deletesOf(located: readonly LocatedRows[], added: readonly DataFile[]): RowDeletes {
  const data = located.map(({ file, deletes }) => withoutMetrics(inputOf(file, deletes.equality)));
  return { added, removed: [...data, ...located.flatMap(replacedDeletes)] };
}

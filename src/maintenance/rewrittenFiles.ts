/** What a compaction tells the index of a table's keys, so that it need not read what only moved (CHANGE_RULES 10i). */
import type { RewriteGroup } from "#commit/rewrite.ts";
import type { RewrittenFile } from "#keyindex/port.ts";
import type { PlannedGroup, PlannedInput } from "./compactPlan.ts";

/** The new files of some groups of which is known where all rows came from. */
export function rewrittenFiles(
  groups: readonly RewriteGroup[],
  planned: readonly PlannedGroup[],
): RewrittenFile[] {
  const listed = new Map(planned.flatMap(({ inputs }) => inputs.map((file) => [file.path, file])));
  return groups.flatMap(({ inputs, output, isThinned = false }): RewrittenFile[] => {
    if (output === null || isThinned) return [];
    const files = inputs.flatMap((input) => movedFile(input, listed.get(input.path)));
    if (files.length < inputs.length) return [];
    return [{ path: output.filePath, rows: Number(output.recordCount), inputs: files }];
  });
}

function movedFile(
  { path, moved }: RewriteGroup["inputs"][number],
  listed: PlannedInput | undefined,
): RewrittenFile["inputs"] {
  if (moved === null || listed === undefined) return [];
  const { firstRowId, recordCount } = listed;
  const { places, hidden } = moved;
  return [{ path, firstRowId, rows: Number(recordCount), places, hidden: hidden.words }];
}

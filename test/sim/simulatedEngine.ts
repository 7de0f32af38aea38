/**
 * An engine that rewrites files of a simulated table: it reads them by the law's own reader, takes time, and says where
 * the rows of each file went.
 */
import { fail } from "#base/errors.ts";
import type { MovedRows } from "#commit/movedRows.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { PlannedInput } from "#maintenance/compactPlan.ts";
import type { RewriteEngine } from "#maintenance/engine.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { WriterParts } from "#writer/parts.ts";
import { positionDeleteWriter } from "#writer/positionDeletes.ts";
import { foreignFile } from "./rows.ts";
import type { PlacedRow, UpsertLaw } from "./upsertLaw.ts";
import { type KeyedRow, storeRows } from "./upsertRows.ts";
import type { World } from "./world.ts";

/** The engine of one process of a world. */
export function simulatedEngine(
  world: World,
  law: UpsertLaw,
  { clock }: Pick<WriterParts, "clock">,
): RewriteEngine {
  return {
    refusal: () => null,
    ready: async () => undefined,
    writePositionDeletes: positionDeleteWriter(createInlineEncoder()),
    rewrite: async ({ head: { storage }, group: { inputs }, location, hidden: told = [] }) => {
      const rows: KeyedRow[] = [];
      const moved: MovedRows[] = [];
      for (const [at, input] of inputs.entries()) {
        const isHidden = (row: number): boolean => told[at]?.has(row) === true;
        const all = await liveIn(world, law, input);
        const live = all.filter(({ position }) => !isHidden(position));
        const hidden = new RowSet(Number(input.recordCount));
        const left = new Set(live.map(({ position }) => position));
        for (let row = 0; row < hidden.fileRows; row++) if (!left.has(row)) hidden.add(row);
        moved.push({ first: rows.length, hidden });
        rows.push(...live);
      }
      if (world.random.unit() < 0.7) await clock.sleep(1);
      if (rows.length === 0) return { output: null, moved };
      return { output: await storeRows(storage, location, rows), moved };
    },
  };
}

async function liveIn(
  world: World,
  law: UpsertLaw,
  { path, recordCount, sequenceNumber, deletes }: PlannedInput,
): Promise<PlacedRow[]> {
  const files = [path, ...deletes.map(({ file }) => file.filePath)];
  const gone = files.find((each) => !world.storage.objects.has(each));
  if (gone !== undefined) throw fail("storage_missing", `${gone} is gone`);
  const file = { ...foreignFile(path), recordCount };
  return await law.liveIn({ file, snapshotId: 0n, sequenceNumber }, deletes);
}

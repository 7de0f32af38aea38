/**
 * An engine that rewrites files of a simulated table: it reads them by the law's own reader, takes time, and says where
 * the rows of each file went. Where rows are to be sorted, they come in any order.
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
    ready: () => undefined,
    writePositionDeletes: positionDeleteWriter(createInlineEncoder()),
    rewrite: async ({
      head: { storage },
      group: { inputs },
      location,
      hidden: told = [],
      sortSpillBytesMax = 0,
    }) => {
      const rows: KeyedRow[] = [];
      const moved: MovedRows[] = [];
      for (const [at, input] of inputs.entries()) {
        const isHidden = (row: number): boolean => told[at]?.has(row) === true;
        const all = await liveIn(world, law, input);
        const live = all.filter(({ position }) => !isHidden(position));
        const hidden = new RowSet(Number(input.recordCount));
        const left = new Set(live.map(({ position }) => position));
        for (let row = 0; row < hidden.fileRows; row++) if (!left.has(row)) hidden.add(row);
        moved.push({ places: rows.length, hidden });
        rows.push(...live);
      }
      if (world.random.unit() < 0.7) await clock.sleep(1);
      if (rows.length === 0) return { output: null, moved };
      const sorted = sortSpillBytesMax > 0 ? shuffled(world, { rows, moved }) : { rows, moved };
      return { output: await storeRows(storage, location, sorted.rows), moved: sorted.moved };
    },
  };
}

interface Written {
  readonly rows: readonly KeyedRow[];
  readonly moved: readonly MovedRows[];
}

/** Rows in another order, and where each of them went. */
function shuffled(world: World, { rows, moved }: Written): Written {
  const keyed = rows.map((_, row) => ({ row, at: world.random.unit() }));
  const order = keyed.toSorted((a, b) => a.at - b.at).map(({ row }) => row);
  const places = new Uint32Array(rows.length);
  for (const [place, row] of order.entries()) places[row] = place;
  return {
    rows: order.flatMap((row) => rows[row] ?? []),
    moved: moved.map(({ places: first, hidden }) => {
      const begin = Number(first);
      return { hidden, places: places.slice(begin, begin + hidden.fileRows - hidden.size) };
    }),
  };
}

async function liveIn(
  world: World,
  law: UpsertLaw,
  { path, recordCount, sequenceNumber, firstRowId, deletes }: PlannedInput,
): Promise<PlacedRow[]> {
  const files = [path, ...deletes.map(({ file }) => file.filePath)];
  const gone = files.find((each) => !world.storage.objects.has(each));
  if (gone !== undefined) throw fail("storage_missing", `${gone} is gone`);
  const file = { ...foreignFile(path), recordCount, firstRowId };
  return await law.liveIn({ file, snapshotId: 0n, sequenceNumber }, deletes);
}

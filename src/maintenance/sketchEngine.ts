/** Counts values of data files in a child process, for `statistics.ts`. */
import { LIMITS } from "#base/limits.ts";
import { withScratch } from "#base/scratch.ts";
import { sketchInProcess } from "#sql/rewrite/rewriteProcess.ts";
import { foldersOf, readableFiles } from "./readableFiles.ts";
import type { RewriteEngineParts } from "./rewriteEngine.ts";
import type { CountValues } from "./statistics.ts";

/** The engine: DuckDB, as of compactions. */
export function createSketchEngine({
  libraryFolder,
  scratch: root,
  memoryBytesMax = LIMITS.rewriteBytesMax,
}: Omit<RewriteEngineParts, "codec">): CountValues {
  return ({ head, inputs, columns }, stop) =>
    withScratch(root, "rewrite", async (scratch) => {
      const files = await readableFiles(head, inputs, scratch);
      const task = {
        ...{ libraryFolder, memoryBytesMax },
        ...{ folders: foldersOf(files), scratch: `${scratch}/`, files, columns },
      };
      return sketchInProcess(task, stop);
    });
}

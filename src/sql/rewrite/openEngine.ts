/**
 * The engine of one task: located, loaded and opened. What keeps it from that (no room for the library, no memory, no
 * descriptor) is of this process and this moment, and says nothing about the files: only what the engine answers to a statement does.
 */
import { describe, fail } from "#base/errors.ts";
import { Instance, type InstanceOptions } from "#sql/duckdb/instance.ts";
import { locateLibrary } from "#sql/library.ts";
import type { ChildTask } from "./protocol.ts";

/** What of a task its engine is opened with. */
type EngineTask = Pick<ChildTask, "libraryFolder" | "memoryBytesMax" | "folders" | "scratch">;

/**
 * Opens it; it reads the folders of the task, and has its scratch folder for what does not fit into memory.
 * @throws AppError `rewrite_process`
 */
export async function openEngine(
  { libraryFolder, memoryBytesMax, folders, scratch }: EngineTask,
  more: Pick<InstanceOptions, "spillBytesMax" | "keepsOrder"> = {},
): Promise<Instance> {
  try {
    const library = await locateLibrary(libraryFolder);
    const options = { library, memoryBytesMax, spillFolder: scratch, ...more };
    return new Instance(options, [...folders, scratch]);
  } catch (error) {
    const sentence = `The process that reads data files has no engine: ${describe(error)}`;
    throw fail("rewrite_process", sentence, {}, error);
  }
}

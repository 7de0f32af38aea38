/**
 * Looks at what nobody asks while nothing flows: the store, and the process's own folders. Without
 * them a store that is away shows at the next flush only, and a state directory that somebody
 * removed at the next start.
 */
import type { Clock } from "#base/clock.ts";
import type { Disk } from "#base/disk.ts";
import { fail, kindOf } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Storage } from "#storage/storage.ts";
import type { StateDir } from "#txlog/stateDir.ts";
import { folderBytes } from "#txlog/stateDir.ts";

const EVERY_MS = 10_000;
/** An answer about one small object takes milliseconds; a store that hangs fails after half a minute. */
const SLOW_MS = 5000;

/** Asks the store for an object every 10 s and observes whether it answers, until `signal`. */
export async function probeStorage(
  parts: { readonly clock: Clock; readonly storage: Storage; readonly observe: Observe },
  location: string,
  signal: AbortSignal,
): Promise<void> {
  const { clock, storage, observe } = parts;
  while (!signal.aborted) {
    await clock.sleep(EVERY_MS, signal);
    if (signal.aborted) return;
    const answered = new AbortController();
    void clock.sleep(SLOW_MS, answered.signal).then(() => {
      if (answered.signal.aborted || signal.aborted) return;
      const trouble = fail("storage_unreachable", `The store has not answered for ${SLOW_MS} ms`);
      observe({ type: "service", service: "storage", trouble });
    });
    try {
      await storage.head(location);
      observe({ type: "service", service: "storage", trouble: null });
    } catch (error) {
      const isAway = kindOf(error) === "storage_unreachable";
      observe({ type: "service", service: "storage", trouble: isAway ? error : null });
      // It answers, and does not let us look: asking on would refresh credentials each time.
      if (!isAway) return;
    } finally {
      answered.abort();
    }
  }
}

/** Why the process's own folders cannot be used. */
export interface StateWatch {
  /** Null while they are there. */
  readonly trouble: unknown;
}

/** What watching the folders needs. */
export interface WatchParts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly state: Pick<StateDir, "path" | "isOurs">;
}

/** Looks every 10 s until `signal` whether the state directory is still ours and the folders there. */
export function watchFolders(
  parts: WatchParts,
  folders: readonly string[],
  signal: AbortSignal,
): StateWatch {
  const watch: { trouble: unknown } = { trouble: null };
  const look = async (): Promise<void> => {
    while (!signal.aborted) {
      watch.trouble = await missing(parts, folders);
      await parts.clock.sleep(EVERY_MS, signal);
    }
  };
  void look();
  return watch;
}

/** Bytes of the process's own folders, each file once; a folder that is gone has none. */
export async function folderSizes(disk: Disk, folders: readonly string[]): Promise<number> {
  const outer = folders.filter((each) => !folders.some((other) => each.startsWith(`${other}/`)));
  const sizes = outer.map((folder) => folderBytes(disk, folder).catch(() => 0));
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

async function missing({ disk, state }: WatchParts, folders: readonly string[]): Promise<unknown> {
  for (const folder of [state.path, ...folders]) {
    try {
      if ((await disk.stat(folder))?.kind === "folder") continue;
      return fail("state", `The folder ${folder} is gone; stop the process and start it again`);
    } catch (error) {
      return fail("state", `The folder ${folder} cannot be read`, { folder }, error);
    }
  }
  if (await state.isOurs().catch(() => false)) return null;
  const sentence = `The state directory ${state.path} was replaced by another of the same name`;
  return fail("state", `${sentence}; stop the process and start it again`);
}

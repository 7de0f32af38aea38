/** Groups that a compaction wrote in vain, over the runs of a process. */
import { Recent } from "#base/recent.ts";

/** A group is left alone for so many runs at most. */
const RUNS_MAX = 64;
/** Groups that are remembered: those asked for the longest ago are forgotten, and tried once more. */
const GROUPS_MAX = 1000;

/**
 * Remembers groups that changes overtook, by the path of their oldest file. While changes flow they would do so at every
 * run, so each is left alone for a run, and then for twice as many as before.
 */
export class VainGroups {
  readonly #groups = new Recent<string, { readonly runs: number; left: number }>(GROUPS_MAX);

  /** Asked once by each run: true when it is to leave the group alone. */
  skips(path: string): boolean {
    const group = this.#groups.get(path);
    if (group === undefined || group.left === 0) return false;
    group.left--;
    return true;
  }

  /** Takes note of a group that was overtaken. */
  overtaken(path: string): void {
    const before = this.#groups.get(path)?.runs ?? 0;
    const runs = Math.min(Math.max(1, 2 * before), RUNS_MAX);
    this.#groups.set(path, { runs, left: runs });
  }
}

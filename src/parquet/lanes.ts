/**
 * What waits for a Worker: jobs in lanes (one per pipeline), by rank. A lane has one job at a time, and
 * of the lanes that may go on the one that was served longest ago comes first, so that no pipeline
 * waits for the backlog of another.
 */

/** Jobs in lanes. */
export class Lanes<J extends { readonly lane: string }> {
  /** In the order in which the lanes were served last. */
  readonly #waiting = new Map<string, { readonly job: J; readonly rank: number }[]>();

  /** @param rank lower ones go first, in every lane */
  add(job: J, rank: number): void {
    const lane = this.#waiting.get(job.lane) ?? [];
    const behind = lane.findIndex((each) => each.rank > rank);
    lane.splice(behind < 0 ? lane.length : behind, 0, { job, rank });
    this.#waiting.set(job.lane, lane);
  }

  /** Takes the next job of a lane that is not busy; null when there is none. */
  take(isBusy: (lane: string) => boolean): J | null {
    let best: { readonly lane: string; readonly rank: number } | null = null;
    for (const [lane, [first]] of this.#waiting) {
      if (first === undefined || isBusy(lane)) continue;
      if (best === null || first.rank < best.rank) best = { lane, rank: first.rank };
    }
    if (best === null) return null;
    const jobs = this.#waiting.get(best.lane) ?? [];
    const taken = jobs.shift();
    // Behind the others from now on; a lane without jobs is forgotten.
    this.#waiting.delete(best.lane);
    if (jobs.length > 0) this.#waiting.set(best.lane, jobs);
    return taken?.job ?? null;
  }

  /** Takes every job. */
  takeAll(): J[] {
    const jobs = [...this.#waiting.values()].flat().map(({ job }) => job);
    this.#waiting.clear();
    return jobs;
  }
}

/**
 * The files of one commit, each in a named state, from its name in the log to the snapshot that lists
 * it, or to its end (SPEC 2.4, last part).
 *
 * There is one transition function, and nothing leads from `listed` to `gone`: a program in which a
 * file of a landed commit is deleted cannot be written with it. Who wants files away asks for
 * {@link Ledger.unlisted} and reports what went ({@link Ledger.remove}).
 */
import { assert } from "#base/assert.ts";
import type { Snapshot, SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { OpenAttempt } from "#txlog/recover.ts";
import type { SentBases } from "./rules.ts";

/**
 * `planned`: its name is known, the store may have none of it, a part, or all. `written`: durable, and
 * no request that may still be applied names it. `sent`: a request without an answer names it.
 * `listed`: a snapshot of the table has it. `gone`: removed by us.
 */
export type FileState = "planned" | "written" | "sent" | "listed" | "gone";

/**
 * What happens to a file. `refuse`: the catalog says for certain that the request was not applied.
 * `land`: it was applied. `remove`: we delete it, by the rules of `removal.ts`.
 */
export type FileEvent = "store" | "send" | "refuse" | "land" | "remove";

const NEXT: Readonly<Record<FileState, Partial<Record<FileEvent, FileState>>>> = {
  planned: { store: "written", land: "listed", remove: "gone" },
  written: { send: "sent", land: "listed", remove: "gone" },
  sent: { send: "sent", refuse: "written", land: "listed", remove: "gone" },
  listed: { land: "listed" },
  gone: {},
};

/** The state after an event. Throws `internal` for one that must not happen: a deletion, above all. */
export function nextState(state: FileState, event: FileEvent): FileState {
  const next = NEXT[state][event];
  assert(next !== undefined, `a file that is ${state} does not ${event}`);
  return next;
}

/** What one request named. */
interface Request {
  readonly snapshotId: SnapshotId;
  readonly files: readonly string[];
}

/** The files of one commit. */
export class Ledger {
  readonly commitId: string;
  readonly #files = new Map<string, FileState>();
  readonly #requests: Request[] = [];
  #sent: SentBases | null = null;
  #landed = false;

  constructor(commitId: string) {
    this.commitId = commitId;
  }

  /**
   * What a log knows of a commit: all its files may exist, and each of its requests may still be under
   * way, since no log says which were refused. Nor does it know that none was sent: it may be older
   * than the table (a restored backup, or `fsync = "never"` and a power loss).
   */
  static ofLog(attempt: OpenAttempt, files: readonly string[]): Ledger {
    const ledger = new Ledger(attempt.commitId);
    ledger.plan(files);
    const bases = attempt.commits.map((each) => each.baseSequenceNumber);
    const last = bases.reduce<bigint | null>((max, n) => (max === null || n > max ? n : max), null);
    const first = bases.reduce<bigint | null>(
      (min, n) => (min === null || n < min ? n : min),
      null,
    );
    const parentless = attempt.commits.some((each) => each.baseSnapshotId === null);
    ledger.#sent = { first: first ?? attempt.baseSequenceNumber, last, parentless };
    return ledger;
  }

  /** Requests that left the process, refused ones included; null when it is certain that none did. */
  get sent(): SentBases | null {
    return this.#sent;
  }

  /** True when a snapshot of the table has what was sent. */
  get landed(): boolean {
    return this.#landed;
  }

  /** Every name that was ever planned. */
  get names(): string[] {
    return [...this.#files.keys()];
  }

  /** Files that no snapshot is known to list and that may exist: whether they may go, the rules say. */
  get unlisted(): string[] {
    return [...this.#files].flatMap(([path, state]) =>
      state === "listed" || state === "gone" ? [] : [path],
    );
  }

  /** Takes names that are about to be written. */
  plan(paths: readonly string[]): void {
    for (const path of paths) if (!this.#files.has(path)) this.#files.set(path, "planned");
  }

  /** These are durable. */
  store(paths: readonly string[]): void {
    this.#all(paths, "store");
  }

  /** A request with these files is about to leave the process. */
  send(
    { snapshotId, parentSnapshotId }: Pick<Snapshot, "snapshotId" | "parentSnapshotId">,
    files: readonly string[],
    baseSequenceNumber: bigint,
  ): void {
    this.#all(files, "send");
    this.#requests.push({ snapshotId, files });
    const first = this.#sent?.first ?? baseSequenceNumber;
    this.#sent = { first, last: baseSequenceNumber, parentless: parentSnapshotId === null };
  }

  /** The catalog has refused the request, for certain. */
  refuse(): void {
    const files = [...this.#files].filter(([, state]) => state === "sent").map(([path]) => path);
    this.#all(files, "refuse");
    if (this.#sent !== null) this.#sent = { ...this.#sent, last: null, parentless: false };
  }

  /** The request with this snapshot was applied; the files of the others are nobody's. */
  land(snapshotId: SnapshotId): void {
    const request = this.#requests.find((each) => each.snapshotId === snapshotId);
    this.#all(request?.files ?? [], "land");
    this.#landed = true;
    this.refuse();
  }

  /** What a snapshot that landed lists of it; after a restart, which knows no request. */
  landAs(listed: readonly string[]): void {
    this.#all(
      listed.filter((path) => this.#files.has(path)),
      "land",
    );
    this.#landed = true;
    this.refuse();
  }

  /** These were deleted. Throws `internal` for one that is listed. */
  remove(paths: readonly string[]): void {
    this.#all(paths, "remove");
  }

  #all(paths: readonly string[], event: FileEvent): void {
    for (const path of paths) {
      const state = this.#files.get(path);
      assert(state !== undefined, `${path} is a file of commit ${this.commitId}`);
      this.#files.set(path, nextState(state, event));
    }
  }
}

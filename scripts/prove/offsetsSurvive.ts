/**
 * Proof: whatever becomes of a table's history, a restart reads on exactly where the table stands (issue 12, must
 * show 4). The table is expired to one snapshot, compacted, rolled back, overwritten by PyIceberg, and several of these
 * in a row; after each, events flow, the process is killed after its first commit, and reads to the end.
 */

import { seededRandom } from "#base/random.ts";
import { produceEvents } from "../events/events.ts";
import { judgeTable, readTopic } from "../judge/judge.ts";
import { until } from "../services/process.ts";
import { type Course, runToEnd, type Say, start } from "./course.ts";
import { newSharedCourse, PyIceberg } from "./others.ts";
import { NO_MAINTENANCE, Upkeep } from "./upkeep.ts";

/** Size of {@link proveOffsetsSurvive}. */
export interface OffsetsProof {
  readonly bootstrap: string;
  readonly topic: string;
  /** Events after each act. */
  readonly events: number;
  /** Default: {@link ACTS}. */
  readonly acts?: readonly (readonly Deed[])[];
  readonly say: Say;
}

/** What was found. */
export interface OffsetsReport {
  /** By act: rows of the head after the restart, by DuckDB. */
  readonly acts: Readonly<Record<string, number>>;
  /** Retained snapshots before each restart. */
  readonly snapshots: Readonly<Record<string, number>>;
  readonly ok: boolean;
  readonly violations: readonly string[];
}

const PARTITIONS = 2;
/** All snapshots but one may go, at once. */
const TO_ONE = {
  "history.expire.max-snapshot-age-ms": "1",
  "history.expire.min-snapshots-to-keep": "1",
};

/** What is done to a table while nobody writes. */
export type Deed = "expire" | "compact" | "roll back" | "overwrite";

/** Everything alone, and several in a row. */
export const ACTS: readonly (readonly Deed[])[] = [
  ["expire"],
  ["compact", "expire"],
  ["roll back"],
  ["roll back", "expire"],
  ["overwrite"],
  ["overwrite", "expire"],
  ["roll back", "overwrite", "compact", "expire"],
];

/** Runs the proof: the executable, an SQL catalog on SQLite, PyIceberg, DuckDB. */
export async function proveOffsetsSurvive(proof: OffsetsProof): Promise<OffsetsReport> {
  const { bootstrap, topic, say, acts: wanted = ACTS } = proof;
  const course = await newSharedCourse({
    ...{ bootstrap, topic, partitions: PARTITIONS },
    config: { maintenance: { ...NO_MAINTENANCE, snapshot_keep_all_seconds: 0 } },
  });
  const table = new Survivor(course, proof);
  await table.restart();
  const pyiceberg = await PyIceberg.open(course);
  const acts: Record<string, number> = {};
  const snapshots: Record<string, number> = {};
  try {
    await pyiceberg.write({ do: "set", properties: TO_ONE });
    for (const deeds of wanted) {
      const act = deeds.join(", ");
      for (const deed of deeds) await table.suffer(deed, pyiceberg);
      const before = await pyiceberg.see<{ snapshots: string[] }>({ do: "judge", known: [] });
      snapshots[act] = before.snapshots.length;
      if (deeds.at(-1) === "expire" && snapshots[act] !== 1) {
        table.violations.push(`${act}: ${snapshots[act]} snapshots are left`);
      }
      await table.restart();
      acts[act] = await table.judge(act, pyiceberg);
      say(`${act}: ${snapshots[act]} snapshots, then ${acts[act]} rows`);
    }
  } finally {
    await pyiceberg.close();
  }
  const { violations } = table;
  return { acts, snapshots, ok: violations.length === 0, violations };
}

/** What PyIceberg says of the table. */
interface TableSeen {
  readonly head: string;
  readonly metadata: string;
  readonly rows: Readonly<
    Record<
      string,
      {
        readonly partitions: Readonly<Record<string, readonly unknown[]>>;
        readonly doubled: number;
      }
    >
  >;
}

class Survivor {
  readonly violations: string[];
  readonly #course: Course;
  readonly #proof: OffsetsProof;
  readonly #upkeep: Upkeep;
  #produced = 0;

  constructor(course: Course, proof: OffsetsProof) {
    this.#course = course;
    this.#proof = proof;
    this.#upkeep = new Upkeep(course, seededRandom(1), proof.say);
    this.violations = this.#upkeep.violations;
  }

  async suffer(deed: Deed, pyiceberg: PyIceberg): Promise<void> {
    if (deed === "expire" || deed === "compact") return await this.#upkeep.run(deed, 0);
    const job = deed === "overwrite" ? { do: "overwrite" } : { do: "rollback", back: 2 };
    if (!(await pyiceberg.write(job))) this.violations.push(`${deed} was refused`);
  }

  /** More events; the process dies after its first commit, and comes back. */
  async restart(): Promise<void> {
    const { bootstrap, topic, events } = this.#proof;
    await produceEvents({ bootstrap, topic, count: events, first: this.#produced });
    this.#produced += events;
    const product = await start(this.#course);
    const hasCommitted = (): boolean => {
      if (product.ended()) throw new Error(product.log().slice(-3000));
      return product.log().includes("Flush committed");
    };
    await until("a commit", hasCommitted, 60_000);
    await product.kill();
    await produceEvents({ bootstrap, topic, count: events, first: this.#produced });
    this.#produced += events;
    await runToEnd(this.#course);
  }

  /** Every retained snapshot has each row before its end once, the head has all of them. @returns its rows */
  async judge(act: string, pyiceberg: PyIceberg): Promise<number> {
    const seen = await pyiceberg.see<TableSeen>({ do: "judge", known: [] });
    for (const [id, { partitions, doubled }] of Object.entries(seen.rows)) {
      const holes = Object.values(partitions).filter((ranges) => ranges.length > 1).length;
      if (doubled + holes > 0) {
        this.violations.push(
          `${act}: snapshot ${id} has ${doubled} rows twice, ${holes} partitions with holes`,
        );
      }
    }
    const { bootstrap, topic } = this.#proof;
    const verdict = await judgeTable({
      table: { metadata: seen.metadata },
      topics: [await readTopic(bootstrap, topic)],
      readers: ["duckdb"],
      snapshots: "none",
      first: { [topic]: Object.fromEntries(Array.from({ length: PARTITIONS }, (_, p) => [p, 0])) },
      foreignWriters: true,
    });
    this.violations.push(...verdict.violations.map((each) => `${act}: ${JSON.stringify(each)}`));
    const rows = verdict.readers.duckdb?.rows ?? 0;
    if (rows !== this.#produced) {
      this.violations.push(`${act}: ${rows} rows of ${this.#produced}`);
    }
    return rows;
  }
}

/** The judge of answers over tables that follow changes: it takes what folds have, and names what none has. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { type AskedChanges, ChangesJudge } from "../../../scripts/prove/changesJudge.ts";
import { FoldedTopic } from "../../../scripts/prove/foldedTopic.ts";
import type { Body } from "../../../scripts/prove/hotJudge.ts";

const PARTITIONS = 2;
const KEYS = 20;

/** A topic, and its rows at some ends, as an engine would have them. */
class Flow {
  readonly folded: FoldedTopic = new FoldedTopic(PARTITIONS);
  readonly #changes: { readonly id: number; readonly n: number | null }[][] = [[], []];

  constructor(changes: number) {
    const random = seededRandom(4);
    for (let done = 0; done < changes; done++) {
      const id = Math.floor(random.unit() * KEYS);
      const { partition = 0, value } = this.folded.change(id, random.unit() < 0.3);
      const n = typeof value === "string" ? (JSON.parse(value) as { n: number }).n : null;
      this.#changes[partition]?.push({ id, n });
    }
  }

  rows(ends: readonly number[]): Map<number, number> {
    const rows = new Map<number, number>();
    for (const [partition, end] of ends.entries()) {
      for (const { id, n } of this.#changes[partition]?.slice(0, end) ?? []) {
        if (n === null) rows.delete(id);
        else rows.set(id, n);
      }
    }
    return rows;
  }
}

function answerOf(asked: AskedChanges, rows: ReadonlyMap<number, number>, more = {}): Body {
  const of = (partition: number): [number, number][] =>
    [...rows].filter(([id]) => id % PARTITIONS === partition);
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const states = [0, 1].map((partition) => {
    const own = of(partition);
    const weighed = sum(own.map(([id, n]) => n * (id + 1)));
    return [partition, own.length, own.length, sum(own.map(([, n]) => n)), weighed, 0];
  });
  const byKind = {
    states,
    count: [[rows.size]],
    keys: [...rows].filter(([id]) => asked.kind === "keys" && id >= asked.from && id < asked.to),
  };
  const hot_partitions = ["t/0", "t/1"];
  return { rows: byKind[asked.kind], snapshot_id: "1", hot_partitions, elapsed_ms: 1, ...more };
}

const ALL = { kind: "keys", from: 0, to: KEYS } as const;
const QUESTIONS: readonly AskedChanges[] = [{ kind: "states" }, { kind: "count" }, ALL];

test("answers at ends that never fall are taken, whatever is asked", () => {
  const flow = new Flow(600);
  const judge = new ChangesJudge(flow.folded, [0, 0]);
  const random = seededRandom(5);
  const ends = [0, 0];
  while (ends[0] !== flow.folded.end(0) || ends[1] !== flow.folded.end(1)) {
    for (const asked of QUESTIONS) {
      for (const at of [0, 1]) {
        const further = (ends[at] ?? 0) + Math.floor(random.unit() * 8);
        ends[at] = Math.min(flow.folded.end(at), further);
      }
      judge.take(asked, answerOf(asked, flow.rows(ends)));
    }
  }
  judge.take({ kind: "states" }, answerOf({ kind: "states" }, flow.rows(ends)));
  expect(judge.violations).toEqual([]);
  expect([judge.isAtEnd, judge.answers > 100, judge.covered]).toEqual([true, true, 2]);
});

test.each(QUESTIONS)("what no fold has is named: %j", (asked) => {
  const flow = new Flow(600);
  const judged = (rows: ReadonlyMap<number, number>, before: number, more = {}): string => {
    const judge = new ChangesJudge(flow.folded, [0, 0]);
    const states = { kind: "states" } as const;
    judge.take(states, answerOf(states, flow.rows([before, before])));
    judge.take(asked, answerOf(asked, rows, more));
    judge.take(states, answerOf(states, flow.rows([200, 200])));
    return judge.violations.join();
  };
  const right = flow.rows([200, 200]);
  const [[id = 0, n = 0] = []] = right;
  expect(judged(right, 200)).toBe("");
  expect(judged(new Map([...right].slice(1)), 200)).not.toBe("");
  expect(judged(new Map([...right, [KEYS - 1, 9999]]), 200) === "").toBe(
    asked.kind === "count" && right.has(KEYS - 1),
  );
  if (asked.kind === "count") return;
  expect(judged(new Map([...right, [id, n - 1]]), 200)).not.toBe("");
  // Back behind an earlier answer; allowed for a partition whose rows in memory are another process's now.
  expect(judged(flow.rows([150, 200]), 200)).toStartWith("partition 0");
  expect(judged(flow.rows([150, 200]), 200, { hot_partitions: ["t/1"] })).toBe("");
  expect(judged(flow.rows([200, 150]), 200, { hot_partitions: ["t/1"] })).toStartWith(
    "partition 1",
  );
});

test("rows that are there twice, or are made of two changes, are named", () => {
  const flow = new Flow(100);
  const judge = new ChangesJudge(flow.folded, [0, 0]);
  const [even = [], odd = []] = answerOf({ kind: "states" }, flow.rows([40, 40])).rows;
  const states = [even.with(2, Number(even[1]) - 1), odd.with(5, 3)];
  judge.take({ kind: "states" }, { ...answerOf({ kind: "states" }, new Map()), rows: states });
  const { rows } = answerOf(ALL, flow.rows([40, 40]));
  judge.take(ALL, { ...answerOf(ALL, new Map()), rows: [...rows, ...rows.slice(0, 1)] });
  const [keys, torn, twice] = judge.violations;
  expect(keys).toContain("keys");
  expect(torn).toContain("3 rows of two changes");
  expect(twice).toContain("twice");
});

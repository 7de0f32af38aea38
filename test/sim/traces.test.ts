/**
 * Every trace in which the exhaustive model broke an earlier wording of the rules, played against
 * the writer: it departs from the trace where the rules now say otherwise, the law holds after every
 * step, and nobody is stuck at the end (test/fixtures/model/README.md).
 */
import "./syncZlib.ts";
import { expect, test } from "bun:test";
import type { Trace } from "./traceSim.ts";

const { parseTraces, play } = await import("./traceSim.ts");

const SOURCES = ["spec", "ablation", "stops", "tables"] as const;
const traces: Trace[] = [];
for (const source of SOURCES) {
  const text = await Bun.file(`${import.meta.dir}/../fixtures/model/${source}.txt`).text();
  traces.push(...parseTraces(source, text));
}

/** Traces of worlds that the player does not have (it has one writer of one table), by the beginning of their run's name. */
const NOT_APPLICABLE: readonly { readonly run: RegExp; readonly reason: string }[] = [
  {
    run: /^verdicts/,
    reason: "several tables of one feed are the pipeline simulation's (SPEC 2.8)",
  },
  { run: /^routing/, reason: "tables named by records are the pipeline simulation's (SPEC 2.8)" },
];

const reasonOf = ({ run }: Trace): string | undefined =>
  NOT_APPLICABLE.find((each) => each.run.test(run))?.reason;
const played = traces.filter((trace) => reasonOf(trace) === undefined);

/**
 * Where the writer leaves the trace, by run and violation: an earlier wording acted there, ours does
 * not. Traces that are not named here run to their end.
 */
const DEPARTURES: Readonly<Record<string, readonly string[]>> = {
  "the same, crash, lost reply: DANGLING": ["6: no such request was sent"],
  "the same, crash, lost reply: BROKEN HISTORY": ["6: nothing is removed"],
  "rollback, foreign, crash, lost reply; catalog checks sequence numbers: BROKEN HISTORY": [
    "6: nothing is removed",
  ],
  '"may be deleted" read alone: BROKEN HISTORY': ["6: nothing is removed"],
  "rewrites: DOUBLED": ["7: the rewrite is dropped", "8: no such request was sent"],
  "rewrites, lost reply, inputs checked: BROKEN HISTORY": ["10: nothing is removed"],
  "Nessie, rollback, foreign, crash, lost reply: DANGLING": ["6: the catalog refuses it"],
  "without rebase=drop: DANGLING": ["7: no such request was sent"],
  "without delete=fixed: BROKEN HISTORY": ["8: the rewrite is dropped", "9: nothing is removed"],
  "without inputs=True: DOUBLED": ["7: the rewrite is dropped", "8: no such request was sent"],
  "without undecided=seq: DANGLING": ["6: no such request was sent"],
  "without grace=True: DANGLING": ["6: the catalog refuses it"],
  "first position, compared with nothing: LOST or out of range": ["5: B is fenced"],
};

const titleOf = ({ run, violation }: Trace): string => `${run}: ${violation.split(":")[0]}`;

for (const trace of played) {
  for (const compareAndSet of ["sequence", "pointer"] as const) {
    test(`${trace.source}, ${titleOf(trace)} (${compareAndSet}) does not happen`, async () => {
      const { violations, departures, stopped } = await play(trace, compareAndSet);
      expect({ violations, departures, stopped }).toEqual({
        violations: [],
        departures: [...(DEPARTURES[titleOf(trace)] ?? [])],
        // Where no own ancestor is in sight, the earlier metadata files tell.
        stopped: false,
      });
    }, 60_000);
  }
}

test("every trace of the model is played, or listed with a reason", () => {
  const count = (source: string, list: readonly Trace[]): number =>
    list.filter((trace) => trace.source === source).length;
  const counts = SOURCES.map((source) => [source, count(source, traces), count(source, played)]);
  expect(counts).toEqual([
    ["spec", 16, 16],
    ["ablation", 7, 7],
    ["stops", 2, 2],
    ["tables", 15, 1],
  ]);
  const listed = traces.filter((trace) => reasonOf(trace) !== undefined);
  expect(listed.length + played.length).toBe(traces.length);
});

test("no violation that the model printed is left out by the reading of its output", async () => {
  for (const source of SOURCES) {
    const text = await Bun.file(`${import.meta.dir}/../fixtures/model/${source}.txt`).text();
    const first = /^ {3}(?:LOST|DOUBLED|DANGLING|BROKEN|STUCK)|^as written.*(?=\n {3}A)/gm;
    const found = traces.filter((trace) => trace.source === source);
    expect({ source, count: found.length }).toEqual({
      source,
      count: text.match(first)?.length ?? 0,
    });
  }
});

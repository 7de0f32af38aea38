/**
 * Statements that want something that SQL may not do: nothing outside is touched, each ends at its
 * limit, and the engine goes on.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Arena, type Fate } from "../../../scripts/prove/arena.ts";
import { HOSTILE, type Verdict } from "../../../scripts/prove/hostileSql.ts";

const TIMEOUT_MS = 500;
/** What ending its process, and starting the next, may take where others want the machine too. */
const SLACK_MS = 5000;
const PATIENCE_MS = 30_000;

let arena: Arena;

beforeAll(async () => {
  arena = await Arena.open(TIMEOUT_MS);
  await arena.run("SELECT 1");
}, 60_000);
afterAll(() => arena.close());

/** True when a fate is one of those that a verdict allows. */
function isAllowed(verdict: Verdict, { kind, text }: Fate): boolean {
  switch (verdict) {
    case "refused":
      return kind === "error" && !/Out of Memory|more than \d+ rows/.test(text);
    case "stopped":
      return kind !== "answered";
    case "harmless":
      return true;
  }
}

test("there are two hundred hostile statements and more, each another", () => {
  const all = new Set(HOSTILE.map(([sql]) => sql));
  expect(all.size).toBe(HOSTILE.length);
  expect(all.size).toBeGreaterThan(200);
});

/** What a statement did that it may not do. */
async function wrongs(sql: string, verdict: Verdict): Promise<string[]> {
  // What never runs has no time of its own: a busy machine may take long to refuse it.
  const timeoutMs = verdict === "refused" ? PATIENCE_MS : TIMEOUT_MS;
  const fate = await arena.run(sql, timeoutMs);
  const found = arena.effects(fate);
  if (!isAllowed(verdict, fate)) found.push(`${fate.kind}: ${fate.text.slice(0, 200)}`);
  if (fate.ms > timeoutMs + SLACK_MS) found.push("it cannot be ended");
  const next = await arena.run("SELECT 41 + 1 AS n", PATIENCE_MS);
  if (!next.text.includes("[[42]]")) found.push(`then nothing goes: ${next.text}`);
  return found.map((each) => `${sql}: ${each}`);
}

for (const wanted of ["refused", "stopped", "harmless"] as const) {
  test(`one that has to be ${wanted} has no effect outside, and the next one is answered`, async () => {
    const wrong: string[] = [];
    for (const [sql, verdict] of HOSTILE) {
      if (verdict === wanted) wrong.push(...(await wrongs(sql, verdict)));
    }
    expect(wrong).toEqual([]);
  }, 240_000);
}

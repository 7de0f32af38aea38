/**
 * Whatever statement comes, nothing outside is touched, it ends at its limit, and the table is as it was
 * (SPEC section 7). `FUZZ_SECONDS` of statements (default 8) from `FUZZ_SEED` (default: of today).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { Instance } from "#sql/duckdb/instance.ts";
import { locateLibrary } from "#sql/library.ts";
import { Arena } from "../../scripts/prove/arena.ts";
import { type Functions, type Signature, Statements } from "../../scripts/prove/statements.ts";

const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 8);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const TIMEOUT_MS = 300;
/** What ending its process, and starting the next, may take where others want the machine too. */
const SLACK_MS = 15_000;
/** What a statement that is answered at once may take there, an engine that begins included. */
const PATIENCE_MS = 120_000;

let arena: Arena;

/** Time for which this process was stopped (SIGSTOP: somebody measures on this machine) is no statement's. */
const stopped = { ms: 0, beats: [performance.now(), performance.now()] };
const heart = setInterval(() => (stopped.beats = [stopped.beats[1] ?? 0, performance.now()]), 200);
process.on("SIGCONT", () => {
  const [before = 0, last = 0] = stopped.beats;
  // The heart may have beaten again before this signal is told.
  stopped.ms += Math.max(last - before, performance.now() - last);
});

beforeAll(async () => {
  arena = await Arena.open(TIMEOUT_MS);
  await arena.run("SELECT 1", PATIENCE_MS);
}, 2 * PATIENCE_MS);
afterAll(async () => {
  clearInterval(heart);
  await arena.close();
});

async function functionsOfEngine(): Promise<Functions> {
  const instance = new Instance({ library: await locateLibrary(null), memoryBytesMax: 1e8 }, []);
  const rows = instance.rows(
    "SELECT DISTINCT function_name, function_type, to_json(coalesce(parameter_types, []))::VARCHAR FROM duckdb_functions() ORDER BY ALL",
  );
  instance.close();
  const of = (...types: string[]): Signature[] =>
    rows.flatMap(([name, type, parameters]) => {
      if (name == null || !types.includes(type ?? "")) return [];
      return [{ name, parameters: JSON.parse(parameters ?? "[]").map(String) }];
    });
  return {
    scalar: of("scalar", "macro"),
    aggregate: of("aggregate", "window"),
    table: of("table", "table_macro", "pragma"),
  };
}

test(
  `no statement has an effect outside, and each ends (seed ${SEED})`,
  async () => {
    const statements = new Statements(seededRandom(SEED), await functionsOfEngine());
    const began = performance.now();
    const isTime = (): boolean => performance.now() - began - stopped.ms < SECONDS * 1000;
    const fates = { answered: 0, error: 0, late: 0 };
    let faults = 0;
    const wrong: string[] = [];
    while (isTime() && wrong.length === 0) {
      const sql = statements.next();
      const stoppedBefore = stopped.ms;
      const fate = await arena.run(sql);
      fates[fate.kind]++;
      for (const effect of arena.effects(fate)) wrong.push(`${effect}: ${sql}`);
      // A fault of DuckDB's own in a statement is that statement's alone: the next one is answered.
      if (/INTERNAL Error/i.test(fate.text)) faults++;
      const { text } = await arena.run("SELECT 41 + 1 AS n, count(*) AS rows FROM t", PATIENCE_MS);
      const late: string[] = [];
      if (fate.ms > TIMEOUT_MS + SLACK_MS) late.push(`it cannot be ended: ${sql}`);
      if (!text.includes("[[42, 0]]") && !text.includes("[[42,0]]")) {
        late.push(`then nothing goes (${text}): ${sql}`);
      }
      if (late.length === 0) continue;
      // Timers that are due come before the signal.
      await Bun.sleep(1000);
      if (stopped.ms === stoppedBefore) wrong.push(...late);
    }
    console.log(
      `statements: ${JSON.stringify(fates)}, ${faults} faults of DuckDB's own, stopped for ${Math.round(stopped.ms / 1000)} s`,
    );
    expect(wrong).toEqual([]);
    expect(fates.answered).toBeGreaterThan(0);
    expect(fates.error).toBeGreaterThan(0);
  },
  // Twice: a machine may stand still as long as it goes.
  2 * SECONDS * 1000 + 60_000,
);

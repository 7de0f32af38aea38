/**
 * All tests, `npm test` or `bun run test`: the gate, the executable, then every suite with real services.
 *
 * Installs what they need (services/cache.ts). The last line is always `N passed, N failed`; the exit
 * code is 1 when something failed. A name as argument runs only the suites whose path contains it.
 *
 * Two suites run side by side, since most of a suite's time is waiting for services; a suite's output is printed
 * when it ends. A suite with real services that failed is run once more, alone, because machines are noisy; never
 * when rows were lost or doubled. Both tries are told at the end, with what went wrong.
 */
import { withScratch } from "./scratch.ts";
import { readersPython } from "./services/cache.ts";
import { keep } from "./services/process.ts";

interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

/** What a command wrote, both streams, and its exit code. */
interface Ran {
  readonly code: number;
  readonly output: string;
}

/** A suite may not hang: a broker start, a million events and kills fit well into this, the hunt on two slow cores too. */
const SUITE_TIMEOUT_MS = 35 * 60_000;
const TEST_TIMEOUT_MS = 300_000;

const only = process.argv[2];
/** What may never be excused by a second try: a broken law of SPEC section 2. */
const LAW = /\b(?:breaks the law|LOST|DOUBLED|AHEAD|DANGLING|BROKEN HISTORY)\b/;
/** Lines of output before a failed test that usually hold its error. */
const FAILURE_LINES = 30;

/** Suites at a time: a suite has one or two heavy services, and keeps about one core busy. */
const LANES = 2;

const outcomes: Outcome[] = [];
/** Suites that get a second try. */
const again: string[] = [];
const slow: string[] = [];
const troubles: string[] = [];

if (only === undefined) outcomes.push(await gate());
outcomes.push(await prepare("build dist/kafka-iceberg", [process.execPath, "scripts/build.ts"]));
await readersPython();
// Schedules of the simulations; the gate runs a few only, `scripts/prove/sim.ts` as many as one likes.
process.env["SIM_SCHEDULES"] ??= "300";
process.env["SIM_PIPELINES"] ??= "120";
process.env["SIM_UPSERTS"] ??= "60";
const all = suites();
// The hunt for deliberate mistakes takes every core by itself.
await sideBySide(1, all.filter(isHunt), first);
await sideBySide(
  LANES,
  all.filter((path) => !isHunt(path)),
  first,
);
await sideBySide(1, again, second);
console.log(`\nSuites with real services, and simulations:\n${slow.join("\n")}\n`);
for (const trouble of troubles) console.log(trouble);
const total = (what: keyof Outcome): number => outcomes.reduce((sum, one) => sum + one[what], 0);
console.log(`${total("passed")} passed, ${total("failed")} failed`);
process.exit(total("failed") === 0 ? 0 : 1);

/** Runs a suite; it is left for a second try where that is allowed. */
async function first(path: string): Promise<void> {
  const ran = await suite(path);
  const outcome = counted(ran);
  const mayTryAgain = path.includes("conformance/") && !LAW.test(ran.output);
  if (outcome.failed > 0) troubles.push(`First try of ${path}:\n${failures(ran.output)}\n`);
  if (outcome.failed > 0 && mayTryAgain) again.push(path);
  else outcomes.push(outcome);
}

async function second(path: string): Promise<void> {
  const ran = await suite(path);
  const outcome = counted(ran);
  if (outcome.failed > 0) troubles.push(`Second try of ${path}:\n${failures(ran.output)}\n`);
  else troubles.push(`${path} passed at the second try\n`);
  outcomes.push(outcome);
}

async function suite(path: string): Promise<Ran> {
  const command = [process.execPath, "test", `./${path}`, `--timeout=${TEST_TIMEOUT_MS}`];
  const began = performance.now();
  console.log(`running ${path}`);
  const ran = await held(command);
  process.stdout.write(`\n${ran.output}`);
  slow.push(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${path}`);
  return ran;
}

/** Takes each path in turn, as many at a time as there are lanes. */
async function sideBySide(
  lanes: number,
  paths: readonly string[],
  take: (path: string) => Promise<void>,
): Promise<void> {
  const waiting = [...paths];
  const lane = async (): Promise<void> => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) await take(path);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function isHunt(path: string): boolean {
  return path.endsWith("/mutations.test.ts");
}

/** Each failed test with the lines before it; the end of the output when no test says so. */
function failures(output: string): string {
  const lines = output.split("\n");
  const failed = lines.flatMap((line, index) => (line.startsWith("(fail)") ? [index] : []));
  if (failed.length === 0) return lines.slice(-FAILURE_LINES).join("\n");
  return failed
    .map((index) => lines.slice(Math.max(0, index - FAILURE_LINES), index + 1).join("\n"))
    .join("\n...\n");
}

/** Suites that the gate does not run, or only in part. */
/** Simulations first: the longest suite would else run last, beside nothing. */
function suites(): string[] {
  const folders = new Bun.Glob("test/{conformance,sim}/**/*.test.ts");
  const found = [...folders.scanSync(".")].sort().reverse();
  return found.filter((path) => only === undefined || path.includes(only));
}

/** Each step of the gate counts as one, its tests one by one. */
async function gate(): Promise<Outcome> {
  const { code, output } = await teed([process.execPath, "scripts/check.ts"]);
  if (code !== 0) troubles.push(`The gate:\n${failures(output)}\n`);
  const tests = counted({ code: 0, output });
  const steps = [...output.matchAll(/^(ok|FAIL) +(.*)$/gm)].filter(
    ([, , name]) => !(name?.startsWith("fast tests") === true && tests.passed + tests.failed > 0),
  );
  const failedSteps = steps.filter(([, result]) => result === "FAIL").length;
  const failed = tests.failed + failedSteps;
  return {
    passed: tests.passed + steps.length - failedSteps,
    failed: code !== 0 && failed === 0 ? 1 : failed,
  };
}

async function prepare(name: string, command: readonly string[]): Promise<Outcome> {
  console.log(`\n${name}`);
  const { code } = await teed(command);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** Counts from bun's summary; a crash, or a suite without a summary, is one failure. */
function counted({ code, output }: Ran): Outcome {
  const sum = (word: string): number =>
    [...output.matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))]
      .map((match) => Number(match[1]))
      .reduce((a, b) => a + b, 0);
  const failed = sum("fail");
  return { passed: sum("pass"), failed: code !== 0 && failed === 0 ? 1 : failed };
}

/** Runs a command whose output is shown as it comes. */
function teed(command: readonly string[]): Promise<Ran> {
  return spawned(command, (chunk) => process.stdout.write(chunk));
}

/** Runs a command whose output is kept. */
function held(command: readonly string[]): Promise<Ran> {
  return spawned(command, () => undefined);
}

function spawned(command: readonly string[], show: (chunk: Uint8Array) => void): Promise<Ran> {
  return withScratch((env) => spawnedIn(env, command, show));
}

async function spawnedIn(
  env: Readonly<Record<string, string>>,
  command: readonly string[],
  show: (chunk: Uint8Array) => void,
): Promise<Ran> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...env },
  });
  keep(child);
  const timer = setTimeout(() => child.kill("SIGKILL"), SUITE_TIMEOUT_MS);
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      show(chunk);
      output += decoder.decode(chunk, { stream: true });
    }
  };
  await Promise.all([read(child.stdout), read(child.stderr)]);
  const code = await child.exited;
  clearTimeout(timer);
  return { code, output };
}

/**
 * `load-test`: produces into a scratch topic at a steady rate, ingests it, and says whether that held
 * (SPEC section 3). Nothing of the person's is touched, and what was made is removed.
 */
import { isatty } from "node:tty";
import { describe, EXIT, type ExitCode, fail } from "#base/errors.ts";
import { writePortableJson } from "#base/json.ts";
import type { Build, Terminal } from "#cli/actions.ts";
import type { ParsedArguments } from "#cli/arguments.ts";
import { openConfig, systemParts } from "#cli/open.ts";
import { EVENT_BYTES } from "./batches.ts";
import type { LoadTestJob, LoadTestState } from "./job.ts";
import { count, figuresJson, figuresText, progressText, shortfall } from "./report.ts";
import { runLoadTest } from "./run.ts";
import { removeScratch, type Scratch, scratchOf } from "./scratch.ts";
import { verifyTable } from "./verify.ts";

const STANDARD_ERROR = 2;
const IS_TERMINAL = isatty(STANDARD_ERROR);
/** Takes the line of a terminal away. */
const CLEAR = IS_TERMINAL ? "\r\u001B[2K" : "";
/** How often what happens is told: on a terminal in one line, elsewhere in lines. */
const EVERY_MS = { terminal: 500, lines: 2000 } as const;
const START: LoadTestState = {
  passedMs: 0,
  produced: 0,
  behindMs: 0,
  ingested: 0,
  committed: 0,
  bufferedBytes: 0,
};

/** Numbers of the command line with their defaults and bounds. */
const NUMBERS = {
  rate: { default: 1_000_000, min: 1, max: 1_000_000_000 },
  seconds: { default: 60, min: 1, max: 86_400 },
  bytes: { default: 270, ...EVENT_BYTES },
  partitions: { default: 6, min: 1, max: 1000 },
} as const;

/** What the command works with. */
export interface LoadTestParts {
  /** Produces, ingests and measures; default: {@link runLoadTest}. */
  readonly run?: typeof runLoadTest;
  readonly terminal: Terminal;
  readonly build: Build;
  /** Ends it early, in order. */
  readonly stop: AbortSignal;
}

/** Runs the command; exit 1 when the rate was not held, or a row is missing or doubled. */
export async function loadTestCommand(
  parsed: ParsedArguments,
  parts: LoadTestParts,
): Promise<ExitCode> {
  const numbers = {
    rate: numberOf(parsed, "rate"),
    seconds: numberOf(parsed, "seconds"),
    eventBytes: numberOf(parsed, "bytes"),
    partitions: numberOf(parsed, "partitions"),
  };
  const opened = await openConfig(parsed, "inspect");
  const id = systemParts.random.uuid().slice(0, 8);
  const scratch = await scratchOf(opened, parsed.value("pipeline") ?? null, id);
  const keep = parsed.flag("keep");
  const { rate, seconds, eventBytes, partitions } = numbers;
  const gigabytes = ((rate * seconds * eventBytes) / 1e9).toFixed(1);
  parts.terminal.err(
    `${count(rate)} rows/s of ${eventBytes} bytes for ${seconds} s (${gigabytes} GB in Kafka) ` +
      `into topic ${scratch.name}, ${partitions} partitions\n`,
  );
  try {
    const job = { ...numbers, ...parts.build, topic: scratch.name, keep, ...shown(parts.terminal) };
    return await test(scratch, job, parsed.flag("json"), parts);
  } finally {
    if (keep) parts.terminal.err(`Kept: topic ${scratch.name}, table in ${scratch.warehouse}\n`);
    else await removeAtLast(scratch, parts.terminal);
  }
}

async function test(
  scratch: Scratch,
  job: LoadTestJob,
  json: boolean,
  { run = runLoadTest, terminal, stop }: LoadTestParts,
): Promise<ExitCode> {
  const { config, environment } = scratch;
  const figures = await run(config, environment, job, stop).finally(() => terminal.err(CLEAR));
  const verified = await verifyTable(scratch, figures);
  const text = json
    ? `${writePortableJson(figuresJson(job, figures, verified), 2)}\n`
    : figuresText(job, figures, verified);
  terminal.out(text);
  if (figures.exit === "stopped") {
    terminal.err("Stopped before its time: nothing is said of the rate\n");
    return EXIT.ok;
  }
  const missed = verified.problem ?? shortfall(job, figures);
  if (missed === null) return EXIT.ok;
  terminal.err(`${missed}\n`);
  return EXIT.failed;
}

/** What happens, on standard error: a line that changes on a terminal, lines elsewhere. */
function shown(terminal: Terminal): Pick<LoadTestJob, "everyMs" | "progress" | "log"> {
  const width = (process.stderr.columns || 80) - 1;
  let before = START;
  return {
    everyMs: IS_TERMINAL ? EVERY_MS.terminal : EVERY_MS.lines,
    progress: (state) => {
      const text = progressText(before, state);
      before = state;
      terminal.err(IS_TERMINAL ? `${CLEAR}${text.slice(0, width)}\r` : `${text}\n`);
    },
    log: (line) => terminal.err(`${CLEAR}${line}`),
  };
}

async function removeAtLast(scratch: Scratch, terminal: Terminal): Promise<void> {
  try {
    await removeScratch(scratch);
  } catch (error) {
    terminal.err(`Left behind: ${scratch.warehouse} (${describe(error)})\n`);
  }
}

function numberOf(parsed: ParsedArguments, name: keyof typeof NUMBERS): number {
  const bounds = NUMBERS[name];
  const text = parsed.value(name);
  if (text === undefined) return bounds.default;
  const value = /^\d[\d_]*$/.test(text) ? Number(text.replaceAll("_", "")) : Number.NaN;
  if (value >= bounds.min && value <= bounds.max) return value;
  throw fail("usage", `--${name} ${text}: must be a number from ${bounds.min} to ${bounds.max}`);
}

/**
 * One command, from the words of the command line to the exit code; `main.ts` loads it.
 */
import { describeTopics } from "#app/describeTopics.ts";
import { runApp } from "#app/runApp.ts";
import { suggest } from "#app/suggest.ts";
import { systemClock } from "#base/clock.ts";
import { systemRandom } from "#base/random.ts";
import { runProgram } from "#cli/program.ts";
import { BUILD } from "#cli/version.ts";
import { deadLetterCommand } from "#letters/command.ts";
import { linesOf, PRODUCER_WORD, runProducer } from "#loadtest/child.ts";
import { loadTestCommand } from "#loadtest/command.ts";
import { replayCommand } from "#replay/command.ts";

const stop = new AbortController();
const words = process.argv.slice(2);
if (words[0] === PRODUCER_WORD) {
  // Ctrl-C reaches every process of a terminal: the load test itself decides how this one ends.
  process.on("SIGINT", () => undefined);
  const lines = linesOf(Bun.stdin.stream());
  const write = (line: string): void => void process.stdout.write(line);
  await runProducer({ clock: systemClock, random: systemRandom, lines, write });
  process.exit(0);
}
const ENDED_BY_SIGINT = ["log", "load-test", "maintenance"];
if (ENDED_BY_SIGINT.includes(words[0] ?? "")) process.once("SIGINT", () => stop.abort());
if (words[0] === "load-test") process.once("SIGTERM", () => stop.abort());

const exitCode = await runProgram(words, {
  actions: {
    run: runApp,
    describeTopics,
    suggest,
    loadTest: loadTestCommand,
    deadLetter: deadLetterCommand,
    replay: replayCommand,
  },
  terminal: {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    ...(process.stderr.isTTY
      ? { progress: (line: string) => void process.stderr.write(`\r\u001B[2K${line}`) }
      : {}),
  },
  build: BUILD,
  stop: stop.signal,
});
// What was written to a pipe is let through before the process ends, whatever is still open.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit(exitCode);

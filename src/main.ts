/**
 * The process's entry: hands the command line to `cli/` and ends with its exit code.
 */
import { describeTopics } from "./app/describeTopics.ts";
import { runApp } from "./app/runApp.ts";
import { runProgram } from "./cli/program.ts";
import { BUILD } from "./cli/version.ts";

const stop = new AbortController();
const words = process.argv.slice(2);
if (words[0] === "log") process.once("SIGINT", () => stop.abort());

const exitCode = await runProgram(words, {
  actions: { run: runApp, describeTopics },
  terminal: {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  },
  build: BUILD,
  stop: stop.signal,
});
// What was written to a pipe is let through before the process ends, whatever is still open.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit(exitCode);

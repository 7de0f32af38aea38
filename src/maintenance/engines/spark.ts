/**
 * Statements in the user's own Spark: a small program, handed to `spark-submit` or whatever the user says, which
 * has the session that its own configuration makes (catalogs, a cluster, or Spark Connect by `--remote`).
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail } from "#base/errors.ts";

/** Rows of an answer, as Spark's own names and values, which are numbers or texts. */
export type EngineRow = Readonly<Record<string, unknown>>;

/**
 * With its statements inside: Linux takes 128 KiB as one argument, which 6,000 snapshots to expire are beyond, and a
 * file beside it would not be where a cluster runs the program. A JSON text of a JSON text is a text in Python too.
 */
function programOf(statements: readonly string[]): string {
  return `import json
from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("kafka-iceberg maintenance").getOrCreate()
for statement in json.loads(${JSON.stringify(JSON.stringify(statements))}):
    rows = [row.asDict(recursive=True) for row in spark.sql(statement).collect()]
    print("KAFKA-ICEBERG " + json.dumps(rows, default=str), flush=True)
spark.stop()
`;
}

const ANSWER = "KAFKA-ICEBERG ";
/** Of what Spark says of a failure. */
const SHOWN_LINES = 12;

/**
 * Runs statements one after the other.
 * @param command words that run a Python program in Spark, e.g. `spark-submit --remote sc://host:15002`
 * @returns the answer of each
 * @throws AppError `query_engine` with the end of what Spark said, `usage` when the command is not there, `stopped`
 */
export async function runInSpark(
  command: readonly string[],
  statements: readonly string[],
  stop: AbortSignal,
): Promise<readonly (readonly EngineRow[])[]> {
  const folder = await mkdtemp(join(tmpdir(), "kafka-iceberg-spark-"));
  try {
    const program = join(folder, "maintenance.py");
    await Bun.write(program, programOf(statements));
    return await submit([...command, program], statements.length, stop);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function submit(
  command: readonly string[],
  count: number,
  stop: AbortSignal,
): Promise<readonly (readonly EngineRow[])[]> {
  const child = spawn(command);
  const end = (): void => child.kill("SIGTERM");
  stop.addEventListener("abort", end, { once: true });
  try {
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (stop.aborted) throw fail("stopped", "Stopped on request; Spark may have done some of it");
    const lines = out.split("\n").filter((line) => line.startsWith(ANSWER));
    if (code === 0 && lines.length === count) {
      const answers = lines.map((line) => JSON.parse(line.slice(ANSWER.length)) as EngineRow[]);
      refuseFailed(answers);
      return answers;
    }
    const said = err.trim().split("\n").slice(-SHOWN_LINES).join("\n");
    throw fail(
      "query_engine",
      `Spark ended with code ${code}, ${lines.length} of ${count} statements done:\n${said}`,
    );
  } finally {
    stop.removeEventListener("abort", end);
  }
}

/** With partial progress a rewrite of which every part failed ends well. */
function refuseFailed(answers: readonly (readonly EngineRow[])[]): void {
  const failed = answers.flat().reduce((sum, row) => sum + Number(row[FAILED_FILES] ?? 0), 0);
  if (failed === 0) return;
  throw fail("query_engine", `Spark could not rewrite ${failed} files; its own log says why`);
}

const FAILED_FILES = "failed_data_files_count";

function spawn(command: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  try {
    return Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  } catch (cause) {
    const sentence = `${command[0]} cannot be run: name your Spark by --engine-command "spark-submit ..."`;
    throw fail("usage", sentence, {}, cause);
  }
}

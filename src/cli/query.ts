/**
 * `query`: SQL over the tables of the configuration without a running process, or, with `--url`, by one
 * (SPEC section 3).
 */
import { EXIT, type ExitCode, fail, kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { type SyncPoint, syncPoints } from "#commit/syncPoints.ts";
import { folders, queryCopies } from "#config/buildProcess.ts";
import { cacheFolder } from "#config/environment.ts";
import {
  type Answered,
  answerQuestion,
  type Engine,
  nothingInMemory,
  type Sources,
} from "#sql/answer.ts";
import { Database, type ValueForm } from "#sql/database.ts";
import { FileCopies } from "#sql/fileCopies.ts";
import { locateLibrary } from "#sql/library.ts";
import { writeAnswer } from "#sql/output.ts";
import { type SnapshotChoice, timeOf } from "#sql/snapshotChoice.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { askProcess, type RemoteQuestion } from "./askProcess.ts";
import { loadTables } from "./inspect.ts";
import { searchProgress } from "./offsets.ts";
import { type Opened, openConfig, withPipeline, withTable } from "./open.ts";

/** Of `table`: who looks at more asks for another format, or for less. */
const SHOWN_ROWS_MAX = 40;
const FORMATS = ["table", "json", "csv", "arrow"] as const;

/** Runs `query "<sql>"`. */
export async function queryCommand(parsed: ParsedArguments, terminal: Terminal): Promise<ExitCode> {
  const format = formatOf(parsed.value("format") ?? "table");
  const url = parsed.value("url");
  if (url !== undefined) {
    terminal.out(await askRunning(parsed, url, format));
    return EXIT.ok;
  }
  const opened = await openConfig(parsed, "inspect");
  const library = await locateLibrary(cacheFolder(opened.environment));
  const database = new Database({ library, memoryBytesMax: LIMITS.queryBytesMax });
  const copies = new FileCopies({ ...queryCopies(opened.config, opened.environment), name: "ask" });
  try {
    const question = {
      sql: parsed.value("sql") ?? "",
      parameters: [],
      rowsMax: Number.POSITIVE_INFINITY,
      bytesMax: Number.POSITIVE_INFINITY,
      snapshot: snapshotOf(parsed),
    };
    const ask = <A>(engine: Engine<A>, form: ValueForm): Promise<Answered<A>> =>
      answerQuestion(engine, sourcesOf(opened), { ...question, form }, copies.begin());
    if (format === "arrow") {
      terminal.out((await ask(database.arrow, "arrow")).answer);
    } else {
      const { answer } = await ask(database, format === "json" ? "json" : "text");
      terminal.out(writeAnswer(answer, format, SHOWN_ROWS_MAX));
    }
    return EXIT.ok;
  } finally {
    database.close();
    await copies.close();
  }
}

/** The token comes from the configuration, which is needed for nothing else. */
async function askRunning(
  parsed: ParsedArguments,
  url: string,
  format: (typeof FORMATS)[number],
): Promise<string | Uint8Array> {
  const time = timeParameters(snapshotOf(parsed));
  const { config } = await openConfig(parsed, "inspect");
  return askProcess({
    ...{ url, format, shownMax: SHOWN_ROWS_MAX, time },
    token: config.values["server.query_token"],
    sql: parsed.value("sql") ?? "",
  });
}

/** A choice as `/query` takes it. */
function timeParameters(choice: SnapshotChoice): RemoteQuestion["time"] {
  switch (choice.kind) {
    case "current":
      return {};
    case "id":
      return { snapshot: String(choice.id) };
    case "time":
      return { as_of: new Date(choice.timeMs).toISOString() };
  }
}

/** The tables of the configuration's catalogs, and its log. */
function sourcesOf(opened: Opened): Sources {
  return {
    useTable: async (name, part, use) => {
      if (part === "memory") throw nothingInMemory();
      let answer: { readonly value: Awaited<ReturnType<typeof use>> } | null = null;
      try {
        await withTable(opened, name, true, async ({ table }) => {
          answer = { value: await use({ table, hot: null }) };
        });
      } catch (error) {
        if (answer !== null || kindOf(error) !== "table_missing") throw error;
      }
      return (answer ?? { value: await use(null) }).value;
    },
    tableNames: () => [],
    syncPoints: () => syncPointsOf(opened),
    logFolder: folders(opened.config, opened.environment).txlog.dir,
  };
}

/** Offsets of every table of the pipelines' databases. */
async function syncPointsOf({ config }: Opened): Promise<SyncPoint[]> {
  const points: SyncPoint[] = [];
  for (const pipeline of config.pipelines) {
    await withPipeline(pipeline, true, async (open) => {
      for (const table of await loadTables(open)) {
        points.push(...syncPoints(table, await searchProgress({ ...open, table })));
      }
    });
  }
  return points;
}

function formatOf(word: string): (typeof FORMATS)[number] {
  const found = FORMATS.find((each) => each === word);
  if (found !== undefined) return found;
  throw fail("usage", `--format is ${FORMATS.join(", ")}; ${word} is none of them`);
}

function snapshotOf(parsed: ParsedArguments): SnapshotChoice {
  const id = parsed.value("snapshot");
  const time = parsed.value("as-of");
  if (id !== undefined && time !== undefined) {
    throw fail("usage", "--snapshot and --as-of both name a time of the tables: give one");
  }
  if (time !== undefined) return { kind: "time", timeMs: timeOf(time) };
  if (id === undefined) return { kind: "current" };
  if (/^\d+$/.test(id)) return { kind: "id", id: BigInt(id) };
  throw fail("usage", `--snapshot is a snapshot's id, a number; ${id} is none`);
}

/**
 * The SQL engine as a child of the process that has the tables: one call after the other. What a statement
 * takes or breaks is this process's alone, and its parent ends it at any moment.
 */
import { describe, EXIT, fail, kindOf } from "#base/errors.ts";
import { confine } from "./confine.ts";
import { Database, type Run } from "./database.ts";
import { locateLibrary } from "./library.ts";
import { writeBytes } from "./output.ts";
import type { Call, EngineOptions, Reply } from "./protocol.ts";

let engine: Database | null = null;

process.on("message", (call: Call) => void take(call));
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches every process of a terminal: the parent decides when this one ends.
process.on("SIGINT", () => undefined);

async function take(call: Call): Promise<void> {
  const { id } = call;
  try {
    if (call.type === "run") {
      for (const piece of piecesOf(run(call.run))) await reply({ id, piece });
      return await reply({ id, isWhole: true });
    }
    const value = call.type === "open" ? await open(call.options) : await answer(call);
    await reply({ id, value });
  } catch (error) {
    // One that did not open may not be bound.
    const isLast = engine === null || engine.isBroken;
    await reply({ id, error: { kind: kindOf(error), message: describe(error), isLast } });
    if (isLast) process.exit(EXIT.failed);
  }
}

/** Resolves when the parent can read it. */
function reply(message: Reply): Promise<void> {
  return new Promise((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
}

async function open({
  cacheFolder,
  memoryBytesMax,
  processBytesMax,
}: EngineOptions): Promise<null> {
  const library = await locateLibrary(cacheFolder);
  const database = new Database({ library, memoryBytesMax });
  confine(processBytesMax);
  engine = database;
  return null;
}

function opened(): Database {
  if (engine === null) throw fail("query_engine", "The SQL engine is not open");
  return engine;
}

/** Runs a statement: its answer as it is sent. */
function run(asked: Run): Uint8Array {
  return asked.form === "arrow"
    ? opened().runArrow(asked)
    : writeBytes(opened().run(asked), asked.form);
}

const PIECE_BYTES = 2 ** 20;

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES)
    yield new Uint8Array(bytes.subarray(at, at + PIECE_BYTES));
}

function answer(call: Exclude<Call, { readonly type: "open" | "run" }>): unknown {
  const database = opened();
  switch (call.type) {
    case "admit":
      return database.admit(call.text);
    case "allow":
      return database.allow(call.folders);
    case "columns":
      return database.columnsOfFiles(call.paths);
    case "log":
      return database.selectLog(call.folder);
  }
}

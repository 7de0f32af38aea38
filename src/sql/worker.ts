/**
 * Entry of a Worker: one SQL engine, one call after the other.
 *
 * A separate entry point of the executable: `scripts/build.ts` names it beside `main.ts`.
 */
import { assert } from "#base/assert.ts";
import { describe, kindOf } from "#base/errors.ts";
import { Database } from "./database.ts";
import type { Call, Reply } from "./protocol.ts";

declare const self: Worker;

let database: Database | null = null;

self.onmessage = ({ data }: MessageEvent<Call>): void => {
  const { id } = data;
  try {
    reply({ id, value: answer(data), connection: database?.connection ?? 0 });
  } catch (error) {
    reply({ id, error: { kind: kindOf(error), message: describe(error) } });
  }
};

function reply(message: Reply): void {
  self.postMessage(message);
}

function answer(call: Call): unknown {
  if (call.type === "open") {
    database = new Database(call.options);
    return null;
  }
  assert(database !== null, "the engine is open");
  switch (call.type) {
    case "admit":
      return database.admit(call.text);
    case "allow":
      return database.allow(call.folders);
    case "columns":
      return database.columnsOfFiles(call.paths);
    case "run":
      return database.run(call.run);
  }
}

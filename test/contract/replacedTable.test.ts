/**
 * A table that another engine replaces in place (`CREATE OR REPLACE TABLE`): what the stop's sentence
 * tells a person to do is done, word for word, and the table goes on from there.
 */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeTopics } from "#app/describeTopics.ts";
import { EXIT } from "#base/errors.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import type { Logger } from "#base/log.ts";
import type { FakeKafka } from "../fakes/kafkaBroker.ts";
import { cli, type Outcome } from "../unit/cli/place.ts";
import { brokerWith, endAll, LIMITS, pipelineOf } from "./pipelineRunRig.ts";

type Members = { [key: string]: Json };
/** What the replacement leaves as the table's content: nothing (no `AS SELECT`), or a first snapshot. */
type Replacement = "empty" | "as_select";

const folders: string[] = [];
afterEach(() => {
  endAll();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Writes the next metadata file as Spark does: identity, properties and old snapshots stay. */
function replaceInPlace(folder: string, replacement: Replacement): void {
  const versions = readdirSync(`${folder}/wh/db/a/metadata`)
    .map((name) => Number(/^v(\d+)\.metadata\.json$/.exec(name)?.[1] ?? 0))
    .sort((a, b) => a - b);
  const version = versions.at(-1) ?? 0;
  const at = (each: number): string => `${folder}/wh/db/a/metadata/v${each}.metadata.json`;
  const table = parseJson(readFileSync(at(version), "utf8")) as Members;
  const [schema = {}] = table["schemas"] as Members[];
  const fields = (schema["fields"] as Members[]).filter(({ name }) => name === "n");
  table["schemas"] = [...(table["schemas"] as Members[]), { ...schema, "schema-id": 9, fields }];
  table["current-schema-id"] = 9;
  const old = table["snapshots"] as Members[];
  if (replacement === "empty") {
    delete table["current-snapshot-id"];
    table["refs"] = {};
  } else {
    const id = 7n;
    const sequence = BigInt(String(table["last-sequence-number"])) + 1n;
    const { "parent-snapshot-id": _, ...first } = old[0] ?? {};
    const summary = { operation: "overwrite" };
    const made = { ...first, "snapshot-id": id, "sequence-number": sequence, summary };
    table["snapshots"] = [...old, made];
    table["last-sequence-number"] = sequence;
    table["current-snapshot-id"] = id;
    table["refs"] = { main: { "snapshot-id": id, type: "branch" } };
  }
  writeFileSync(at(version + 1), writeJson(table));
}

/** A run to the end: its exit code, the rows that it committed, and the errors that it logged. */
async function run(broker: FakeKafka, warehouse: string) {
  const errors: string[] = [];
  const log: Logger["log"] = (level, message) => void (level === "error" && errors.push(message));
  const logger: Logger = { log, with: () => logger };
  const made = pipelineOf(broker, { topics: ["a"], warehouse, logger });
  const code = await made.run(LIMITS, true);
  const [table] = [...(made.pipeline?.tables ?? [])];
  return { code, errors, rows: table?.rowsCommitted ?? 0 };
}

/** Runs the command that a sentence ends with, its placeholder filled in. */
function obey(sentence: string, sets: readonly string[], config: string): Promise<Outcome> {
  const [, command = "", placeholder = ""] =
    /kafka-iceberg (.*--set) (TOPIC:PARTITION=OFFSET)$/.exec(sentence) ?? [];
  expect(placeholder).not.toBe("");
  const words = command.split(" ").slice(0, -1);
  const given = sets.flatMap((set) => ["--set", set]);
  return cli([...words, ...given, "--config", config], { describeTopics });
}

for (const replacement of ["empty", "as_select"] as const) {
  test(`after the command that the stop names, a replaced table goes on from there (${replacement})`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "replaced-"));
    folders.push(folder);
    const broker = brokerWith("a");
    const config = `${folder}/config.toml`;
    writeFileSync(
      config,
      `[kafka]\nbootstrap_servers = "${broker.address}"\ntopic = "a"\n[state]\ndir = "${folder}/s"\n` +
        `[iceberg]\nwarehouse_path = "${folder}/wh"\ndatabase_name = "db"\n`,
    );
    expect(await run(broker, `${folder}/wh`)).toEqual({ code: EXIT.ok, errors: [], rows: 3 });
    replaceInPlace(folder, replacement);
    const stopped = await run(broker, `${folder}/wh`);
    expect([stopped.code, stopped.rows]).toEqual([EXIT.question, 0]);
    const [sentence = ""] = stopped.errors;
    expect(sentence).toContain("CREATE OR REPLACE TABLE");
    const outcome = await obey(sentence, ["a:0=0"], config);
    expect([outcome.code, outcome.err]).toEqual([EXIT.ok, ""]);
    expect(await run(broker, `${folder}/wh`)).toEqual({ code: EXIT.ok, errors: [], rows: 3 });
    expect(await run(broker, `${folder}/wh`)).toEqual({ code: EXIT.ok, errors: [], rows: 0 });
  });
}

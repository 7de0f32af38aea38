/** The whole program in this process, before a broker in memory: its words in, its exit code and output out. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeTopics } from "#app/describeTopics.ts";
import { runApp } from "#app/runApp.ts";
import { suggest } from "#app/suggest.ts";
import type { ExitCode } from "#base/errors.ts";
import { runProgram } from "#cli/program.ts";
import { deadLetterCommand } from "#letters/command.ts";
import { replayCommand } from "#replay/command.ts";

/** What a command did. */
export interface Outcome {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line to its end. */
export async function program(words: readonly string[]): Promise<Outcome> {
  let out = "";
  let err = "";
  const code = await runProgram(words, {
    actions: {
      run: runApp,
      describeTopics,
      suggest,
      deadLetter: deadLetterCommand,
      replay: replayCommand,
      loadTest: () => Promise.reject(new TypeError("not here")),
    },
    terminal: {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
    build: { version: "1", commit: "c" },
    stop: new AbortController().signal,
  });
  return { code, out, err };
}

/** A new folder, and what removes it. */
export function temporaryPlace(name: string): {
  readonly folder: string;
  readonly remove: () => void;
} {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Flags that put a configuration of the documentation into a folder, before this broker. */
export function placed(folder: string, broker: string): string[] {
  const sets = {
    "state.dir": `${folder}/state`,
    "server.health_address": "",
    "server.metrics_address": "",
    "logging.level": "error",
  };
  return [
    `--kafka-bootstrap-servers=${broker}`,
    `--warehouse-path=${folder}/wh`,
    ...Object.entries(sets).map(([key, value]) => `--set=${key}=${value}`),
  ];
}

/** A table of a file catalog as its newest metadata shows it. */
export interface TableShape {
  readonly columns: Readonly<Record<string, unknown>>;
  readonly partitions: readonly string[];
  readonly rows: number;
}

/** The tables below a warehouse, by `database.table`. */
export function tablesIn(warehouse: string): Readonly<Record<string, TableShape>> {
  const tables: Record<string, TableShape> = {};
  for (const database of existsSync(warehouse) ? readdirSync(warehouse) : []) {
    for (const table of readdirSync(join(warehouse, database))) {
      tables[`${database}.${table}`] = shapeOf(join(warehouse, database, table, "metadata"));
    }
  }
  return tables;
}

function shapeOf(dir: string): TableShape {
  const version = readFileSync(join(dir, "version-hint.text"), "utf8").trim();
  const metadata = JSON.parse(readFileSync(join(dir, `v${version}.metadata.json`), "utf8")) as {
    "current-schema-id": number;
    schemas: { "schema-id": number; fields: { name: string; type: unknown }[] }[];
    "default-spec-id": number;
    "partition-specs": { "spec-id": number; fields: { name: string }[] }[];
    snapshots: { summary: Record<string, string> }[];
  };
  const schema = metadata.schemas.find(
    (each) => each["schema-id"] === metadata["current-schema-id"],
  );
  const spec = metadata["partition-specs"].find(
    (each) => each["spec-id"] === metadata["default-spec-id"],
  );
  return {
    columns: Object.fromEntries((schema?.fields ?? []).map(({ name, type }) => [name, type])),
    partitions: (spec?.fields ?? []).map(({ name }) => name),
    rows: Number(metadata.snapshots.at(-1)?.summary["total-records"] ?? 0),
  };
}

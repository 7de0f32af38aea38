/**
 * What commands are told by, and the flags that many of them share.
 */
import type { ArgumentSpec } from "./arguments.ts";

/** One command, as its help shows it. */
export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** What it does, in a few sentences. */
  readonly about: string;
  readonly arguments: readonly ArgumentSpec[];
  /** Command lines without the program's name, each with what it is for. */
  readonly examples: readonly (readonly [words: string, what: string])[];
}

/** Those by which a configuration is found and changed. */
export const CONFIG: readonly ArgumentSpec[] = [
  { name: "config", kind: "value", hint: "FILE", help: "the configuration file (TOML)" },
  {
    name: "env-file",
    kind: "value",
    hint: "FILE",
    help: "variables for ${NAME} besides the environment and .env beside the configuration",
  },
  {
    name: "set",
    kind: "list",
    hint: "SECTION.KEY=VALUE",
    help: "overrides a key; may be repeated; pipelines.NAME.SECTION.KEY for one pipeline",
  },
  {
    name: "kafka-bootstrap-servers",
    kind: "value",
    hint: "HOST:PORT,...",
    help: "overrides kafka.bootstrap_servers",
  },
  { name: "kafka-topic", kind: "value", hint: "TOPIC", help: "overrides kafka.topic" },
  {
    name: "warehouse-path",
    kind: "value",
    hint: "PATH",
    help: "overrides iceberg.warehouse_path",
  },
];
/** The table that a command is about. */
export const TABLE: ArgumentSpec = {
  name: "table",
  kind: "positional",
  help: "TABLE or DATABASE.TABLE",
};
/** Results for programs. */
export const JSON_FLAG: ArgumentSpec = { name: "json", kind: "flag", help: "print JSON" };
/** Nothing is changed. */
export const DRY_RUN: ArgumentSpec = {
  name: "dry-run",
  kind: "flag",
  help: "show what would change, and change nothing",
};
/** How examples name the configuration. */
export const C = "--config config.toml";

/**
 * `import-config`: a Kafka Connect Iceberg sink's configuration as ours (SPEC section 3). The TOML goes to
 * standard output, what its reader must do or lacks to standard error as well, so that it is seen when the
 * output becomes a file. Nothing is connected to, and a running sink's position is not taken over.
 */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { describe, EXIT, type ExitCode, fail } from "#base/errors.ts";
import { importCatalog } from "#cli/connect/catalog.ts";
import { type Drafted, openDraft } from "#cli/connect/draft.ts";
import { importSource, takeNeedless, topicsOf } from "#cli/connect/kafka.ts";
import { type ConnectorKeys, readConnector } from "#cli/connect/source.ts";
import { importTables } from "#cli/connect/tables.ts";
import { remarksOf, tomlOf } from "#cli/connect/toml.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";

const SINKS = [
  "org.apache.iceberg.connect.IcebergSinkConnector",
  "io.tabular.iceberg.connect.IcebergSinkConnector",
];

/** Prints the configuration. Throws `usage` for a file that is no sink's of Iceberg. */
export async function importConfigCommand(
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<ExitCode> {
  const file = parsed.value("file") ?? "";
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw fail("usage", `${file} cannot be read: ${describe(error)}`);
  });
  const drafted = importSink(readConnector(text, file), file);
  terminal.out(tomlOf(drafted, basename(file)));
  for (const line of remarksOf(drafted)) terminal.err(`${line}\n`);
  return EXIT.ok;
}

function importSink(keys: ConnectorKeys, file: string): Drafted {
  const sink = keys.get("connector.class");
  if (sink === undefined) throw fail("usage", `${file} has no connector.class`);
  if (!SINKS.includes(sink)) {
    throw fail(
      "usage",
      `${file} is of another connector; its connector.class must be ${SINKS.join(" or ")}`,
    );
  }
  const { draft, finish } = openDraft(keys);
  const name = draft.take("name") ?? "iceberg-sink";
  const topics = topicsOf(draft);
  if (topics === null) draft.note("The sink names no topic: set kafka.topic.");
  else draft.set(...topics);
  draft.set("kafka.consumer_group", `kafka-iceberg-${name}`);
  importSource(draft);
  importTables(draft, name);
  importCatalog(draft);
  takeNeedless(draft);
  draft.note(
    "A running sink's position is not taken over: reading begins at kafka.auto_offset_reset.",
  );
  return finish();
}

/** `profile`: the CPU profile of a running process, for a bug report. */
import { EXIT, type ExitCode } from "#base/errors.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { askRoute } from "./askProcess.ts";
import { openConfig } from "./open.ts";

const URL_DEFAULT = "http://127.0.0.1:8080";

/** Runs `profile --seconds N`; it answers after so long. */
export async function profileCommand(
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<ExitCode> {
  const { config } = await openConfig(parsed, "inspect");
  const token = config.values["server.query_token"];
  const seconds = parsed.value("seconds");
  const parameters = seconds === undefined ? {} : { seconds };
  const asked = { path: "/profile", parameters, accept: "application/json", body: null } as const;
  terminal.out(await askRoute(parsed.value("url") ?? URL_DEFAULT, token, asked));
  return EXIT.ok;
}

/**
 * `pause TABLE` and `resume TABLE`: a property of the table that every writer heeds. `resume` also says
 * of stops that are kept in the table that nothing was lost: reading goes on where it was.
 */
import { EXIT, type ExitCode } from "#base/errors.ts";
import { fullName } from "#catalog/names.ts";
import { clearStopsChange, keptStopProperties } from "#commit/keptStops.ts";
import { isPaused, pauseChange } from "#commit/properties.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { commitChange } from "./commit.ts";
import { openConfig, withTable } from "./open.ts";

/** Runs `pause` (`wanted` true) or `resume`. */
export async function pauseCommand(
  parsed: ParsedArguments,
  wanted: boolean,
  terminal: Terminal,
): Promise<ExitCode> {
  const opened = await openConfig(parsed, "inspect");
  const isDry = parsed.flag("dry-run");
  const words = WORDS[wanted ? "pause" : "resume"];
  return withTable(opened, parsed.value("table") ?? "", isDry, async (found) => {
    const name = fullName(found.table.name);
    const { branch, table } = { branch: found.pipeline.values["iceberg.branch"], ...found };
    const stops = wanted ? [] : keptStopProperties(table, branch);
    const isAlready = isPaused(table) === wanted && stops.length === 0;
    if (!isAlready && !isDry) {
      await commitChange(found, pauseChange(wanted));
      if (!wanted) {
        await commitChange(
          found,
          clearStopsChange((head) => keptStopProperties(head, branch)),
        );
      }
    }
    terminal.out(`${name} ${isAlready ? words.already : isDry ? words.dry : words.done}\n`);
    return EXIT.ok;
  });
}

const WORDS = {
  pause: { done: "is paused", already: "is paused already", dry: "would be paused" },
  resume: { done: "is resumed", already: "is not paused", dry: "would be resumed" },
} as const;

/**
 * The options of `maintenance`: each counts for some engines and operations, and is refused for all others, since what
 * is not heeded may be what somebody relies on.
 */
import { fail } from "#base/errors.ts";
import { orphanAgeMs } from "#config/buildMaintenance.ts";
import type { PipelineValues } from "#config/keys.ts";
import type { Operation } from "#maintenance/run.ts";
import type { ParsedArguments } from "./arguments.ts";
import { parseAgeMs } from "./log.ts";

const ENGINES = ["embedded", "spark", "trino"] as const;

/** What does the work. */
export type EngineName = (typeof ENGINES)[number];

interface Heeding {
  readonly engines: readonly EngineName[];
  /** Default: all. */
  readonly operations?: readonly Operation[];
}

/** Which runs heed an option. What is not here all of them do. */
const HEEDED: Readonly<Record<string, Heeding>> = {
  "older-than": { engines: ENGINES, operations: ["orphans"] },
  // Scripts say it to any run of ours. Other engines ask nobody, and Spark refuses young files whatever it is told.
  yes: { engines: ["embedded"] },
  "z-order": { engines: ["spark"], operations: ["compact"] },
  "engine-catalog": { engines: ["spark", "trino"] },
  "engine-command": { engines: ["spark"] },
  "engine-url": { engines: ["trino"] },
};

/** The engine that the words ask for. @throws AppError `usage` for others */
export function engineOf(parsed: ParsedArguments): EngineName {
  const word = parsed.value("engine") ?? "embedded";
  const engine = ENGINES.find((each) => each === word);
  if (engine !== undefined) return engine;
  throw fail("usage", `There is no engine ${word}; there are: ${ENGINES.join(", ")}`);
}

/** Refuses options that the run would not heed. @throws AppError `usage` with the option's name */
export function refuseUnheeded(
  parsed: ParsedArguments,
  operation: Operation,
  engine: EngineName,
): void {
  for (const [name, { engines, operations }] of Object.entries(HEEDED)) {
    if (!parsed.flag(name) && parsed.value(name) === undefined) continue;
    if (engines.includes(engine) && operations?.includes(operation) !== false) continue;
    const where = `${operations?.join(", ") ?? "maintenance"} by --engine ${engines.join(", ")}`;
    throw fail(
      "usage",
      `--${name} counts only for ${where}, not for ${operation} by ${engine}: leave it out`,
    );
  }
}

/** How old a file must be to be removed as an orphan, ms. @throws AppError `usage` for what is no age */
export function orphanAgeOf(parsed: ParsedArguments, values: PipelineValues): number {
  const text = parsed.value("older-than");
  if (text === undefined) return orphanAgeMs(values);
  const ageMs = parseAgeMs(text);
  if (ageMs !== null) return ageMs;
  throw fail("usage", `--older-than ${text} is not an age such as 36h or 7d`);
}

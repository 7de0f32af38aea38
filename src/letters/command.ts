/**
 * `dead-letter list|show|retry TABLE`: what is in a table's dead letters, one of them, and bringing them
 * in after their cause was mended (SPEC section 3).
 */
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import { ignoreObservations } from "#base/events.ts";
import { armFailpoint } from "#base/failpoint.ts";
import { writePortableJson } from "#base/json.ts";
import { silentLogger } from "#base/log.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Terminal } from "#cli/actions.ts";
import type { ParsedArguments } from "#cli/arguments.ts";
import { type FoundTable, type Opened, openConfig, systemParts, withTable } from "#cli/open.ts";
import { printRows, timeText } from "#cli/output.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import { lettersOf, letterTable } from "#config/letterTable.ts";
import type { LetterPlace } from "#decode/letters.ts";
import { createLoneDecoder, createLoneRouteField } from "#decode/loneDecoder.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { noLog } from "#txlog/log.ts";
import { followsChanges } from "#writer/parts.ts";
import {
  type Letter,
  type LetterFilter,
  Marks,
  readLetters,
  readMarks,
  readPlaces,
} from "./read.ts";
import { Retry, type RetryCounts } from "./retry.ts";
import { letterRoutes } from "./routes.ts";
import { letterText } from "./text.ts";

/** Letters, and bytes of them, that one commit brings in. */
const CHUNK = { letters: 20_000, bytes: 64 * 1024 * 1024 } as const;

/** What the command works with. */
export interface LetterParts {
  readonly terminal: Terminal;
}

/** A table with its dead letters. */
interface Place {
  readonly found: FoundTable;
  readonly letters: LoadedTable;
  readonly branch: string;
}

/** Runs the command. */
export async function deadLetterCommand(
  parsed: ParsedArguments,
  { terminal }: LetterParts,
): Promise<ExitCode> {
  const run = COMMANDS[parsed.value("action") ?? ""];
  if (run === undefined) throw fail("usage", "dead-letter wants list, show or retry");
  const opened = await openConfig(parsed, "inspect");
  const name = parsed.value("table") ?? "";
  const readOnly = parsed.value("action") !== "retry" || parsed.flag("dry-run");
  return withTable(opened, name, readOnly, async (found) => {
    const topic = found.pipeline.values["dead_letter.topic"];
    if (topic !== null) {
      throw fail(
        "usage",
        `The dead letters of ${fullName(found.table.name)} are records of the Kafka topic ${topic} (docs/DEAD_LETTER.md)`,
      );
    }
    const letters = await found.catalog.load(lettersOf(found.table.name));
    if (letters === null) {
      terminal.out(`${fullName(found.table.name)} has no dead letters\n`);
      return EXIT.ok;
    }
    const branch = found.pipeline.values["iceberg.branch"];
    return run({ found, letters, branch }, parsed, terminal, opened);
  });
}

type Run = (
  place: Place,
  parsed: ParsedArguments,
  terminal: Terminal,
  opened: Opened,
) => Promise<ExitCode>;

const COMMANDS: Readonly<Record<string, Run>> = { list, show, retry };

/** Counts by reason: those that wait, and those that were brought in. */
async function list(
  { letters, branch }: Place,
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<ExitCode> {
  const marks = await readMarks(letters, branch);
  const byReason = new Map<
    string,
    { waiting: number; retried: number; first: number; last: number }
  >();
  for await (const places of readPlaces(letters, branch)) {
    for (const place of places) {
      const { rejectedMs } = place;
      const counts = byReason.get(place.reason) ?? {
        waiting: 0,
        retried: 0,
        first: rejectedMs,
        last: rejectedMs,
      };
      byReason.set(place.reason, counts);
      if (marks.has(place)) counts.retried++;
      else counts.waiting++;
      counts.first = Math.min(counts.first, rejectedMs);
      counts.last = Math.max(counts.last, rejectedMs);
    }
  }
  const rows = [...byReason]
    .sort(([, a], [, b]) => b.waiting - a.waiting)
    .map(([reason, { waiting, retried, first, last }]) => ({
      reason,
      waiting,
      brought_in: retried,
      first: timeText(first),
      last: timeText(last),
    }));
  printRows(terminal, rows, parsed.flag("json"), "There are no dead letters");
  return EXIT.ok;
}

/** One letter, or the first ones of a reason. */
async function show(
  { letters, branch }: Place,
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<ExitCode> {
  const limit = limitOf(parsed, 1);
  const marks = await readMarks(letters, branch);
  const found: Letter[] = [];
  for await (const each of readLetters(letters, branch, filterOf(parsed))) {
    found.push(...each.slice(0, limit - found.length));
    if (found.length >= limit) break;
  }
  if (parsed.flag("json")) {
    terminal.out(
      `${writePortableJson(
        found.map((letter) => jsonOf(letter, marks)),
        2,
      )}\n`,
    );
  } else if (found.length === 0) terminal.out("There is no such dead letter\n");
  else terminal.out(found.map((letter) => letterText(letter, marks.has(letter))).join("\n"));
  return EXIT.ok;
}

function jsonOf(letter: Letter, marks: Marks) {
  const text = (bytes: Uint8Array | null): string | null =>
    bytes === null ? null : Buffer.from(bytes).toString("base64");
  return {
    topic: letter.topic,
    partition: letter.partition,
    offset: letter.offset,
    timestamp: timeText(letter.timestampMs),
    reason: letter.reason,
    detail: letter.detail,
    rejected_at: timeText(letter.rejectedMs),
    brought_in: marks.has(letter),
    key_base64: text(letter.key),
    value_base64: text(letter.value),
    headers:
      letter.headers?.map(({ key, value }) => ({
        key: Buffer.from(key).toString(),
        value_base64: text(value),
      })) ?? null,
  };
}

/** Brings letters in. */
async function retry(
  { found, letters, branch }: Place,
  parsed: ParsedArguments,
  terminal: Terminal,
  { environment }: Opened,
): Promise<ExitCode> {
  armFailpoint(environment.variable("KAFKA_ICEBERG_FAILPOINT") ?? null);
  const options = await buildPipeline(found.pipeline, environment, "");
  const isDry = parsed.flag("dry-run");
  const encoder = createWorkerEncoder({ clock: systemParts.clock });
  try {
    const { topics } = options.consumer;
    const own = { ...options.writer(topics?.[0] ?? "retry"), name: found.table.name };
    if (followsChanges(own)) throw fail("usage", keyedSentence(fullName(own.name)));
    const registryParts = { ...systemParts, log: silentLogger, observe: ignoreObservations };
    const { routing, registry } = options;
    const field =
      routing && createLoneRouteField(routing.field, options.decoder, registry, registryParts);
    const homeOf = (topic: string): string => fullName(options.writer(topic).name);
    const place = {
      parts: {
        ...systemParts,
        catalog: found.catalog,
        encoder,
        txlog: noLog,
        logger: silentLogger,
        observe: ignoreObservations,
      },
      options: own,
      letterOptions: letterTable(own),
      decoder: createLoneDecoder(options.decoder, registry, registryParts),
      routes: routing && field && letterRoutes(routing, field, homeOf),
      isDry,
    };
    const work = new Retry(place, found.table, letters);
    const marks = await readMarks(letters, branch);
    const again = parsed.flag("again");
    const isAsked = filterOf(parsed);
    const seen = new Marks();
    const isWanted: LetterFilter = (letter) =>
      isAsked(letter) && (again || !marks.has(letter)) && !seen.has(letter);
    let left = limitOf(parsed, Number.POSITIVE_INFINITY);
    for await (const each of readLetters(letters, branch, isWanted)) {
      const taken = each.filter(isWanted).slice(0, left);
      left -= taken.length;
      for (const chunk of chunksOf(taken)) {
        await work.chunk(chunk);
        terminal.progress?.(`${work.counts.brought} letters brought in`);
      }
      for (const letter of taken) seen.add(letter);
      if (left <= 0) break;
    }
    terminal.progress?.("");
    terminal.out(summaryOf(work.counts, fullName(found.table.name), isDry));
    return EXIT.ok;
  } finally {
    await encoder.close();
  }
}

/** Why letters of a table that follows changes stay where they are. */
function keyedSentence(table: string): string {
  return (
    `Letters of ${table} are not brought in: it follows changes, and what came after a letter may be in ` +
    "it already. Mend the cause and have the source send these rows again (an update of each, or a new " +
    "snapshot); dead-letter show says which they are"
  );
}

function* chunksOf(letters: readonly Letter[]): Generator<Letter[]> {
  let chunk: Letter[] = [];
  let bytes = 0;
  for (const letter of letters) {
    const size = (letter.value?.length ?? 0) + (letter.key?.length ?? 0);
    if (chunk.length >= CHUNK.letters || (bytes + size > CHUNK.bytes && chunk.length > 0)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(letter);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

function summaryOf(counts: RetryCounts, table: string, isDry: boolean): string {
  const { brought, there, early, foreign, elsewhere, refused } = counts;
  const lines = [`${brought} letters ${isDry ? "would be" : "are"} brought into ${table}`];
  if (there > 0)
    lines.push(`${there} were in the table already${isDry ? "" : ", and are marked now"}`);
  for (const [reason, count] of refused) lines.push(`${count} do not fit yet: ${reason}`);
  if (elsewhere > 0)
    lines.push(`${elsewhere} name another table (iceberg.route_field), and stay where they are`);
  if (early > 0)
    lines.push(`${early} wait for the running process: the table's offset has not passed them`);
  if (foreign > 0) lines.push(`${foreign} are of a topic that the table does not know (by its id)`);
  return `${lines.join("\n")}\n`;
}

/** Letters that the flags ask for. Throws `usage`. */
function filterOf(parsed: ParsedArguments): LetterFilter {
  const reason = parsed.value("reason");
  const record = parsed.value("record");
  const found = record === undefined ? null : /^(.+):(\d+):(\d+)$/.exec(record);
  if (record !== undefined && found === null) {
    throw fail("usage", "--record wants TOPIC:PARTITION:OFFSET");
  }
  const [, topic, partition, offset] = found ?? [];
  return (letter: LetterPlace) =>
    (reason === undefined || letter.reason === reason) &&
    (topic === undefined || letter.topic === topic) &&
    (partition === undefined || letter.partition === Number(partition)) &&
    (offset === undefined || letter.offset === BigInt(offset));
}

function limitOf(parsed: ParsedArguments, otherwise: number): number {
  const text = parsed.value("limit");
  if (text === undefined) return otherwise;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw fail("usage", "--limit wants a number above 0");
  return Number(text);
}

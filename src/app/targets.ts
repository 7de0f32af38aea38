/**
 * The tables of a pipeline, made when a topic asks for them: each once, with what makes its rows and
 * the tables beside it.
 */
import { fail } from "#base/errors.ts";
import { fullName } from "#catalog/names.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import { letterTable } from "#config/letterTable.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder } from "#decode/decoder.ts";
import { formatOf, keyFormatOf } from "#decode/formatOf.ts";
import type { DecoderOptions } from "#decode/options.ts";
import type { SchemaRegistry } from "#decode/registry/registry.ts";
import { type RouteField, routeField } from "#decode/routeField.ts";
import { changeLogColumns } from "#pipeline/changeLog.ts";
import { deadLetters, LETTER_COLUMNS } from "#pipeline/deadLetters.ts";
import type { Target } from "#pipeline/feeds.ts";
import { lateColumns, lateTable } from "#pipeline/lateRows.ts";
import type { CommitPolicy } from "#pipeline/pipelineParts.ts";
import type { SideTable } from "#pipeline/sides.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { Spellings } from "./spellings.ts";

/** What tables are made by. */
type TableOptions = Pick<
  PipelineOptions,
  "writer" | "decoder" | "changeLog" | "rejects" | "late" | "tablesMax"
> & {
  readonly commit: CommitPolicy;
};

/** All tables that topics have asked for. */
export class Targets {
  readonly #options: TableOptions;
  readonly #parts: WriterParts;
  readonly #registry: SchemaRegistry | null;
  readonly #tables = new Map<string, Target>();
  /** Logs of changes by the table that they are of. */
  readonly #logs = new Map<Target, Target>();
  /** Names of side tables: no table of a topic may have one. */
  readonly #sides = new Set<string>();
  readonly #spellings = new Spellings();

  /** @param registry where values come with the ids of their schemas; null: they do not */
  constructor(options: TableOptions, parts: WriterParts, registry: SchemaRegistry | null) {
    this.#registry = registry;
    this.#options = options;
    const { catalog, encoder, keys, copyOnWrite, txlog, clock, random, logger, observe } = parts;
    this.#parts = {
      ...{ catalog, encoder, txlog, clock, random, logger, observe },
      ...(keys === undefined ? {} : { keys }),
      ...(copyOnWrite === undefined ? {} : { copyOnWrite }),
    };
  }

  /** Finds the field by which records name their tables. */
  routeField(path: string): RouteField {
    return routeField(path, this.#options.decoder, this.#registry);
  }

  /**
   * The tables that a topic fills.
   * @throws AppError `usage` beyond `iceberg.max_tables`, or where two tables would have one name
   */
  of(topic: string): readonly Target[] {
    const options = this.#options.writer(topic);
    const main = this.for(topic, options);
    const log = this.#logOf(topic, main, options);
    return log === null ? [main] : [main, log];
  }

  /**
   * One table that a topic, or a record of it, names.
   * @throws AppError as `of`
   */
  for(topic: string, options: WriterOptions): Target {
    const name = fullName(options.name);
    const found = this.#tables.get(name);
    if (found !== undefined) {
      this.#refuseOtherLate(topic, options, found);
      return found;
    }
    const { tablesMax, decoder: decoding, commit } = this.#options;
    if (this.#tables.size >= tablesMax) {
      const sentence =
        `Topic ${topic} would bring table ${name}, beyond the ${tablesMax} of iceberg.max_tables. ` +
        "Raise it, or let fewer topics or records name tables";
      throw fail("usage", sentence, { topic, table: name });
    }
    this.#refuseSideName(topic, name);
    const decoder = this.#decoder(decoding);
    const create = { ...options.create, twins: this.#spellings.add(options.name) };
    const sink = new Sink({ ...options, create }, this.#parts, decoder, commit);
    const source = new Source(decoder, this.#options.late?.lateness ?? null);
    const target = { sink, source, sides: this.#sidesOf(topic, options, decoder) };
    this.#tables.set(name, target);
    return target;
  }

  /** The log of a table's changes; null: nobody asks for it. */
  #logOf(topic: string, main: Target, options: WriterOptions): Target | null {
    const { changeLog, commit } = this.#options;
    if (changeLog === null) return null;
    const known = this.#logs.get(main);
    if (known !== undefined) return known;
    const own = changeLog.tableOf(options);
    this.#takeSideName(topic, own, options);
    const decoder = this.#decoder(changeLog.decoder);
    const sink = new Sink(own, this.#parts, changeLogColumns(decoder), commit, "changes");
    const log = { sink, source: new Source(decoder), sides: this.#sidesOf(topic, own, decoder) };
    this.#logs.set(main, log);
    return log;
  }

  #decoder(options: DecoderOptions): Decoder {
    const registry = this.#registry;
    const keys = keyFormatOf(options, registry);
    return createDecoder(options, formatOf(options, registry), keys);
  }

  /** In the order in which they are owned and committed. */
  #sidesOf(topic: string, options: WriterOptions, decoder: Decoder): SideTable[] {
    const { commit, rejects, late } = this.#options;
    const sides: SideTable[] = [];
    if (rejects.action === "table") {
      const letters = letterTable(options);
      this.#takeSideName(topic, letters, options);
      const sink = new Sink(letters, this.#parts, LETTER_COLUMNS, commit, "dead_letter");
      sides.push(deadLetters(sink));
    }
    if (late?.tableOf != null) {
      const own = late.tableOf(topic, options);
      this.#takeSideName(topic, own, options);
      const columns = lateColumns(decoder, late.topicId);
      sides.push(lateTable(new Sink(own, this.#parts, columns, commit, "late"), late.topicId));
    }
    return sides;
  }

  /** Late rows of a table are in one place, whichever of its topics came first: there a start and `replay` look for them. */
  #refuseOtherLate(topic: string, main: WriterOptions, { sides = [] }: Target): void {
    const known = sides.find(({ kind }) => kind === "late")?.sink.name;
    const own = this.#options.late?.tableOf?.(topic, main).name;
    if (known === undefined || own === undefined || known === fullName(own)) return;
    const sentence =
      `Late rows of topic ${topic} would go into table ${fullName(own)}, and those of its table's other ` +
      `topics go into ${known}. Give them one place with source.late_table, or the topics tables of their own`;
    throw fail("usage", sentence, { topic, table: fullName(main.name) });
  }

  #takeSideName(topic: string, side: WriterOptions, main: WriterOptions): void {
    const name = fullName(side.name);
    const isTaken = this.#tables.has(name) || this.#sides.has(name);
    if (isTaken || name === fullName(main.name)) throw nameTaken(topic, name);
    this.#sides.add(name);
  }

  #refuseSideName(topic: string, name: string): void {
    if (this.#sides.has(name)) throw nameTaken(topic, name);
  }
}

function nameTaken(topic: string, name: string): Error {
  const sentence =
    `Topic ${topic} and the dead letters, late rows or changes of a topic would share table ${name}. Give one of ` +
    "them another name with iceberg.table_name or source.late_table";
  return fail("usage", sentence, { topic, table: name });
}

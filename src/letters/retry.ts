/**
 * Brings dead letters into their table once more, exactly once (CHANGE_RULES 14). The table first: a
 * letter is decoded by the configuration and the schema of now, and added where the head has passed its
 * offset and does not have its record, and where the record names no other table. Then it is marked in the dead-letter table. A letter that is in
 * the table and has no mark was brought in by a run that died between the two: it is only marked.
 *
 * A running process goes on meanwhile: both tables' offsets are copied from each head.
 */
import { fail, kindOf } from "#base/errors.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import {
  type AddedRecords,
  Addition,
  checkedCoordinates,
  recordKey,
  recordsIn,
} from "#commit/addition.ts";
import { CommitTable } from "#commit/commitTable.ts";
import type { CoordinateColumns } from "#commit/liveRows.ts";
import type { ProgressDocument } from "#commit/progressDocument.ts";
import type { Decoder, RecordBytes } from "#decode/decoder.ts";
import { encodeRecords } from "#decode/encodeRecords.ts";
import { LetterRows } from "#decode/letters.ts";
import { NO_TIMESTAMP } from "#decode/metadata.ts";
import { droppedPaths } from "#iceberg/metadata/droppedColumns.ts";
import { hasRows } from "#iceberg/metadata/metadata.ts";
import { addRows, isDone } from "#writer/additions.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import type { FeedFlush, WriterOptions, WriterParts } from "#writer/parts.ts";
import { currentFields } from "#writer/schema.ts";
import type { Letter } from "./read.ts";
import { type LetterRoutes, placeOf } from "./routes.ts";

/** Between two questions for a schema, and until it is given up, ms: a registry is believed after 30 s. */
const REGISTRY_MS = 1000;
const REGISTRY_MS_MAX = 60_000;
/** Tries of one chunk while other commits come first. */
const TRIES_MAX = 20;

/** What became of letters. */
export interface RetryCounts {
  /** Are rows now. */
  brought: number;
  /** Were rows already, without a mark. */
  there: number;
  /** Do not fit yet, by the reason of now. */
  readonly refused: Map<string, number>;
  /** At or past the table's offset: ingest has not decided about them. */
  early: number;
  /** Of another life of the topic, or of one that the table does not know. */
  foreign: number;
  /** Name another table (`iceberg.route_field`). */
  elsewhere: number;
}

/** What a retry works with. */
export interface RetryPlace {
  readonly parts: WriterParts;
  readonly options: WriterOptions;
  readonly letterOptions: WriterOptions;
  /** Of letters, by the configuration of now. */
  readonly decoder: Decoder;
  /** Null: records name no tables. */
  readonly routes: LetterRoutes | null;
  /** Nothing is committed. */
  readonly isDry: boolean;
}

/** What was made of letters that are no rows yet. */
interface Judged {
  readonly decoded: readonly Decoded[];
  readonly refused: ReadonlyMap<string, number>;
  readonly elsewhere: number;
}

/** Letters of one feed that became rows. */
interface Decoded {
  readonly feed: Feed;
  readonly letters: readonly Letter[];
  readonly batch: ColumnBatch;
}

/** Retries letters of one table, a chunk at a time. */
export class Retry {
  readonly counts: RetryCounts = {
    brought: 0,
    there: 0,
    refused: new Map(),
    early: 0,
    foreign: 0,
    elsewhere: 0,
  };
  readonly #place: RetryPlace;
  readonly #table: CommitTable;
  readonly #letters: CommitTable;
  readonly #decoder: Decoder;

  /** @param letters the dead-letter table */
  constructor(place: RetryPlace, table: LoadedTable, letters: LoadedTable) {
    const parts = { readCoordinates, ...place.parts };
    this.#place = place;
    this.#table = new CommitTable(parts, place.options, table);
    this.#letters = new CommitTable(parts, place.letterOptions, letters);
    this.#decoder = place.decoder;
  }

  /**
   * Takes a chunk as far as it goes.
   * @throws AppError `usage` where the table's rows do not say which records they are; what a commit
   * throws, and `catalog_refused` when other commits come first again and again
   */
  async chunk(letters: readonly Letter[]): Promise<void> {
    const { options, isDry } = this.#place;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const head = await this.#table.load();
      const document = await this.#documentOf(head);
      const columns = checkedCoordinates(this.#table.name, options.coordinates ?? null, document);
      const sorted = sortLetters(letters, document);
      const witness = { columns, read: readCoordinates };
      const records = recordsOf(sorted.passed);
      const there = await recordsIn(head, options.branch, records, witness);
      const missing = sorted.passed.filter(
        ({ feed, letter }) => !there.has(recordKey(feed, letter.offset)),
      );
      const judged = await this.#decode(head, missing);
      const { decoded } = judged;
      const known = sorted.passed.filter(({ feed, letter }) =>
        there.has(recordKey(feed, letter.offset)),
      );
      const commitId = isDry ? null : await this.#add(decoded, columns);
      if (commitId === undefined) continue;
      const brought = decoded.flatMap((each) => each.letters);
      if (!isDry)
        await this.#mark(
          known.map(({ letter }) => letter),
          brought,
          commitId,
        );
      this.#count(sorted, known.length, brought.length, judged);
      return;
    }
    throw fail("catalog_refused", `Other commits came first ${TRIES_MAX} times; try again`);
  }

  async #documentOf(head: LoadedTable): Promise<ProgressDocument> {
    const progress = await this.#table.progressOf(head);
    if (progress.kind === "readable") return progress.document;
    throw fail("progress", `The offsets of ${this.#table.name} cannot be read: ${progress.reason}`);
  }

  /** The commit that brought them in; null: there were none. Undefined: the table has changed meanwhile. */
  async #add(
    decoded: readonly Decoded[],
    columns: CoordinateColumns,
  ): Promise<string | null | undefined> {
    if (decoded.length === 0) return null;
    const { parts, options } = this.#place;
    const flushes = decoded.map(({ feed, letters, batch }): FeedFlush => {
      const first = letters[0]?.offset ?? 0n;
      const last = letters.at(-1)?.offset ?? 0n;
      return { feed, start: first, end: last + 1n, leaderEpoch: undefined, batches: [batch] };
    });
    const records = decoded.map(({ feed, letters }) => ({
      feed,
      offsets: letters.map(({ offset }) => offset),
    }));
    const witness = { columns, read: readCoordinates };
    const { result, commitId } = await addRows(
      parts,
      options,
      this.#table,
      flushes,
      (units) => new Addition(parts, records, units, witness),
    );
    return isDone(result, this.#table.name) ? commitId : undefined;
  }

  /** Marks letters that are rows. */
  async #mark(
    known: readonly Letter[],
    brought: readonly Letter[],
    commitId: string | null,
  ): Promise<void> {
    const { parts, letterOptions } = this.#place;
    const [any] = [...known, ...brought];
    if (any === undefined) return;
    const now = parts.clock.nowMs();
    const rows = new LetterRows([], new Map());
    for (const letter of known) rows.appendMark(letter, now, null);
    for (const letter of brought) rows.appendMark(letter, now, commitId);
    const { topic, topicId, partition } = any;
    const feed = { clusterId: "", topic, topicId, partition };
    const flush = { feed, start: 0n, end: 0n, leaderEpoch: undefined, batches: [rows.seal()] };
    // Marks name their letters themselves: one file holds those of all partitions.
    const options = { ...letterOptions, preserveKafkaPartitions: false };
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const { result } = await addRows(
        parts,
        options,
        this.#letters,
        [flush],
        (units) => new Addition(parts, [], units, null),
      );
      if (isDone(result, this.#letters.name)) return;
    }
    throw fail("catalog_refused", `Other commits came first ${TRIES_MAX} times; try again`);
  }

  /** Letters as rows by the schema of a head; those that do not fit yet by their reason of now. */
  async #decode(head: LoadedTable, passed: readonly Passed[]): Promise<Judged> {
    const decoder = this.#decoder;
    const { metadata } = head;
    const history = { dropped: droppedPaths(metadata), hasRows: hasRows(metadata) };
    decoder.adopt(currentFields(head), history);
    const decoded: Decoded[] = [];
    const reasons: string[] = [];
    let elsewhere = 0;
    for (const batch of batchesOf(passed)) {
      const whole = batch.filter(({ letter }) => isWhole(letter));
      for (const { letter } of batch) if (!isWhole(letter)) reasons.push(letter.reason);
      const places = await this.#placesOf(whole);
      const fit = whole.filter((_, index) => places[index] === "own");
      for (const place of places) if (place === "unknown_schema") reasons.push(place);
      elsewhere += places.filter((place) => place === "elsewhere").length;
      const one = await this.#decodeBatch(fit, reasons);
      if (one !== null) decoded.push(one);
    }
    const all = [...Map.groupBy(reasons, (reason) => reason)];
    const refused = new Map(all.map(([reason, { length }]) => [reason, length]));
    return { decoded, refused, elsewhere };
  }

  /** Which table each letter is for. */
  async #placesOf(passed: readonly Passed[]): Promise<Awaited<ReturnType<typeof placeOf>>[]> {
    const { routes } = this.#place;
    const places: Awaited<ReturnType<typeof placeOf>>[] = [];
    for (const { feed, letter } of passed) {
      const ready = (prepare: Decoder["prepare"]) => this.#ready(prepare, bytesOf(feed, [letter]));
      places.push(routes === null ? "own" : await placeOf(letter, this.#table.name, routes, ready));
    }
    return places;
  }

  /** @param reasons takes those of the letters that do not fit */
  async #decodeBatch(passed: readonly Passed[], reasons: string[]): Promise<Decoded | null> {
    const decoder = this.#decoder;
    const [first] = passed;
    if (first === undefined) return null;
    const letters = passed.map(({ letter }) => letter);
    const bytes = bytesOf(first.feed, letters);
    await this.#ready(decoder.prepare, bytes);
    if (decoder.needsSample) decoder.sample([bytes]);
    const builder = decoder.builder();
    const result = builder.decode(bytes);
    for (const { reason } of result.rejected) reasons.push(reason);
    const out = new Set(result.rejected.map(({ offset }) => offset));
    const rows = letters.filter(({ offset }) => !out.has(offset));
    // A tombstone that is skipped now stays a letter.
    if (result.rows !== rows.length) throw fail("usage", SKIPPED);
    return rows.length === 0 ? null : { feed: first.feed, letters: rows, batch: builder.seal() };
  }

  /** Waits for schemas, which a registry may hear of late: it says itself when it knows them no more. */
  async #ready(prepare: Decoder["prepare"], bytes: RecordBytes): Promise<void> {
    const { clock } = this.#place.parts;
    const beganMs = clock.monotonicMs();
    for (;;) {
      const next = prepare?.(bytes) ?? null;
      if (next === null) return;
      try {
        await next;
      } catch (error) {
        const isLate = clock.monotonicMs() - beganMs > REGISTRY_MS_MAX;
        if (isLate || !kindOf(error).startsWith("registry_")) throw error;
        await clock.sleep(REGISTRY_MS);
      }
    }
  }

  #count(
    { early, foreign }: Sorted,
    there: number,
    brought: number,
    { refused, elsewhere }: Judged,
  ): void {
    const { counts } = this;
    counts.there += there;
    counts.brought += brought;
    counts.early += early;
    counts.foreign += foreign;
    counts.elsewhere += elsewhere;
    for (const [reason, count] of refused) {
      counts.refused.set(reason, (counts.refused.get(reason) ?? 0) + count);
    }
  }
}

/** Offsets of one record batch lie less than 2^31 apart. */
const BATCH_BITS = 30n;

const SKIPPED =
  'source.on_tombstone = "skip" passes over letters without a value; leave them out with --reason, or ' +
  'set "null_row"';

/** A letter with the feed that its table knows it by. */
interface Passed {
  readonly feed: Feed;
  readonly letter: Letter;
}

interface Sorted {
  readonly passed: readonly Passed[];
  readonly early: number;
  readonly foreign: number;
}

/** Letters below the table's offsets, ascending; the others are counted. */
function sortLetters(letters: readonly Letter[], document: ProgressDocument): Sorted {
  const passed: Passed[] = [];
  let early = 0;
  let foreign = 0;
  for (const letter of letters) {
    const found = [...document.sources].find(
      ([key, { topicId }]) =>
        key.slice(key.indexOf("/") + 1) === letter.topic && topicId === letter.topicId,
    );
    const end = found?.[1].offsets.get(letter.partition);
    if (found === undefined || end === undefined) foreign++;
    else if (letter.offset >= end) early++;
    else {
      const clusterId = found[0].slice(0, found[0].indexOf("/"));
      const { topic, topicId, partition } = letter;
      passed.push({ feed: { clusterId, topic, topicId, partition }, letter });
    }
  }
  passed.sort((a, b) => (a.letter.offset < b.letter.offset ? -1 : 1));
  return { passed, early, foreign };
}

function recordsOf(passed: readonly Passed[]): AddedRecords[] {
  return [...Map.groupBy(passed, ({ feed }) => feedKey(feed)).values()].flatMap((all) => {
    const [first] = all;
    if (first === undefined) return [];
    return [{ feed: first.feed, offsets: all.map(({ letter }) => letter.offset) }];
  });
}

/** Letters of one feed whose offsets a record batch can tell apart. */
function batchesOf(passed: readonly Passed[]): Iterable<readonly Passed[]> {
  const key = ({ feed, letter }: Passed): string =>
    `${feedKey(feed)}/${letter.offset >> BATCH_BITS}`;
  return Map.groupBy(passed, key).values();
}

/** False for a letter whose record is not there whole: `replay` reads it from Kafka. */
function isWhole({ reason, headers }: Letter): boolean {
  return reason !== "batch_corrupt" && reason !== "bad_timestamp" && headers !== null;
}

function bytesOf({ topic, partition }: Feed, letters: readonly Letter[]): RecordBytes {
  const records = letters.map(({ offset, timestampMs, key, value, headers }) => ({
    offset,
    timestampMs: timestampMs ?? NO_TIMESTAMP,
    key,
    value,
    headers: headers ?? [],
  }));
  return encodeRecords(topic, partition, records);
}

/**
 * The schemas of values in Confluent's wire format, as one table's format has parsed them. A batch is
 * looked through before it is read, so that the loop over records finds every schema here.
 */
import { AppError, fail } from "#base/errors.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import { RecordCursor } from "#decode/records.ts";
import type { RegisteredSchema, SchemaRegistry } from "./registry.ts";
import { type RecordPart, subjectOf } from "./subjects.ts";
import { schemaIdOf } from "./wire.ts";

/**
 * Why a record's table cannot be told without its schema (`need` of `FramedSchemas`). Were it put aside as a
 * letter of one table, another would pass it, and a start that knows the schema takes it for that other one.
 */
export const ROUTE_NEED: string =
  "iceberg.route_field needs it: which table the record is for cannot be told, so that none may pass it. " +
  "Register it (under that id: the registry's mode IMPORT) and start again";

/** Schemas by id, parsed by `parse`, which never throws. */
export class FramedSchemas<S> {
  readonly #registry: SchemaRegistry;
  readonly #parse: (schema: RegisteredSchema) => S;
  readonly #part: RecordPart;
  readonly #need: string | null;
  readonly #byId = new Map<number, S>();
  #revision = 0;

  /**
   * @param part whose schemas: of keys only those of records without a value are asked for
   * @param need why nothing can be done without a schema, a clause: a missing one ends its tables then,
   * whatever `on_missing` says; null: `on_missing` counts
   */
  constructor(
    registry: SchemaRegistry,
    parse: (schema: RegisteredSchema) => S,
    part: RecordPart = "value",
    need: string | null = null,
  ) {
    this.#registry = registry;
    this.#parse = parse;
    this.#part = part;
    this.#need = need;
  }

  /** Grows with every schema. */
  get revision(): number {
    return this.#revision;
  }

  /** The schema of an id; undefined: the registry has none, so that its records are refused. */
  get(id: number): S | undefined {
    return this.#byId.get(id);
  }

  /** Every schema so far, by id, the first one that was needed first. */
  entries(): Iterable<readonly [number, S]> {
    return this.#byId.entries();
  }

  /** The schemas of the first `recordsMax` values of batches, each once, in the order of the values. */
  of(batches: readonly RecordBytes[], recordsMax: number): ReadonlyMap<number, S> {
    const found = new Map<number, S>();
    let left = recordsMax;
    for (const batch of batches) {
      for (const id of idsOf(batch, left, this.#part)) {
        const schema = this.#byId.get(id);
        if (schema !== undefined) found.set(id, schema);
      }
      left -= batch.recordCount;
      if (left <= 0) break;
    }
    return found;
  }

  /** `Format.prepare`. The promise rejects with `data` where a missing schema is to end its table. */
  prepare(batch: RecordBytes): Promise<void> | null {
    const unknown = new Set<number>();
    for (const id of readableIds(batch, this.#part)) {
      if (this.#byId.has(id)) continue;
      const state = this.#registry.known(id);
      if (state === undefined) unknown.add(id);
      else if (state !== "missing") this.#take(id, state);
      else {
        const waiting = this.#answerMissing(id, batch);
        if (waiting !== null) return waiting;
      }
    }
    return unknown.size === 0 ? null : this.#registry.ask(unknown);
  }

  #take(id: number, schema: RegisteredSchema): void {
    this.#byId.set(id, this.#parse(schema));
    this.#revision++;
  }

  /** What is done about an id that the registry does not have. */
  #answerMissing(id: number, { topic, partition }: RecordBytes): Promise<void> | null {
    const { onMissing, strategy, urls } = this.#registry.options;
    const need = this.#need;
    if (need === null && onMissing === "dead_letter") return null;
    const subject = subjectOf(strategy, topic, this.#part, null);
    if (need !== null || onMissing === "fail" || subject === null) {
      const sentence =
        `A record of ${topic}/${partition} has schema id ${id}, which the schema registry ` +
        `${urls.join(", ")} does not have, and ${need ?? 'schema_registry.on_missing is "fail"'}`;
      return Promise.reject(fail("data", sentence, { topic, partition, schema_id: id }));
    }
    const latest = this.#registry.knownLatest(subject);
    if (latest === undefined) return this.#registry.askLatest(subject);
    // For good: who wants the latest version for an id does not wait for the id's own.
    if (latest !== "missing") this.#take(id, latest);
    return null;
  }
}

/** The ids of a batch as far as it can be read: who reads it tells where it is damaged. */
function* readableIds(batch: RecordBytes, part: RecordPart): Generator<number> {
  try {
    yield* idsOf(batch, batch.recordCount, part);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}

/**
 * The schema ids of a batch's values or keys, without those that have none; runs of one id give it once.
 * A record that nobody wants of the batch needs no schema: a person may have passed it for its id.
 */
function* idsOf(batch: RecordBytes, recordsMax: number, part: RecordPart): Generator<number> {
  const cursor = new RecordCursor(batch);
  const wantedDelta = Number(batch.wantedOffset - batch.baseOffset);
  let last = -1;
  for (let left = recordsMax; left > 0 && cursor.next(); left--) {
    const id = cursor.offsetDelta < wantedDelta ? -1 : idIn(cursor, part);
    if (id === last || id < 0) continue;
    last = id;
    yield id;
  }
}

/** The schema id of a record's value or key; -1: it has none. */
function idIn(
  { bytes, keyStart, keyEnd, valueStart, valueEnd }: RecordCursor,
  part: RecordPart,
): number {
  if (part === "value") return valueStart < 0 ? -1 : schemaIdOf(bytes, valueStart, valueEnd);
  // The key of a record with a value says nothing, unless it fills columns of its row.
  const isNeeded = keyStart >= 0 && (part !== "key" || valueStart < 0);
  return isNeeded ? schemaIdOf(bytes, keyStart, keyEnd) : -1;
}

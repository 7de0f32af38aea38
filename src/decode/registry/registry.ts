/**
 * The schemas of a registry, as formats ask for them: by id, with everything that they refer to. One
 * for each pipeline; what it has learned of an id stays, because an id never changes its schema.
 *
 * Trouble with the registry says nothing about a record (SPEC section 10): it is thrown, and whoever
 * asks does so again. The next request waits a little longer after each failure in a row.
 *
 * "No such schema" is not believed at once: a follower of a registry may not have heard of a schema that
 * was registered a moment ago. It has to say so for 30 s; then it is remembered for a while, so that
 * records with such an id cost nothing. A registry that has just been patiently listened to in vain is
 * believed after a second, so that records with ever other ids that do not exist hold nobody up for long.
 */
import type { Clock } from "#base/clock.ts";
import { type AppError, fail, kindOf } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Http } from "#base/http.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { backoffMs } from "#base/retry.ts";
import {
  type RegistryAnswer,
  type RegistryClient,
  registryClient,
  type SchemaAnswer,
} from "./client.ts";
import type { RegistryOptions } from "./options.ts";

/** A schema, and the name by which others refer to it. */
export interface NamedSchema {
  readonly name: string;
  readonly text: string;
}

/** A registered schema. */
export interface RegisteredSchema {
  readonly id: number;
  /** `AVRO`, `PROTOBUF`, `JSON`, or what an extension of the registry brings. */
  readonly language: string;
  readonly text: string;
  /** What it refers to, directly or not, each before those that need it. */
  readonly references: readonly NamedSchema[];
}

/** What is known of an id; `missing`: the registry has no such schema. */
export type SchemaState = RegisteredSchema | "missing";

/** What a registry is built from. */
export interface RegistryParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observe: Observe;
  /** Sends requests in place of the network; tests only. */
  readonly http?: Http;
}

/** How long "no such schema" has to be said until it is believed. */
export const MISSING_MS = 30_000;
/** The same of one that was believed of another id a while ago. */
export const MISSING_AGAIN_MS = 1000;
/** How long that is so. */
const BELIEVED_MS = 300_000;
/** How long one `ask` waits at most; the request goes on. */
export const ASK_MS_MAX = 1000;
const BACKOFF = { retriesMax: 0, baseDelayMs: 100, delayMsMax: 10_000 };
/** However short the configuration says: the batch that asked has to find the answer. */
const TTL_MS_MIN = 1000;
/** Ids asked for at once; the others are asked for by the next call. */
const IDS_MAX = 16;
/** Ids that do not exist are remembered up to this many. */
const MISSING_MAX = 10_000;
/** Schemas that one refers to, at most: more are an attack, or a circle. */
const REFERENCES_MAX = 1000;

/** An id that the registry says it does not have. */
interface Missing {
  readonly sinceMs: number;
  /** Believed until then; before that it is asked again. 0: not believed yet. */
  readonly untilMs: number;
}

/** A registry and what it has said so far. */
export class SchemaRegistry {
  readonly options: RegistryOptions;
  readonly #parts: RegistryParts;
  readonly #client: RegistryClient;
  readonly #schemas = new Map<number, RegisteredSchema>();
  readonly #missing = new Map<number, Missing>();
  readonly #versions = new Map<string, Promise<RegistryAnswer>>();
  readonly #latest = new Map<string, { readonly schema: SchemaState; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<void>>();
  /** Why records wait, as it was said last; null: they do not. */
  #said: string | null = null;
  /** Until then a "no such schema" is believed sooner. */
  #believedUntilMs = 0;
  #trouble: { readonly error: AppError; readonly tries: number; readonly againMs: number } | null =
    null;

  constructor(options: RegistryOptions, parts: RegistryParts) {
    this.options = options;
    this.#parts = parts;
    this.#client = registryClient(options, parts);
  }

  /** What is known of an id now; undefined: it has to be asked for. */
  known(id: number): SchemaState | undefined {
    const schema = this.#schemas.get(id);
    if (schema !== undefined) return schema;
    const missing = this.#missing.get(id);
    if (missing === undefined) return undefined;
    return this.#parts.clock.monotonicMs() < missing.untilMs ? "missing" : undefined;
  }

  /** The newest schema of a subject, while it is believed; undefined: it has to be asked for. */
  knownLatest(subject: string): SchemaState | undefined {
    const latest = this.#latest.get(subject);
    return latest !== undefined && this.#parts.clock.monotonicMs() < latest.untilMs
      ? latest.schema
      : undefined;
  }

  /**
   * Asks for schemas. Throws `registry_unreachable`, `registry_refused` when one is not known a second
   * later: ask again.
   */
  async ask(ids: Iterable<number>): Promise<void> {
    const wanted = [...ids].filter((id) => this.known(id) === undefined).slice(0, IDS_MAX);
    await this.#soon(wanted.map((id) => this.#once(`schema id ${id}`, () => this.#askId(id))));
  }

  /** Asks for the newest schema of a subject. Throws as `ask`. */
  async askLatest(subject: string): Promise<void> {
    if (this.knownLatest(subject) !== undefined) return;
    const ask = (): Promise<void> => this.#askLatest(subject);
    await this.#soon([this.#once(`the latest version of subject ${subject}`, ask)]);
  }

  close(): void {
    this.#client.close();
  }

  async #askId(id: number): Promise<void> {
    const what = `schema id ${id}`;
    const answer = await this.#get(`/schemas/ids/${id}`);
    const schema = answer === null ? null : await this.#schemaOf(id, answer);
    if (schema === null) return this.#miss(id, what);
    this.#schemas.set(id, schema);
    this.#recovered();
    // It was registered a moment ago: the next one is waited for as long.
    if (this.#missing.delete(id)) this.#believedUntilMs = 0;
  }

  async #askLatest(subject: string): Promise<void> {
    const answer = await this.#get(`/subjects/${encodeURIComponent(subject)}/versions/latest`);
    const id = answer?.id ?? null;
    const schema = answer === null || id === null ? null : await this.#schemaOf(id, answer);
    const ttlMs = Math.max(this.options.cacheTtlMs, TTL_MS_MIN);
    const untilMs = this.#parts.clock.monotonicMs() + ttlMs;
    this.#latest.set(subject, { schema: schema ?? "missing", untilMs });
    if (schema !== null) this.#schemas.set(schema.id, schema);
    this.#recovered();
  }

  /** An id that the registry says it does not have. Throws while that is not believed. */
  #miss(id: number, what: string): void {
    const now = this.#parts.clock.monotonicMs();
    const before = this.#missing.get(id);
    const sinceMs = before?.sinceMs ?? now;
    const patienceMs = now < this.#believedUntilMs ? MISSING_AGAIN_MS : MISSING_MS;
    const wasBelieved = (before?.untilMs ?? 0) > 0;
    const isBelieved = wasBelieved || now - sinceMs >= patienceMs;
    if (this.#missing.size >= MISSING_MAX) this.#missing.clear();
    const untilMs = isBelieved ? now + Math.max(this.options.cacheTtlMs, TTL_MS_MIN) : 0;
    this.#missing.set(id, { sinceMs, untilMs });
    if (isBelieved) {
      this.#believedUntilMs = now + BELIEVED_MS;
      this.#recovered();
      return;
    }
    const place = this.options.urls.join(", ");
    const sentence =
      `The schema registry ${place} does not know ${what} of a record; it is asked again for ` +
      `${patienceMs / 1000} s, in case it hears of it late`;
    throw this.#say(fail("registry_unreachable", sentence, { schema_id: id }));
  }

  /** The schema of an answer; null: something that it refers to is missing. */
  async #schemaOf(id: number, answer: SchemaAnswer): Promise<RegisteredSchema | null> {
    const found = new Map<string, NamedSchema>();
    if (!(await this.#collect(answer, found))) return null;
    const { text, language } = answer;
    return { id, language, text, references: [...found.values()] };
  }

  /** Collects what an answer's schema refers to, the innermost first; false: something is missing. */
  async #collect(
    answer: SchemaAnswer,
    found: Map<string, NamedSchema>,
    above: ReadonlySet<string> = new Set(),
  ): Promise<boolean> {
    for (const { name, subject, version } of answer.references) {
      const key = `${subject}/${version}/${name}`;
      if (found.has(key) || above.has(key)) continue;
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}?deleted=true`;
      const referred = await this.#version(path);
      if (referred === null || found.size >= REFERENCES_MAX) return false;
      if (!(await this.#collect(referred, found, new Set([...above, key])))) return false;
      found.set(key, { name, text: referred.text });
    }
    return true;
  }

  /** A version of a subject, which never changes: asked for once. */
  async #version(path: string): Promise<RegistryAnswer> {
    const asked = this.#versions.get(path) ?? this.#get(path);
    this.#versions.set(path, asked);
    try {
      const answer = await asked;
      if (answer === null) this.#versions.delete(path);
      return answer;
    } catch (error) {
      this.#versions.delete(path);
      throw error;
    }
  }

  /** One question, unless the registry was asked in vain a moment ago. */
  async #get(path: string): Promise<RegistryAnswer> {
    const { clock } = this.#parts;
    const trouble = this.#trouble;
    if (trouble !== null && clock.monotonicMs() < trouble.againMs) throw trouble.error;
    try {
      const answer = await this.#client.get(path);
      this.#trouble = null;
      return answer;
    } catch (error) {
      throw this.#troubled(error as AppError);
    }
  }

  /** What was waited for is there. */
  #recovered(): void {
    if (this.#said === null) return;
    this.#said = null;
    this.#parts.log.log("info", "The schema registry answers again");
    this.#tell(null);
  }

  /** Notes trouble. */
  #troubled(error: AppError): AppError {
    const { clock, random, observe } = this.#parts;
    const before = this.#trouble;
    const tries = (before?.tries ?? -1) + 1;
    const againMs = clock.monotonicMs() + backoffMs(BACKOFF, tries, random);
    this.#trouble = { error, tries, againMs };
    observe({ type: "error", kind: kindOf(error) });
    return this.#say(error);
  }

  /** Says why records wait, once for each sentence. */
  #say(error: AppError): AppError {
    if (this.#said === error.message) return error;
    this.#said = error.message;
    const what = `${error.message}. Records that need a schema wait`;
    this.#parts.log.log("warn", what, { ...error.context });
    this.#tell(error);
    return error;
  }

  #tell(trouble: unknown): void {
    this.#parts.observe({ type: "service", service: "registry", trouble });
  }

  /** One look-up of a name at a time. */
  #once(what: string, look: () => Promise<void>): Promise<void> {
    const known = this.#asking.get(what);
    if (known !== undefined) return known;
    const looking = look().finally(() => this.#asking.delete(what));
    this.#asking.set(what, looking);
    return looking;
  }

  /** Waits for look-ups, but not long: who asks holds others up. */
  async #soon(lookUps: readonly Promise<void>[]): Promise<void> {
    if (lookUps.length === 0) return;
    const done = new AbortController();
    const late = this.#parts.clock.sleep(ASK_MS_MAX, done.signal).then((): void => {
      if (done.signal.aborted) return;
      const place = this.options.urls.join(", ");
      const sentence = `The schema registry ${place} has not answered yet; it is waited for`;
      throw this.#trouble?.error ?? this.#say(fail("registry_unreachable", sentence));
    });
    // Those that fail later have nobody who waits for them.
    for (const each of [late, ...lookUps]) each.catch(() => undefined);
    try {
      await Promise.race([Promise.all(lookUps), late]);
    } finally {
      done.abort();
    }
  }
}

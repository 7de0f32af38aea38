/**
 * SQL for many who ask at once: statements run one after the other in one child process, which the first
 * question starts. It ends when nobody has asked for a while, and with a statement that is given up.
 */
import type { Clock } from "#base/clock.ts";
import { describe, fail } from "#base/errors.ts";
import { type Answered, answerQuestion, type Question, type Sources } from "./answer.ts";
import { EngineProcess, type Pieces } from "./engineProcess.ts";
import { FileCopies, type FileCopiesOptions } from "./fileCopies.ts";
import type { EngineOptions } from "./protocol.ts";

/** Without a question for so long, the engine and its memory go. */
const REST_MS = 60_000;
/** An engine that does not come up for so long never will: a start takes some 200 ms. */
const OPENING_MS = 30_000;

/** The queue before the engine. */
export class SqlService {
  readonly #clock: Clock;
  readonly #options: EngineOptions;
  readonly #copies: FileCopies;
  #engine: EngineProcess | null = null;
  /** When the engine was started, monotonic. */
  #startedMs = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #asked = 0;

  constructor(clock: Clock, options: EngineOptions, copies: FileCopiesOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#copies = new FileCopies(copies);
  }

  /**
   * Answers a question when those before it are answered; the answer's bytes are as they are sent on.
   * @param signal gives it up, also while it runs
   * @throws AppError `query`, `query_engine`
   */
  ask(question: Question, sources: Sources, signal: AbortSignal): Promise<Answered<Pieces>> {
    const run = this.#tail.then(() => this.#askNow(question, sources, signal));
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /** Ends the engine, and removes what was fetched for it. */
  async close(): Promise<void> {
    await this.#engine?.end();
    await this.#copies.close();
  }

  async #askNow(
    question: Question,
    sources: Sources,
    signal: AbortSignal,
  ): Promise<Answered<Pieces>> {
    if (signal.aborted) throw givenUp();
    const number = ++this.#asked;
    const engine = this.#running();
    const given = Promise.withResolvers<never>();
    given.promise.catch(() => undefined);
    let isAsked = false;
    let isOver = false;
    const onAbort = async (): Promise<void> => {
      // One that only begins is the next question's.
      if (isOver) return;
      if (isAsked) await engine.end();
      given.reject(givenUp());
    };
    signal.addEventListener("abort", () => void onAbort(), { once: true });
    try {
      await Promise.race([engine.opened, given.promise]);
      isAsked = true;
      const fetch = this.#copies.begin(signal);
      return await Promise.race([answerQuestion(engine, sources, question, fetch), given.promise]);
    } catch (error) {
      if (signal.aborted) throw givenUp();
      // What is left of its memory may lie in pieces: the next statement gets a new one.
      if (/out of memory/i.test(describe(error))) await engine.end();
      throw error;
    } finally {
      isOver = true;
      void this.#rest(number);
    }
  }

  /** The engine; another one where there is none, or one that hangs before it answers anything. */
  #running(): EngineProcess {
    const engine = this.#engine;
    const nowMs = this.#clock.monotonicMs();
    if (engine !== null && !engine.isOpen && nowMs - this.#startedMs > OPENING_MS) {
      // It may hang in the system, and be gone much later.
      void engine.end();
    }
    if (engine !== null && !engine.isEnded) return engine;
    this.#startedMs = nowMs;
    this.#engine = new EngineProcess(this.#options);
    return this.#engine;
  }

  async #rest(number: number): Promise<void> {
    await this.#clock.sleep(REST_MS);
    if (this.#asked === number) await this.#engine?.end();
  }
}

function givenUp(): Error {
  return fail(
    "query",
    "The query was given up: its time was over, or nobody waits for it any more",
  );
}

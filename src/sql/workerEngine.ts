/**
 * The SQL engine in a Worker of its own: statements run beside the event loop, one after the other.
 * The Worker is started by the first question, and ended when nobody has asked for a while: it keeps
 * what its largest answer took.
 */
import type { Pointer } from "bun:ffi";
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { Admitted } from "./admit.ts";
import {
  type Answered,
  answerQuestion,
  type Engine,
  type Question,
  type UseTable,
} from "./answer.ts";
import type { Answer, Run } from "./database.ts";
import type { InstanceOptions } from "./duckdb/instance.ts";
import { loadInterrupt } from "./duckdb/symbols.ts";
import type { ParquetNode } from "./parquetNodes.ts";
import type { Call, CallBody, Reply } from "./protocol.ts";

/** What the engine is made of. */
export interface WorkerEngineParts {
  readonly clock: Clock;
  /** Path of the library, and the memory that statements may take. Asked once, at the first question. */
  options(): Promise<InstanceOptions>;
}

/** Without a question for so long, the engine and its memory go. */
const REST_MS = 60_000;
/** One that comes between two steps of the engine is lost: it is sent until there is an answer. */
const INTERRUPT_EVERY_MS = 10;
/** What cannot be interrupted within this time is given up, and its thread with it. */
const STUCK_MS = 5000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** SQL for many who ask at once. */
export class SqlService {
  readonly #parts: WorkerEngineParts;
  #thread: Thread | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  #asked = 0;

  constructor(parts: WorkerEngineParts) {
    this.#parts = parts;
  }

  /**
   * Answers a question when those before it are answered.
   * @param signal gives it up, also while it runs
   * @throws AppError `query`, `query_engine`
   */
  ask(question: Question, useTable: UseTable, signal: AbortSignal): Promise<Answered> {
    const run = this.#tail.then(() => this.#askNow(question, useTable, signal));
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /** Ends the Worker. */
  close(): void {
    this.#thread?.end();
    this.#thread = null;
  }

  async #askNow(question: Question, useTable: UseTable, signal: AbortSignal): Promise<Answered> {
    if (signal.aborted) throw givenUp();
    const number = ++this.#asked;
    try {
      const thread = this.#thread ?? new Thread(this.#parts, await this.#parts.options());
      this.#thread = thread;
      return await thread.interruptible(signal, () => answerQuestion(thread, useTable, question));
    } finally {
      if (this.#thread?.isStuck === true) this.close();
      void this.#rest(number);
    }
  }

  async #rest(number: number): Promise<void> {
    await this.#parts.clock.sleep(REST_MS);
    if (this.#asked === number) this.close();
  }
}

/** The Worker, as an engine. */
class Thread implements Engine {
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #library: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #opened: Promise<unknown>;
  #calls = 0;
  #connection = 0;
  #isEnded = false;
  isStuck = false;

  constructor({ clock }: WorkerEngineParts, options: InstanceOptions) {
    this.#clock = clock;
    this.#library = options.library;
    this.#worker = new Worker(workerUrl(), { smol: true });
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>): void => this.#take(data);
    this.#worker.onerror = ({ message }): void => this.#fail(message);
    this.#opened = this.#call({ type: "open", options });
    this.#opened.catch(() => undefined);
  }

  async admit(text: string): Promise<Admitted> {
    return (await this.#ask({ type: "admit", text })) as Admitted;
  }

  async allow(folders: readonly string[]): Promise<void> {
    await this.#opened;
    // It may begin again with another connection: none is interrupted until its address is known.
    this.#connection = 0;
    await this.#call({ type: "allow", folders });
  }

  async columnsOfFiles(
    paths: readonly string[],
  ): Promise<ReadonlyMap<string, readonly ParquetNode[]>> {
    const columns = await this.#ask({ type: "columns", paths });
    return columns as ReadonlyMap<string, readonly ParquetNode[]>;
  }

  async run(run: Run): Promise<Answer> {
    return (await this.#ask({ type: "run", run })) as Answer;
  }

  /** Does something that the signal ends, wherever it is. */
  async interruptible<T>(signal: AbortSignal, action: () => Promise<T>): Promise<T> {
    const over = new AbortController();
    const given = Promise.withResolvers<never>();
    given.promise.catch(() => undefined);
    const interrupt = async (): Promise<void> => {
      const beganMs = this.#clock.monotonicMs();
      while (!over.signal.aborted && this.#clock.monotonicMs() - beganMs < STUCK_MS) {
        if (this.#connection !== 0) loadInterrupt(this.#library)(this.#connection as Pointer);
        await this.#clock.sleep(INTERRUPT_EVERY_MS);
      }
      if (over.signal.aborted) return;
      this.isStuck = true;
      given.reject(givenUp());
    };
    const onAbort = (): void => void interrupt();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([action(), given.promise]);
    } catch (error) {
      throw signal.aborted ? givenUp() : error;
    } finally {
      over.abort();
      signal.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Ends it. A thread that is stuck in a call still reads the rows that it was lent: it ends when the
   * call does, and only then are they given back.
   */
  end(): void {
    this.#isEnded = true;
    if (this.#waiting.size > 0 && this.isStuck) return;
    this.#worker.terminate();
    this.#fail("the SQL engine was ended");
  }

  async #ask(body: CallBody): Promise<unknown> {
    await this.#opened;
    return this.#call(body);
  }

  #call(body: CallBody): Promise<unknown> {
    const id = ++this.#calls;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    const call: Call = { id, ...body };
    this.#worker.postMessage(call);
    return promise;
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (this.#isEnded) this.#worker.terminate();
    if ("error" in reply) {
      waiting?.reject(fail(reply.error.kind, reply.error.message));
      return;
    }
    this.#connection = reply.connection;
    waiting?.resolve(reply.value);
  }

  #fail(message: string): void {
    for (const { reject } of this.#waiting.values()) reject(fail("query_engine", message));
    this.#waiting.clear();
  }
}

function givenUp(): Error {
  return fail(
    "query",
    "The query was given up: its time was over, or nobody waits for it any more",
  );
}

/** As `parquet/pool.ts`: in the executable entry points keep their path below `src/`. */
function workerUrl(): URL {
  const entryPoint = "./sql/worker.ts";
  const inExecutable = Bun.embeddedFiles.length > 0;
  return inExecutable
    ? new URL(entryPoint, import.meta.url)
    : new URL("./worker.ts", import.meta.url);
}

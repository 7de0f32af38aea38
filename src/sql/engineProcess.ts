/**
 * The SQL engine in a child process (`child.ts`), as its parent sees it. Decision 0351.
 *
 * DuckDB counts not all of the memory that a statement takes, cannot be interrupted within a call, and
 * might crash: the child has a limit of its own, and ending it ends whatever it does. It reads lent rows
 * where they lie in the parent's memory (`borrow.ts`), so they are given back only when it has answered or
 * is gone.
 */
import { join } from "node:path";
import { fail } from "#base/errors.ts";
import { openLibc } from "#base/libc.ts";
import { LIMITS } from "#base/limits.ts";
import { Recent } from "#base/recent.ts";
import type { Admitted } from "./admit.ts";
import type { Engine } from "./answer.ts";
import type { Run } from "./database.ts";
import { KnownColumns, type ParquetNode } from "./parquetNodes.ts";
import type { Call, CallBody, EngineOptions, Reply } from "./protocol.ts";

/** The word that makes this program the engine of its parent; `main.ts` knows it too. */
const ENGINE_WORD = "sql-engine";
/** Yama's: who may read this process's memory beside its parents. */
const SET_PTRACER = 0x59616d61;

/** Statements whose admission is remembered, and how long they may be. */
const ADMITTED_MAX = 100;
const ADMITTED_TEXT_MAX = 10_000;

/** Bytes of an answer, in their order. */
export type Pieces = readonly Uint8Array<ArrayBuffer>[];

interface Waiting {
  /** Of a run, that have come. */
  readonly pieces: Uint8Array<ArrayBuffer>[];
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** One child. */
export class EngineProcess implements Engine<Pieces> {
  readonly #child: Bun.Subprocess<"ignore", "ignore", "ignore">;
  readonly #waiting = new Map<number, Waiting>();
  /** It is ready for questions. */
  readonly opened: Promise<unknown>;
  readonly #known = new KnownColumns(LIMITS.knownFootersMax);
  /** Statements that are admitted alike whenever they come. */
  readonly #admitted = new Recent<string, Admitted>(ADMITTED_MAX);
  /** What was allowed last: the engine's folders, or some of them. */
  #folders: readonly string[] = [];
  readonly #bytesMax: number;
  #calls = 0;
  #isOpen = false;
  #isEnded = false;

  constructor(options: EngineOptions) {
    this.#bytesMax = options.processBytesMax;
    this.#child = Bun.spawn(engineCommand(), {
      cwd: "/",
      // What the parent's holds is no statement's business; a crash is reported to nobody.
      env: { BUN_ENABLE_CRASH_REPORTING: "0", DO_NOT_TRACK: "1" },
      stdio: ["ignore", "ignore", "ignore"],
      serialization: "advanced",
      ipc: (reply: Reply) => this.#take(reply),
      onExit: () => this.#fail(),
    });
    letRead(this.#child.pid);
    this.opened = this.#call({ type: "open", options });
    // One that could not open answers nobody: the next question gets another.
    this.opened.then(
      () => {
        this.#isOpen = true;
      },
      () => void this.end(),
    );
  }

  /** True once it has answered. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** True when it answers nothing any more. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  async admit(text: string): Promise<Admitted> {
    const known = this.#admitted.get(text);
    if (known !== undefined) return known;
    const admitted = (await this.#ask({ type: "admit", text })) as Admitted;
    const isKept = admitted.isTimeless && text.length <= ADMITTED_TEXT_MAX;
    if (isKept) this.#admitted.set(text, admitted);
    return admitted;
  }

  async allow(folders: readonly string[]): Promise<void> {
    if (folders.every((each) => this.#folders.includes(each))) return;
    await this.#ask({ type: "allow", folders });
    this.#folders = folders;
  }

  columnsOfFiles(paths: readonly string[]): Promise<ReadonlyMap<string, readonly ParquetNode[]>> {
    return this.#known.of(paths, async (unknown) => {
      const columns = await this.#ask({ type: "columns", paths: unknown });
      return columns as ReadonlyMap<string, readonly ParquetNode[]>;
    });
  }

  async selectLog(folder: string): Promise<string> {
    return (await this.#ask({ type: "log", folder })) as string;
  }

  /** Runs a statement; the answer as it is sent on. */
  async run(run: Run): Promise<Pieces> {
    return (await this.#ask({ type: "run", run })) as Pieces;
  }

  /** Ends it at once, whatever it does; resolves when it is gone. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #ask(body: CallBody): Promise<unknown> {
    await this.opened;
    return this.#call(body);
  }

  #call(body: CallBody): Promise<unknown> {
    if (this.#isEnded) return Promise.reject(this.#ended());
    const id = ++this.#calls;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { pieces: [], resolve, reject });
    const call: Call = { id, ...body };
    this.#child.send(call);
    return promise;
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    if ("piece" in reply) {
      waiting.pieces.push(reply.piece);
      return;
    }
    this.#waiting.delete(reply.id);
    if ("error" in reply) {
      if (reply.error.isLast) void this.end();
      waiting.reject(fail(reply.error.kind, reply.error.message));
    } else waiting.resolve("isWhole" in reply ? waiting.pieces : reply.value);
  }

  #fail(): void {
    this.#isEnded = true;
    for (const { reject } of this.#waiting.values()) reject(this.#ended());
    this.#waiting.clear();
  }

  #ended(): Error {
    const megabytes = Math.floor(this.#bytesMax / 1e6);
    return fail(
      "query",
      `The statement ended the SQL engine: it took more than ${megabytes} MB, or what DuckDB cannot do`,
    );
  }
}

function engineCommand(): string[] {
  const isExecutable = Bun.embeddedFiles.length > 0;
  return [process.execPath, isExecutable ? ENGINE_WORD : join(import.meta.dir, "child.ts")];
}

/** Where the system asks for it (Yama), the child is let read this process's memory. */
function letRead(pid: number): void {
  const libc = openLibc<{ prctl: (option: number, pid: bigint) => number }>({
    prctl: { args: ["i32", "u64"], returns: "i32" },
  });
  libc?.prctl(SET_PTRACER, BigInt(pid));
}

/**
 * The SQL engine as `/query` runs it, in a place where every effect outside would be seen: a file and a
 * variable with a secret, a folder to write into, a server to be asked.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { describe } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { systemRandom } from "#base/random.ts";
import { newTableMetadata, UNPARTITIONED } from "#iceberg/metadata/newTable.ts";
import type { Sources } from "#sql/answer.ts";
import { SqlService } from "#sql/service.ts";
import { createLocalStorage } from "#storage/local.ts";
import { temporaryFolder } from "../services/process.ts";

/** What became of a statement. */
export interface Fate {
  readonly kind: "answered" | "error" | "late";
  /** The answer as JSON, or the error's sentence. */
  readonly text: string;
  readonly ms: number;
}

const SECRET = "canary-7f3a9c51";
const ROWS_MAX = 1000;

/** The engine, and what it must not touch. */
export class Arena {
  readonly #service: SqlService;
  readonly #timeoutMs: number;
  readonly #folder: string;
  readonly #server: Bun.Server<undefined>;
  readonly #sources: Sources;
  #asked = 0;

  private constructor(folder: string, timeoutMs: number) {
    this.#folder = folder;
    this.#timeoutMs = timeoutMs;
    mkdirSync(join(folder, "table"));
    writeFileSync(join(folder, "canary"), SECRET);
    process.env["CANARY_SECRET"] = SECRET;
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => {
        this.#asked++;
        return new Response("a\n1\n");
      },
    });
    const engine = {
      cacheFolder: null,
      memoryBytesMax: LIMITS.hotQueryBytesMax,
      processBytesMax: LIMITS.queryProcessBytesMax,
    };
    this.#service = new SqlService(systemClock, engine, { root: folder, bytesMax: 0 });
    this.#sources = emptyTable(join(folder, "table"));
  }

  static async open(timeoutMs: number): Promise<Arena> {
    return new Arena(await temporaryFolder("arena"), timeoutMs);
  }

  /** Runs a statement, in which `CANARY`, `TARGET` and `URL` stand for what is here. */
  async run(sql: string, timeoutMs: number = this.#timeoutMs): Promise<Fate> {
    const began = performance.now();
    const left = (): number => performance.now() - began;
    const question = {
      sql: this.#placed(sql),
      parameters: [],
      form: "json",
      rowsMax: ROWS_MAX,
      bytesMax: LIMITS.queryAnswerBytesMax,
      snapshot: { kind: "current" },
    } as const;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const { answer } = await this.#service.ask(question, this.#sources, signal);
      return { kind: "answered", text: Buffer.concat(answer).toString(), ms: left() };
    } catch (error) {
      return { kind: signal.aborted ? "late" : "error", text: describe(error), ms: left() };
    }
  }

  /** What a statement did that it may not do; empty: nothing. */
  effects({ text }: Fate): string[] {
    const found: string[] = [];
    const files = readdirSync(this.#folder, { recursive: true }).map(String).sort().join(" ");
    if (files !== "canary table") found.push(`there are the files ${files}`);
    if (readFileSync(join(this.#folder, "canary"), "utf8") !== SECRET)
      found.push("the canary is another");
    if (this.#asked > 0) found.push(`the server was asked ${this.#asked} times`);
    if (text.includes(SECRET)) found.push("the secret is in the answer");
    if (/root:[^:]*:0:0/.test(text)) found.push("/etc/passwd is in the answer");
    this.#asked = 0;
    return found;
  }

  async close(): Promise<void> {
    await this.#service.close();
    await this.#server.stop(true);
  }

  #placed(sql: string): string {
    const { port } = this.#server;
    return sql
      .replaceAll(/CANARY(?!_)/g, join(this.#folder, "canary"))
      .replaceAll("TARGET", join(this.#folder, "target"))
      .replaceAll("URL", `http://127.0.0.1:${port}`);
  }
}

/** `t` with a column `x`, and without a row; there is no other table. */
function emptyTable(folder: string): Sources {
  const metadata = newTableMetadata({
    uuid: "11111111-2222-4333-8444-555555555555",
    location: folder,
    fields: [{ id: 1, name: "x", required: false, type: { kind: "long" } }],
    spec: () => UNPARTITIONED,
    formatVersion: 2,
    properties: {},
    timestampMs: 1000,
  });
  const table = {
    name: { namespace: ["default"], table: "t" },
    metadata,
    metadataLocation: join(folder, "metadata.json"),
    storage: createLocalStorage({ disk: systemDisk, random: systemRandom }),
  };
  return {
    useTable: (name, _part, use) => use(name.toLowerCase() === "t" ? { table, hot: null } : null),
    tableNames: () => ["t"],
    syncPoints: () => Promise.resolve([]),
    logFolder: join(folder, "log"),
  };
}

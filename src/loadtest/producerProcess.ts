/**
 * The owner's side of the producing process of a load test (`loadtest/child.ts`).
 */
import { type AppError, fail } from "#base/errors.ts";
import { parseJson, writeJson } from "#base/json.ts";
import { linesOf, PRODUCER_WORD, type ProducerJob, type ProducerLine } from "./child.ts";
import type { Produced, Progress } from "./producer.ts";

/** A producing process that is ready. */
export interface ProducerProcess {
  /** Begins; resolves when everything is acknowledged, also after `stop`. */
  produce(): Promise<Produced>;
  /** Lets it end early: what was sent is acknowledged first. */
  stop(): void;
  /** Ends the process at once. */
  kill(): void;
}

/**
 * Starts the process and waits until it is ready. Throws what went wrong in it.
 * @param command how this program is started
 */
export async function startProducer(
  command: readonly string[],
  job: ProducerJob,
  onProgress: (progress: Progress) => void,
): Promise<ProducerProcess> {
  const child = Bun.spawn([...command, PRODUCER_WORD], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const say = (line: string): void => {
    void child.stdin.write(`${line}\n`);
    void child.stdin.flush();
  };
  const ready = Promise.withResolvers<void>();
  const done = Promise.withResolvers<Produced>();
  const failed = (error: AppError): void => {
    ready.reject(error);
    done.reject(error);
  };
  ready.promise.catch(() => undefined);
  done.promise.catch(() => undefined);
  const read = async (): Promise<void> => {
    for await (const text of linesOf(child.stdout)) {
      const line = parseJson(text) as unknown as ProducerLine;
      if (line.type === "ready") ready.resolve();
      else if (line.type === "progress") onProgress(line);
      else if (line.type === "done") done.resolve(producedOf(line));
      else failed(fail(line.kind, `Producing failed: ${line.sentence}`));
    }
    failed(fail("internal", `The producing process ended (exit ${await child.exited})`));
  };
  void read();
  say(writeJson(job));
  await ready.promise;
  return {
    produce: () => {
      say("go");
      return done.promise;
    },
    stop: () => say("stop"),
    kill: () => child.kill("SIGKILL"),
  };
}

function producedOf(line: Extract<ProducerLine, { type: "done" }>): Produced {
  const ends = new Map(line.ends.map(([partition, end]) => [partition, BigInt(end)]));
  const { rows, bytes, beganMs, endedMs } = line;
  return { rows, bytes, beganMs, endedMs, ends };
}

/** How this program is started: the executable, or the runtime with the main file. */
export function ownCommand(): string[] {
  const inExecutable = Bun.embeddedFiles.length > 0;
  return inExecutable ? [process.execPath] : [process.execPath, Bun.main];
}

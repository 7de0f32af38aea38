/**
 * System calls of a process, as strace sees them: which came after which had returned.
 */
import { existsSync, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../../scripts/services/install.ts";

/** One call; `start` and `end` are places in the trace, comparable with each other. */
export interface SystemCall {
  readonly name: string;
  /** Everything between the parentheses; descriptors come with their paths. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const CALLS = "write,pwrite64,fsync,fdatasync,link,linkat,unlink,unlinkat,mkdir,mkdirat,rename";

/** Runs a command to its end under strace. Throws when it fails. */
export async function traceCalls(
  command: readonly string[],
  traceFile: string,
): Promise<SystemCall[]> {
  const strace = [await straceBinary(), "-f", "-y", "-qq", "-s", "60", "-e", `trace=${CALLS}`];
  const child = Bun.spawn([...strace, "-o", traceFile, ...command], {
    // To a file: writes to a pipe may be other system calls.
    stdout: Bun.file(`${traceFile}.out`),
    stderr: "pipe",
  });
  const [code, errors] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (code !== 0) throw new Error(`${command.join(" ")} under strace: exit ${code}: ${errors}`);
  return parseTrace(await readFile(traceFile, "utf8"));
}

/** Calls by the order in which they returned; a call of which the trace lacks one half is left out. */
export function parseTrace(trace: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, { name: string; text: string; start: number }>();
  trace.split("\n").forEach((line, at) => {
    const begun = /^(\d+)\s+(\w+)\((.*) <unfinished \.\.\.>$/.exec(line);
    const resumed = /^(\d+)\s+<\.\.\. (\w+) resumed>/.exec(line);
    const whole = /^\d+\s+(\w+)\((.*)\)\s+= 0*[0-9]+$/.exec(line);
    if (begun !== null) {
      const [, pid = "", name = "", text = ""] = begun;
      unfinished.set(pid, { name, text, start: at });
    } else if (resumed !== null) {
      const call = unfinished.get(resumed[1] ?? "");
      if (call !== undefined && / = 0*[0-9]+$/.test(line)) calls.push({ ...call, end: at });
    } else if (whole !== null) {
      const [, name = "", text = ""] = whole;
      calls.push({ name, text, start: at, end: at });
    }
  });
  return calls;
}

/** From the system, or unpacked from Debian's package into the cache, which needs no rights. */
async function straceBinary(): Promise<string> {
  const installed = Bun.which("strace");
  if (installed !== null) return installed;
  const folder = join(cacheFolder(), "strace");
  const binary = join(folder, "usr", "bin", "strace");
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  const fetch = "apt-get download strace && dpkg -x strace_*.deb . && rm strace_*.deb";
  const child = Bun.spawn(["sh", "-c", fetch], { cwd: folder, stderr: "pipe" });
  if ((await child.exited) === 0) return binary;
  throw new Error(`strace is not installed: ${await new Response(child.stderr).text()}`);
}

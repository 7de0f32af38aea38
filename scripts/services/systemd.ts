/** A real systemd as process 1 of namespaces of its own (systemd.sh), for our unit as it is shipped. */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { run, startService, temporaryFolder, until } from "./process.ts";

/** A running systemd. */
export interface Systemd {
  /** Runs a command beside it, and gives its output; throws when it fails. */
  run(command: readonly string[]): Promise<string>;
  /** A property of a unit, `systemctl show --value`. */
  property(unit: string, name: string): Promise<string>;
  /** Ends it, and all that it started. */
  stop(): Promise<void>;
}

/** What is laid over the root. */
export interface SystemdFiles {
  /** By absolute path: text, or another file that is copied. */
  readonly [path: string]: string | Blob;
}

const SCRIPT = join(import.meta.dir, "systemd.sh");
const CONTROLLERS = ["memory", "pids", "cpu", "cpuacct", "systemd"];

/** Starts it. @param files laid over this machine's own, for it alone @param shared a folder that is everybody's */
export async function startSystemd(files: SystemdFiles, shared: string): Promise<Systemd> {
  const folder = await temporaryFolder("systemd");
  for (const [path, content] of Object.entries(files)) {
    const place = join(folder, "files", path);
    mkdirSync(dirname(place), { recursive: true });
    await Bun.write(place, content, { mode: path.includes("/bin/") ? 0o755 : 0o644 });
  }
  const group = `kafka-iceberg-${process.pid}`;
  const service = await startService({
    name: "systemd",
    command: ["bash", SCRIPT, folder, group, shared],
    logFile: join(folder, "systemd.log"),
    ready: () => true,
  });
  const first = await firstProcess(service.pid);
  const words = ["nsenter", "-t", String(first), "-m", "-p", "-i", "-u", "-C"];
  const inside = (command: readonly string[]): Promise<string> => run([...words, ...command]);
  await until(
    "systemd answers",
    async () => (await inside(["systemctl", "is-system-running"]).catch(() => "")) !== "",
    20_000,
    200,
  );
  await inside(["systemctl", "start", "systemd-journald.service"]);
  return {
    run: inside,
    property: async (unit, name) =>
      (await inside(["systemctl", "show", unit, "--value", "-p", name])).trim(),
    stop: async () => {
      await service.kill("SIGKILL");
      for (const controller of CONTROLLERS) {
        const path = join("/sys/fs/cgroup", controller, group);
        await until(`${path} is empty`, () => removed(path), 10_000, 200);
      }
    },
  };
}

/** The process that is number 1 in there, by its number out here. */
async function firstProcess(parent: number): Promise<number> {
  let found = 0;
  await until(
    "systemd is there",
    () => {
      const path = `/proc/${parent}/task/${parent}/children`;
      found = Number(readFileSync(path, "utf8").trim().split(" ")[0]);
      return found > 0 && readFileSync(`/proc/${found}/comm`, "utf8").trim() === "systemd";
    },
    20_000,
    100,
  );
  return found;
}

/** Its own groups first; false while something lives in it. */
function removed(path: string): boolean {
  if (!existsSync(path)) return true;
  try {
    const folders = [...new Bun.Glob("**/cgroup.procs").scanSync(path)].map(dirname);
    for (const each of folders.toSorted((a, b) => b.length - a.length)) rmdirSync(join(path, each));
    return true;
  } catch {
    return false;
  }
}

/**
 * The executable in a box of its own (bubblewrap): not root, the root read-only and empty but for the C library,
 * no variables, the loopback network. What it may write is one folder.
 */
import { chmodSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Whom containers run as (deploy/container/Dockerfile). */
const NOT_ROOT = "65532";

/** What is in the box. */
export interface BoxOptions {
  /** The executable; `/app/kafka-iceberg` inside. */
  readonly executable: string;
  /** The one folder that can be written, under its own name. */
  readonly folder: string;
  /** Files and folders that can be read, under their own names. */
  readonly readable: readonly string[];
  /** Words before the executable's path, such as an emulator. */
  readonly before?: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
}

/** What programs for glibc on x64 need. */
export const GLIBC = ["/lib/x86_64-linux-gnu", "/lib64"] as const;

/** The command that starts it, to be followed by words for the executable. */
export function boxed({
  executable,
  folder,
  readable,
  before = [],
  variables = {},
}: BoxOptions): readonly string[] {
  const own = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"];
  return [
    "bwrap",
    ...own,
    ...["--uid", NOT_ROOT, "--gid", NOT_ROOT, "--die-with-parent", "--clearenv"],
    ...["--proc", "/proc", "--dev", "/dev"],
    ...readable.flatMap((path) => ["--ro-bind", realpathSync(path), path]),
    ...["--ro-bind", executable, "/app/kafka-iceberg"],
    ...["--bind", folder, folder, "--remount-ro", "/", "--chdir", folder],
    ...Object.entries(variables).flatMap(([name, value]) => ["--setenv", name, value]),
    "--",
    ...before,
    "/app/kafka-iceberg",
  ];
}

/** A program at `path` that runs a command with its own words behind it, for those who want one path. */
export function writeLauncher(folder: string, name: string, command: readonly string[]): string {
  const path = join(folder, name);
  const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  writeFileSync(path, `#!/bin/sh\nexec ${words} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

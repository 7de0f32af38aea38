/** One `.tar.gz` for a platform: the same files give the same bytes. */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../services/process.ts";

/** What travels beside the executable. */
const COMPANIONS = [
  "LICENSE",
  "config.example.toml",
  "deploy/kafka-iceberg.1",
  "deploy/systemd/kafka-iceberg.service",
  "deploy/systemd/edge.conf",
];

/**
 * Packs `folder/NAME/`, with what travels beside the executable, into `folder/NAME.tar.gz`; the folder is gone
 * afterwards. Times in it are those of the commit.
 */
export async function pack(folder: string, name: string): Promise<string> {
  const inside = join(folder, name);
  mkdirSync(inside, { recursive: true });
  for (const path of COMPANIONS) cpSync(path, join(inside, path.replace(/^.*\//, "")));
  const time = (await run(["git", "log", "-1", "--format=%ct"]).catch(() => "0")).trim();
  const words = ["--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"];
  const tar = ["tar", "-C", folder, ...words, "--mode=u+rw,go+r,go-w", `--mtime=@${time}`];
  const archive = join(folder, `${name}.tar`);
  await run([...tar, "-cf", archive, name]);
  await run(["gzip", "-n", "-f", archive]);
  rmSync(inside, { recursive: true });
  return `${archive}.gz`;
}

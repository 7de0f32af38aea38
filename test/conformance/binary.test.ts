/**
 * The executable, copied alone into a folder with foreign files.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readersPython } from "../../scripts/services/cache.ts";
import { freePort, until } from "../../scripts/services/process.ts";

const BUILD_MS_MAX = 120_000;
/** PyIceberg makes a table of three rows. */
const MAKE_TABLE = `
import sys, pyarrow
from pyiceberg.catalog.sql import SqlCatalog
folder = sys.argv[1]
catalog = SqlCatalog("c", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("db")
rows = pyarrow.table({"id": [1, 2, 3]})
catalog.create_table("db.t", schema=rows.schema).append(rows)
`;
let folder = "";

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  command: readonly string[],
  cwd: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const { KAFKA_TOPIC: _, ...env } = process.env;
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...env, ...variables },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "binary-"));
  const script = join(import.meta.dir, "../../scripts/build.ts");
  const outfile = join(folder, "kafka-iceberg");
  const root = join(import.meta.dir, "../..");
  const built = await run([process.execPath, script, "--outfile", outfile], root);
  expect(built).toMatchObject({ code: 0 });
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./foreign.ts"]\n');
  writeFileSync(join(folder, "foreign.ts"), 'console.log("FOREIGN"); process.exit(77);\n');
  writeFileSync(join(folder, ".env"), "KAFKA_TOPIC=foreign\nSTATE_DIRECTORY=/foreign\n");
}, BUILD_MS_MAX);

describe("the executable in a folder with a foreign bunfig.toml and .env", () => {
  test("says its version and commit, and runs nothing foreign", async () => {
    const { code, out, err } = await run([join(folder, "kafka-iceberg"), "--version"], folder);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^kafka-iceberg \d+\.\d+\.\d+ \([0-9a-f]{7,}(-dirty)?, Bun /);
  });

  test("takes no variable from that .env", async () => {
    const config = join(mkdtempSync(join(tmpdir(), "config-")), "config.toml");
    writeFileSync(
      config,
      '[kafka]\ntopic = "${KAFKA_TOPIC:-own}"\nbootstrap_servers = "127.0.0.1:1"\n',
    );
    const words = [join(folder, "kafka-iceberg"), "check", "--config", config];
    const { code, out } = await run(words, folder);
    expect(code).toBe(3);
    expect(out).toContain("default.own");
    expect(out).not.toContain("foreign");
    const log = await run([join(folder, "kafka-iceberg"), "log", "--config", config], folder);
    expect(log.err).toContain(`There is no transaction log in ${folder}/transaction_logs`);
  });

  test("`run` executes itself once, as the same process, which a signal ends", async () => {
    const config = join(mkdtempSync(join(tmpdir(), "config-")), "config.toml");
    const ports = [freePort(), freePort()];
    const servers = ports.map((port) => `"127.0.0.1:${port}"`);
    writeFileSync(
      config,
      `[kafka]\ntopic = "t"\nbootstrap_servers = "127.0.0.1:1"\n[server]\nhealth_address = ${servers[0]}\nmetrics_address = ${servers[1]}\n`,
    );
    const words = [join(folder, "kafka-iceberg"), "run", "--config", config];
    const said = join(folder, "said.txt");
    const child = Bun.spawn(words, { cwd: folder, stdout: Bun.file(said), stderr: "ignore" });
    const started = (): boolean => readFileSync(said, "utf8").includes("127.0.0.1:1");
    await until("it has begun", started, 20_000);
    expect(readFileSync(`/proc/${child.pid}/environ`, "latin1")).toContain("BUN_JSC_threshold");
    // Its Workers are in the executable: this one answers SQL.
    const url = `http://127.0.0.1:${ports[0]}/query`;
    const answer = await fetch(url, { method: "POST", body: '{"sql": "SELECT 6 * 7"}' });
    expect(await answer.json()).toMatchObject({ rows: [[42]] });
    child.kill("SIGTERM");
    await child.exited;
    expect(child.signalCode).toBeNull();
  });

  test("asks with SQL: the engine is unpacked once, and lies in memory where no folder can be written", async () => {
    const home = mkdtempSync(join(tmpdir(), "home-"));
    const ask = (variables: Readonly<Record<string, string>>): Promise<Outcome> =>
      run(
        [
          join(folder, "kafka-iceberg"),
          "query",
          "SELECT 6 * 7 AS n",
          "--format",
          "csv",
          "--kafka-topic",
          "t",
        ],
        folder,
        variables,
      );
    const answer = { code: 0, out: "n\n42\n", err: "" };
    expect(await ask({ XDG_CACHE_HOME: home })).toEqual(answer);
    const unpacked = readdirSync(join(home, "kafka-iceberg", "lib"));
    expect(unpacked).toEqual([expect.stringMatching(/^libduckdb-[0-9a-f]{16}\.so$/)]);
    // What somebody put in its place is not loaded.
    const path = join(home, "kafka-iceberg", "lib", String(unpacked[0]));
    rmSync(path);
    writeFileSync(path, "not a library");
    expect(await ask({ XDG_CACHE_HOME: home })).toEqual(answer);
    expect(await ask({ XDG_CACHE_HOME: "/proc" })).toEqual(answer);
  });

  test("reads data files in processes of their own, also where no folder can be written", async () => {
    const warehouse = mkdtempSync(join(tmpdir(), "warehouse-"));
    const made = await run([await readersPython(), "-c", MAKE_TABLE, warehouse], folder);
    expect(made).toMatchObject({ code: 0 });
    const config = join(warehouse, "config.toml");
    const uri = `sqlite:${join(warehouse, "catalog.db")}`;
    writeFileSync(
      config,
      `[kafka]\ntopic = "t"\nbootstrap_servers = "127.0.0.1:1"\n[iceberg]\ncatalog_type = "sql"\nwarehouse_path = "${warehouse}"\n[iceberg.sql]\nuri = "${uri}"\nname = "c"\n`,
    );
    const words = ["maintenance", "statistics", "db.t", "--config", config];
    const command = [join(folder, "kafka-iceberg"), ...words];
    const { code, out } = await run(command, folder, { XDG_CACHE_HOME: "/proc" });
    expect(code).toBe(0);
    expect(out).toContain("id: about 3 different values");
  });
});

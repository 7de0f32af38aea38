/**
 * docs/QUICKSTART.md to the letter: its files are written and its commands typed into one shell, in
 * their order, in an empty folder. Only addresses are replaced, and the executable is built before.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kafkaClassPath, readersPython } from "../../scripts/services/cache.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { freePort, run, temporaryFolder } from "../../scripts/services/process.ts";

const ROOT = join(import.meta.dir, "../..");
const TIMEOUT_MS = 240_000;
/** Kafka's own tools, as they are called in its distribution. */
const TOOLS = {
  "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
  "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
};

let broker: KafkaBroker;
let folder = "";
let out = "";
let sql = "";
let code = -1;

/** A fenced block of the page; `file`: the page says to write it under this name. */
interface Block {
  readonly language: string;
  readonly text: string;
  readonly file: string | null;
}

function blocksOf(page: string): Block[] {
  return [...page.matchAll(/([^\n]*\n\n)?```(\w+)\n([\s\S]*?)```/g)].map(
    ([, before, language, text]) => ({
      language: language ?? "",
      text: text ?? "",
      file: /Write `([^`]+)`/.exec(before ?? "")?.[1] ?? null,
    }),
  );
}

/** Files are written where the page has come to them, as a person would. */
function scriptOf(blocks: readonly Block[]): string {
  const lines = blocks.flatMap(({ language, text, file }) => {
    if (file !== null) return [`cat > ${file} <<'EOF_OF_BLOCK'`, text.trimEnd(), "EOF_OF_BLOCK"];
    return language === "sh" && !text.includes("npm ci") ? [text.trimEnd()] : [];
  });
  return `set -e\n${lines.join("\n")}\n`;
}

beforeAll(async () => {
  broker = await startKafka();
  folder = await temporaryFolder("quickstart");
  const bin = join(folder, "bin");
  const empty = join(folder, "empty");
  for (const path of [bin, empty]) mkdirSync(path);
  await run([process.execPath, "scripts/build.ts", "--outfile", join(bin, "kafka-iceberg")], {
    cwd: ROOT,
  });
  const classPath = await kafkaClassPath();
  for (const [name, main] of Object.entries(TOOLS)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec java -cp '${classPath}' ${main} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const python = await readersPython();
  writeFileSync(join(bin, "python"), `#!/bin/sh\nexec ${python} "$@"\n`);
  chmodSync(join(bin, "python"), 0o755);
  const health = freePort();
  const page = readFileSync(join(ROOT, "docs/QUICKSTART.md"), "utf8")
    .replaceAll("localhost:9092", broker.bootstrap)
    .replaceAll("localhost:8080", `localhost:${health}`);
  const blocks = blocksOf(page);
  sql = blocks.find(({ language }) => language === "sql")?.text ?? "";
  // Ports of its own, so that two runs of the suite do not meet; the page leaves them at the defaults.
  const ports = `\n[server]\nhealth_address = "127.0.0.1:${health}"\nmetrics_address = ""\n`;
  const script = scriptOf(
    blocks.map((block) =>
      block.file === "config.toml" ? { ...block, text: block.text + ports } : block,
    ),
  );
  writeFileSync(join(folder, "page.sh"), script);
  const shell = Bun.spawn(["bash", join(folder, "page.sh")], {
    cwd: empty,
    env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
    stdout: "pipe",
    stderr: Bun.file(join(folder, "stderr.txt")),
  });
  out = await new Response(shell.stdout).text();
  code = await shell.exited;
}, TIMEOUT_MS);

afterAll(async () => {
  await broker?.stop();
});

describe("the quickstart, followed to the letter in an empty folder", () => {
  test("runs from its first command to its last", () => {
    const said = readFileSync(join(folder, "stderr.txt"), "utf8");
    expect({ code, said: code === 0 ? "" : said.slice(-3000) }).toEqual({ code: 0, said: "" });
    expect(out).toContain("the configuration is right");
  });

  test("shows objects, lists, nulls and times as the records have them", () => {
    const printed = out.split("\n").filter((line) => /^[123] 2026-/.test(line));
    expect(printed.slice(0, 3)).toEqual([
      "1 2026-01-08 09:15:00+00:00 {'name': 'Ada', 'country': 'GB'} ['new', 'web'] 12.5 None",
      "2 2026-01-08 21:59:59.999000+00:00 {'name': 'Grace', 'country': None} [] None paid",
      "3 2026-01-09 00:00:00+00:00 None None 7.25 None",
    ]);
  });

  test("has each record once, after a kill and a restart", () => {
    const printed = out.split("\n").filter((line) => /^[123] 2026-/.test(line));
    expect(printed.map((line) => line.slice(0, 1))).toEqual(["1", "2", "3", ..."112233"]);
  });

  test("has a folder for each day of the event's own time", () => {
    expect(out).toContain("ts_day=2026-01-08");
    expect(out).toContain("ts_day=2026-01-09");
    expect(existsSync(join(folder, "empty/warehouse/default/events/data"))).toBe(true);
  });

  test("answers DuckDB's question as the page asks it", async () => {
    const python = join(folder, "bin/python");
    // As `INSTALL iceberg; LOAD iceberg` does, from the packages that hold the extensions.
    const program = `
import os, duckdb, duckdb_extension_iceberg
c = duckdb.connect()
packages = os.path.dirname(os.path.dirname(duckdb_extension_iceberg.__file__))
for name in ("avro", "httpfs", "iceberg"):
    place = f"{packages}/duckdb_extension_{name}/extensions/v{duckdb.__version__}"
    c.execute(f"load '{place}/{name}.duckdb_extension'")
c.execute("set timezone = 'UTC'")
print(c.sql("""${sql.trim().replace(/;$/, "")} """).fetchall())
`;
    const answer = await run([python, "-c", program], { cwd: join(folder, "empty") });
    expect(answer).toContain("datetime.date(2026, 1, 8), 4, 2)");
    expect(answer).toContain("datetime.date(2026, 1, 9), 2, 0)");
  });

  test("shows health, status and metrics", () => {
    expect(out).toContain('{"ready":true}');
    expect(out).toContain('"checks":{"kafka":{"status":"ok"');
    expect(out).toContain("kafka_iceberg_build_info");
  });
});

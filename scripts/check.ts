/**
 * The gate, `bun run check`: Biome -> oxlint (type-aware) -> tsc -> knip -> audit -> fast tests with coverage,
 * and once more without the kernels.
 *
 * Stops at the first step that fails. `--fix` lets Biome write what it can repair.
 */
import { folderCoverage } from "./coverage.ts";
import { withScratch } from "./scratch.ts";

const COVERAGE_MIN = 0.8;
const bin = (name: string): string => `node_modules/.bin/${name}`;
const fix = process.argv.includes("--fix");
const FAST_TESTS = [
  ...["test/unit", "test/contract", "test/golden", "test/fuzz"],
  ...["test/tidy.test.ts", "test/rows.test.ts"],
];

await step("format, lint, layers", [
  bin("biome"),
  ...(fix ? ["check", "--write"] : ["ci"]),
  "--colors=off",
  ".",
]);
await step("promises, exhaustiveness", [bin("oxlint"), "--type-aware", "src", "test", "scripts"]);
await step("types", [bin("tsc"), "-p", "."]);
await step("dead code", [bin("knip-bun")]);
await step("dependencies", [process.execPath, "scripts/audit.ts"]);
await tests("fast tests", "fast", await existing(FAST_TESTS));
// The same results without WebAssembly, where it is used.
const KERNEL_TESTS = ["consumer", "decode", "parquet", "columns", "pipeline"].map(
  (folder) => `test/unit/${folder}`,
);
await step(
  "the same without kernels",
  [process.execPath, "test", "--timeout=60000", ...KERNEL_TESTS, "test/contract"],
  { KAFKA_ICEBERG_KERNEL: "off" },
);
// In a process of its own: it replaces a runtime module before anything has loaded it.
// The hunt for deliberate mistakes takes minutes: scripts/test.ts runs it, and more schedules.
const SIMULATIONS = ["writer", "pipeline", "traces"].map((name) => `test/sim/${name}.test.ts`);
await tests("simulation", "sim", SIMULATIONS);
await coverage(["fast", "sim"]);

/** Runs tests and leaves their coverage report in `.cache/coverage/NAME`. */
async function tests(name: string, report: string, paths: string[]): Promise<void> {
  const flags = [
    "--timeout=60000",
    "--coverage",
    "--coverage-reporter=lcov",
    `--coverage-dir=.cache/coverage/${report}`,
  ];
  if (paths.length > 0) await step(name, [process.execPath, "test", ...flags, ...paths]);
}

async function step(
  name: string,
  command: string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const began = performance.now();
  const code = await withScratch((scratch) => {
    const child = Bun.spawn(command, {
      stdout: "inherit",
      stderr: "inherit",
      env: { ...process.env, ...env, ...scratch },
    });
    return child.exited;
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
  if (code !== 0) process.exit(1);
}

/** Of these files and folders, those that hold a test. */
async function existing(paths: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const holdsTests = path.endsWith(".ts")
      ? await Bun.file(path).exists()
      : !new Bun.Glob("**/*.test.ts").scanSync(path).next().done;
    if (holdsTests) found.push(path);
  }
  return found;
}

async function coverage(reports: readonly string[]): Promise<void> {
  const texts = reports.map((report) => Bun.file(`.cache/coverage/${report}/lcov.info`));
  const lcov = await Promise.all(
    texts.map(async (file) => ((await file.exists()) ? await file.text() : "")),
  );
  let failed = false;
  for (const { folder, lines, functions } of folderCoverage(lcov)) {
    const low = lines < COVERAGE_MIN || functions < COVERAGE_MIN;
    failed ||= low;
    const percent = (share: number): string => `${(share * 100).toFixed(0)} %`.padStart(6);
    console.log(
      `${low ? "FAIL" : "ok  "} coverage ${folder.padEnd(18)} lines ${percent(lines)} functions ${percent(functions)}`,
    );
  }
  if (failed) process.exit(1);
}

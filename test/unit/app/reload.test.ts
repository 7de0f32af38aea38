import { expect, test } from "bun:test";
import { Reload } from "#app/reload.ts";
import { fail } from "#base/errors.ts";
import type { LogFields, LogLevel } from "#base/log.ts";
import type { MaintenanceOptions } from "#config/buildMaintenance.ts";
import { writerOptions } from "#config/buildWriter.ts";
import type { AppConfig } from "#config/config.ts";
import type { PipelineValues, ProcessValues } from "#config/keys.ts";
import type { AppLogger } from "#server/log.ts";
import { loadRight } from "../config/helpers.ts";

type Values = Readonly<Record<string, unknown>>;

function configOf(values: Values, pipelines: Readonly<Record<string, Values>>): AppConfig {
  return {
    file: "config.toml",
    origins: new Map(),
    values: { "logging.level": "info", ...values } as unknown as ProcessValues,
    pipelines: Object.entries(pipelines).map(([name, own]) => ({
      name,
      origins: new Map(),
      values: {
        ...{ "iceberg.commit.interval_ms": 5000, "iceberg.commit.max_rows": 0 },
        ...own,
      } as unknown as PipelineValues,
    })),
  };
}

/** What is logged and set by reading one configuration after the other. */
async function reloads(
  first: AppConfig,
  ...next: readonly (AppConfig | Error)[]
): Promise<readonly string[]> {
  const said: string[] = [];
  const log = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    said.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  const logger: AppLogger = {
    log,
    with: () => logger,
    flush: () => undefined,
    setLevel: (level) => void said.push(`level ${level}`),
  };
  const live = first.pipelines.map(({ name }) => ({
    name,
    pace: (intervalMs: number, rowsMax: number) =>
      void said.push(`${name} ${intervalMs} ${rowsMax}`),
    maintain: ({ compact }: MaintenanceOptions) =>
      void said.push(`${name} compacts ${compact === null ? "never" : compact.intervalMs}`),
  }));
  const files = [...next];
  const load = async (): Promise<AppConfig> => {
    const file = files.shift();
    if (file instanceof Error) throw file;
    return file as AppConfig;
  };
  const reload = new Reload(first, load, live, logger);
  await Promise.all(next.map(() => reload.again()));
  return said;
}

test("what counts at once is set, what has to wait is named without its value, each time until it is taken back", async () => {
  const first = configOf({}, { a: { "kafka.sasl.password": "old" }, b: {} });
  const changed = configOf(
    { "logging.level": "debug" },
    { a: { "kafka.sasl.password": "new" }, b: { "iceberg.commit.max_rows": 7 }, c: {} },
  );
  const later =
    "warn These keys have changed, and count from the next start on: " +
    "pipelines.a.kafka.sasl.password, pipelines.c {}";
  const set = ["level debug", "a 5000 0", "b 5000 7"];
  expect(await reloads(first, changed, changed, first)).toEqual([
    ...set,
    'info Configuration read again {"changed":["logging.level","pipelines.b.iceberg.commit.max_rows"]}',
    later,
    ...set,
    'info Configuration read again {"changed":[]}',
    later,
    ...["level info", "a 5000 0", "b 5000 0"],
    'info Configuration read again {"changed":["logging.level","pipelines.b.iceberg.commit.max_rows"]}',
  ]);
});

test("a configuration that is wrong changes nothing, and the next one counts", async () => {
  const first = configOf({}, { a: {} });
  const right = configOf({}, { a: { "iceberg.commit.interval_ms": 100 } });
  const wrong = fail("usage", "config.toml:3: kafka.topic: must be a string");
  expect(await reloads(first, wrong, right)).toEqual([
    "error The configuration is wrong, and nothing of it was taken over: config.toml:3: kafka.topic: must be a string {}",
    ...["level info", "a 100 0"],
    'info Configuration read again {"changed":["iceberg.commit.interval_ms"]}',
  ]);
});

test("maintenance is taken over where it has changed, but for how long orphans are kept", async () => {
  const keys = {
    "maintenance.compact_enabled": true,
    "maintenance.compact_interval_seconds": 3600,
    "maintenance.orphan_retention_days": 3,
    "maintenance.windows": [],
  };
  const first = configOf({}, { a: keys, b: keys });
  const often = { ...keys, "maintenance.compact_interval_seconds": 60 };
  const never = { ...keys, "maintenance.compact_enabled": false };
  const shorter = { ...never, "maintenance.orphan_retention_days": 1 };
  const said = await reloads(
    first,
    configOf({}, { a: often, b: keys }),
    configOf({}, { a: never, b: keys }),
    configOf({}, { a: shorter, b: keys }),
  );
  expect(said.filter((line) => line.includes("compacts"))).toEqual([
    "a compacts 60000",
    "a compacts never",
  ]);
  expect(said.filter((line) => line.startsWith("warn"))).toEqual([
    "warn These keys have changed, and count from the next start on: pipelines.a.maintenance.orphan_retention_days {}",
  ]);
});

/** Another value of the same sort; null: there is none of it. */
function otherThan(value: unknown): unknown {
  if (typeof value === "boolean") return !value;
  return typeof value === "number" ? value + 1 : null;
}

test("a key is taken over only when no table was made with it", async () => {
  const first = await loadRight('[kafka]\ntopic = "e"\n');
  const [pipeline] = first.pipelines;
  if (pipeline === undefined) throw new Error("there is a pipeline");
  const name = { namespace: ["db"], table: "e" };
  const made: string[] = [];
  const later: string[] = [];
  for (const [key, value] of Object.entries(pipeline.values)) {
    const other = otherThan(value);
    if (other === null) continue;
    const changed = { ...pipeline, values: { ...pipeline.values, [key]: other } };
    if (!Bun.deepEquals(writerOptions(pipeline, name), writerOptions(changed, name)))
      made.push(key);
    const said = await reloads(first, { ...first, pipelines: [changed] });
    if (said.some((line) => line.startsWith("warn") && line.includes(key))) later.push(key);
  }
  expect(made).toContain("maintenance.snapshot_retention_days");
  expect(made).toContain("maintenance.snapshot_expiration_enabled");
  expect(made.filter((key) => !later.includes(key))).toEqual([]);
});

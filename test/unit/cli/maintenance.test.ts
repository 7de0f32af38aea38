/** `maintenance`: what it prints, what it refuses, and that a dry run touches nothing. */
import { expect, test } from "bun:test";
import { cli, makePlace, type Place } from "./place.ts";

const on = (words: string, place: Place) => cli([...words.split(" "), "--config", place.config]);

/** The table's one snapshot is its head: of a second one only the CLI's own refresh could make it. */
test("expire says what goes, as sentences and as JSON", async () => {
  const place = await makePlace();
  const { code, out } = await on("maintenance expire events --dry-run", place);
  expect(code).toBe(0);
  expect(out).toContain("default.events: 0 snapshots would be removed");
  const done = await on("maintenance expire events --json", place);
  expect(JSON.parse(done.out)).toMatchObject({ snapshots: 0, refs: [], bytes: 0 });
});

test("an unknown operation and a table that forbids it end with exit 2 and say why", async () => {
  const place = await makePlace("", { "gc.enabled": "false" });
  const unknown = await on("maintenance vacuum events", place);
  expect([unknown.code, unknown.err]).toEqual([
    2,
    expect.stringContaining("no maintenance operation vacuum"),
  ]);
  const forbidden = await on("maintenance expire events", place);
  expect([forbidden.code, forbidden.err]).toEqual([2, expect.stringContaining("gc.enabled")]);
});

test("another engine is told the same plan: a dry run prints its statements", async () => {
  const place = await makePlace();
  const spark = "--engine spark --engine-catalog lake --dry-run";
  const compact = await on(`maintenance compact events ${spark}`, place);
  expect([compact.code, compact.out]).toEqual([
    0,
    expect.stringContaining("CALL `lake`.system.rewrite_data_files(table => '`default`.`events`'"),
  ]);
  const nothing = await on(`maintenance expire events ${spark}`, place);
  expect([nothing.code, nothing.out]).toEqual([0, "Nothing to do\n"]);
  for (const [words, why] of [
    ["--engine flink", "There is no engine flink"],
    ["--engine spark", "--engine-catalog"],
    ["--engine trino --engine-catalog lake", "--engine-url"],
    ["--z-order a,b", "--engine spark"],
  ] as const) {
    const refused = await on(`maintenance compact events ${words}`, place);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining(why)]);
  }
});

test("orphans by another engine are those of the age that was asked for, and never young ones", async () => {
  const place = await makePlace();
  const orphans = "maintenance orphans events --engine-catalog lake --dry-run";
  const trino = await on(`${orphans} --engine trino --older-than 35d`, place);
  expect([trino.code, trino.out]).toEqual([
    0,
    expect.stringContaining("retention_threshold => '35.00d'"),
  ]);
  const spark = await on(`${orphans} --engine spark --older-than 35d`, place);
  const [, time = ""] = /older_than => TIMESTAMP '([^']+) UTC'/.exec(spark.out) ?? [];
  const ageDays = (Date.now() - Date.parse(`${time.replace(" ", "T")}Z`)) / 86_400_000;
  expect(Math.round(ageDays)).toBe(35);
  for (const engine of ["spark", "trino"]) {
    const young = await on(`${orphans} --engine ${engine} --older-than 23h`, place);
    expect([young.code, young.err]).toEqual([2, expect.stringContaining("last 24 hours")]);
    const wrong = await on(`${orphans} --engine ${engine} --older-than soon`, place);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("--older-than soon")]);
  }
});

test("an option that a run would not heed is refused by its name, whatever engine does it", async () => {
  const place = await makePlace();
  for (const [words, option] of [
    ["orphans events --engine spark --engine-catalog lake --older-than 7d --yes", "--yes"],
    ["compact events --engine spark --engine-catalog lake --older-than 7d", "--older-than"],
    ["expire events --older-than 7d", "--older-than"],
    ["orphans events --engine spark --engine-catalog lake --z-order a", "--z-order"],
    ["compact events --engine trino --engine-catalog lake --z-order a", "--z-order"],
    ["compact events --engine spark --engine-catalog lake --engine-url http://t", "--engine-url"],
    ["compact events --engine trino --engine-catalog lake --engine-command x", "--engine-command"],
    ["compact events --engine-catalog lake", "--engine-catalog"],
  ] as const) {
    const refused = await on(`maintenance ${words} --dry-run`, place);
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringContaining(`${option} counts only for`),
    ]);
  }
});

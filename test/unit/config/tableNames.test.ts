/** Which table a topic feeds, and what is said of names that make none. */
import { expect, test } from "bun:test";
import { fullName } from "#catalog/names.ts";
import { tableFor } from "#config/tableNames.ts";
import { load, loadRight, values } from "./helpers.ts";

const PATTERN = '[kafka]\ntopic_pattern = "shop\\\\..*"\n[iceberg]\n';

async function tableOf(iceberg: string, topic: string): Promise<string> {
  return fullName(tableFor(values(await loadRight(PATTERN + iceberg)), topic));
}

test("Debezium's topics become namespaces and tables of the source's names", async () => {
  const names = 'database_name = "{schema}"\ntable_name = "{table}"\n';
  expect(await tableOf(names, "shop.public.orders")).toBe("public.orders");
  expect(await tableOf(names, "shop.eu.west.public.orders")).toBe("public.orders");
});

test("what is put in never makes a level of its own", async () => {
  const names = 'database_name = "raw.{topic}"\ntable_name = "all"\ntable_prefix = "x_"\n';
  expect(await tableOf(names, "shop.a")).toBe("raw.shop\\.a.x_all");
});

test("a topic without the parts that names ask for is refused by its name", async () => {
  const names = 'table_name = "{schema}_{table}"\n';
  expect(tableOf(names, "shop")).rejects.toThrow(
    "Topic shop names no table: {schema} stands for the last but one of its parts between dots, and " +
      "it has none. Name tables by {topic}, or read this topic in a pipeline of its own",
  );
  expect(tableOf(names, "shop..orders")).rejects.toThrow("Topic shop..orders names no table");
});

test("topics that are named are looked at before anything runs, and so are placeholders", async () => {
  const wrong = async (text: string): Promise<string | undefined> => (await load(text)).problems[0];
  expect(await wrong('[kafka]\ntopic = "shop"\n[iceberg]\ntable_name = "{table}"\n')).toContain(
    "config.toml:4: iceberg.table_name: Topic shop names no table",
  );
  expect(await wrong(`${PATTERN}table_name = "{tabel}"\n`)).toBe(
    "config.toml:4: iceberg.table_name: {tabel} stands for nothing; there are {topic}, {schema}, {table}",
  );
});

/** Which tables records name, and what is said of keys that mean nothing. */
import { expect, test } from "bun:test";
import { fullName } from "#catalog/names.ts";
import { routesOf } from "#config/routing.ts";
import { load, loadRight, values } from "./helpers.ts";

const TOPIC = '[kafka]\ntopic = "shop.events"\n[iceberg]\nroute_field = "type"\n';

const routes = async (iceberg = "") => routesOf(values(await loadRight(TOPIC + iceberg)));

/** The name of a value's table; null: it names none. */
async function tableOf(value: string, iceberg = ""): Promise<string | null> {
  const name = (await routes(iceberg)).tableOf("shop.events", value);
  return name === null ? null : fullName(name);
}

test("a value's table is called by the template, and the value is found in the name again", async () => {
  expect(await tableOf("click")).toBe("default.shop\\.events_click");
  const template =
    'route_table = "{table}-{route}-v1"\ntable_prefix = "p_"\ndatabase_name = "{schema}"\n';
  expect(await tableOf("a.b", template)).toBe("shop.p_events-a\\.b-v1");
  const made = await routes(template);
  expect(made.valueOf("shop.events", "p_events-a.b-v1")).toBe("a.b");
  for (const other of ["p_events--v1", "p_events-v1", "events-a-v1", "p_events-a-v2"]) {
    expect([other, made.valueOf("shop.events", other)]).toEqual([other, null]);
  }
});

test("a value that is no name of a table names none", async () => {
  for (const value of ["a/b", "x__dead_letter", "..\u0000", "x".repeat(300), "a\nb"]) {
    expect(await tableOf(value)).toBeNull();
  }
  expect(await tableOf("..", 'route_table = "{route}"\n')).toBeNull();
});

test("of a list only its values name tables, several perhaps the same one", async () => {
  const list = 'routes = {"a" = "letters", "b" = "letters"}\n';
  expect([await tableOf("a", list), await tableOf("b", list)]).toEqual([
    "default.letters",
    "default.letters",
  ]);
  expect(await tableOf("c", list)).toBeNull();
});

test("each combination that means nothing has its sentence", async () => {
  const topic = '[kafka]\ntopic = "t"\n[iceberg]\n';
  const cases: readonly (readonly [text: string, problem: string])[] = [
    [
      `${topic}route_table = "x_{route}"\n`,
      "config.toml:4: iceberg.route_table: needs iceberg.route_field",
    ],
    [
      `${topic}route_field = "t"\nroute_table = "x"\n`,
      "config.toml:5: iceberg.route_table: must hold {route} once, and else only {topic}, {schema}, {table}",
    ],
    [
      `${topic}route_field = "t"\nroute_table = "{route}"\nroutes = {"a" = "b"}\n`,
      "config.toml:5: iceberg.route_table: excludes iceberg.routes",
    ],
    [
      `${topic}route_field = "t"\nroutes = {"a" = "{route}"}\n`,
      'config.toml:5: iceberg.routes: "{route}" is no name of a table',
    ],
    [
      `${topic}route_field = "t"\n[source]\nformat = "string"\n`,
      'config.toml:4: iceberg.route_field: source.format = "string": its values have no fields',
    ],
  ];
  for (const [text, problem] of cases) expect((await load(text)).problems).toEqual([problem]);
});

test("a field that is not to be seen as it came names no tables, unless they have names of their own", async () => {
  const rules = ['mask = ["a.b"]', 'hash = ["a"]', 'exclude = ["a"]', 'select = ["c"]'];
  const salted = 'hash_salt = "0123456789abcdef0123456789abcdef"';
  for (const flat of ["", "[source]\nflatten = true\n"]) {
    for (const rule of flat === "" ? rules : ['mask = ["a_b"]']) {
      const text = (routes: string): string =>
        `[kafka]\ntopic = "t"\n[iceberg]\nroute_field = "a.b"\n${routes}${flat}[source.transform]\n${rule}\n${salted}\n`;
      const { problems } = await load(text(""));
      expect([rule, problems]).toEqual([
        rule,
        [expect.stringContaining("iceberg.route_field: a.b is left out, masked or hashed")],
      ]);
      expect((await load(text('routes = {"x" = "y"}\n'))).problems).toEqual([]);
    }
  }
});

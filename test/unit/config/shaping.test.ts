/** `[source.transform]`: what it means to a decoder, and what is said of keys that mean nothing. */
import { expect, test } from "bun:test";
import { buildPipeline } from "#config/buildPipeline.ts";
import { shapingOptions } from "#config/shaping.ts";
import { Shaping } from "#decode/shaping.ts";
import { load, loadRight, values } from "./helpers.ts";

const TOPIC = '[kafka]\ntopic = "events"\n';

const shapeOf = async (text: string) => shapingOptions(values(await loadRight(TOPIC + text)));

const problems = async (source: string): Promise<readonly string[]> =>
  (await load(TOPIC + source)).problems;

test("without such keys fields are what they are", async () => {
  expect(await shapeOf("")).toBeNull();
});

test("fields of flattened records keep the dots of their paths, their columns have the separator", async () => {
  const shape = await shapeOf(
    '[source]\nflatten = true\n[source.transform]\nmask = ["a.b"]\nrename = {"c.d" = "e"}\n',
  );
  expect(shape).toMatchObject({ mask: ["a.b"], separator: "_", isStrict: true });
  const shaping = new Shaping(shape ?? undefined);
  expect([shaping.coverOf("a_b") === null, shaping.columnPath("c_d")]).toEqual([false, "e"]);
});

test("paths mean fields of any case where columns are found so", async () => {
  const transform = '[source.transform]\nmask = ["a"]\n[schema]\nmatch_columns = ';
  expect((await shapeOf(`${transform}"ignore-case"\n`))?.ignoresCase).toBe(true);
  expect((await shapeOf(`${transform}"exact"\n`))?.ignoresCase).toBe(false);
});

test("a path that no record has is a mistake only where one topic is read", async () => {
  const transform = '[source.transform]\nmask = ["a"]\n';
  expect((await shapeOf(transform))?.isStrict).toBe(true);
  for (const topics of ['topics = ["a", "b"]', 'topic_pattern = "x.*"']) {
    const config = await loadRight(`[kafka]\n${topics}\n${transform}`);
    expect(shapingOptions(values(config))?.isStrict).toBe(false);
  }
});

test("the event's time is that of the field, whatever its column is called", async () => {
  const config = await loadRight(
    `${TOPIC}[source]\nevent_time_field = "m.ts"\n[source.transform]\nrename = {"m.ts" = "at", "m" = "meta"}\n`,
  );
  const [pipeline] = config.pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  const environment = { file: () => Promise.reject(new Error("no file")) } as never;
  const { decoder, writer } = await buildPipeline(pipeline, environment, "i");
  expect(decoder.eventTimeField).toBe("meta.at");
  expect(writer("events").create.partitionForms).toEqual(["day(meta.at)"]);
});

test("each combination that means nothing has its sentence", async () => {
  const transform = (text: string): string => `[source.transform]\n${text}\n`;
  const cases: readonly (readonly [text: string, problem: string])[] = [
    [
      transform('hash = ["a"]'),
      "config.toml:4: source.transform.hash: needs source.transform.hash_salt: what is hashed without a key can be guessed",
    ],
    [
      transform('hash = ["a"]\nmask = ["a"]\nhash_salt = "s"'),
      "config.toml:4: source.transform.hash: a is masked already",
    ],
    [
      transform('rename = {"a.b" = "c.d"}'),
      'config.toml:4: source.transform.rename: "c.d" must be one name, without a dot',
    ],
    [
      transform('rename = {"a" = "c", "b" = "c"}'),
      "config.toml:4: source.transform.rename: two fields would be called c",
    ],
    [
      '[source]\nevent_time_field = "a.ts"\n[source.transform]\nmask = ["a"]\n',
      "config.toml:4: source.event_time_field: a.ts is left out, masked or hashed by source.transform",
    ],
    [
      `[source]\nflatten = true\n${transform('mask = ["a.l.element.p", "v.value"]')}`,
      "config.toml:6: source.transform.mask: a.l.element.p leads into a list or a map, which " +
        "source.flatten has no paths for: name what is around it",
    ],
    [
      `[source]\nflatten = true\n${transform('exclude = ["m.value"]')}[schema]\nfields = [{name = "m", type = "map<string,string>"}]\n`,
      "config.toml:6: source.transform.exclude: m.value leads into a list or a map, which " +
        "source.flatten has no paths for: name what is around it",
    ],
    [
      '[source]\nformat = "string"\n[source.transform]\nmask = ["a"]\n',
      'config.toml:6: source.transform.mask: source.format = "string": its values have no fields that could be shaped',
    ],
    [
      '[source]\nformat = "bytes"\n[schema]\non_unknown_field = "rescue"\n',
      'config.toml:6: schema.on_unknown_field: "rescue" keeps fields, which values of source.format = "bytes" do not have',
    ],
  ];
  for (const [text, problem] of cases) expect(await problems(text)).toEqual([problem]);
});

import { expect, test } from "bun:test";
import { type Reader, Readers } from "#app/readers.ts";

function reader(
  pipeline: string,
  more: Partial<Reader> & { readonly topics?: string[] } = {},
): Reader {
  const { topics = ["t"], ...rest } = more;
  const feeds = topics.map((topic) => ({ clusterId: "c", topic, topicId: topic, partition: 0 }));
  return { pipeline, group: "g", byPattern: false, feeds, ...rest };
}

function refused(one: Reader, two: Reader): boolean {
  const readers = new Readers();
  readers.add(one);
  try {
    readers.add(two);
    return false;
  } catch (error) {
    expect(String(error)).toContain(`Pipelines ${one.pipeline} and ${two.pipeline} read`);
    return true;
  }
}

test("a second pipeline of one group and cluster is refused when it reads, or might read, the same", () => {
  expect(refused(reader("a"), reader("b"))).toBe(true);
  expect(refused(reader("a", { byPattern: true }), reader("b"))).toBe(true);
  const patterns = [
    reader("a", { byPattern: true }),
    reader("b", { byPattern: true, topics: ["u"] }),
  ];
  expect(refused(patterns[0] as Reader, patterns[1] as Reader)).toBe(true);
});

test("other groups, other clusters and other topics of one group go side by side", () => {
  const elsewhere = [{ clusterId: "d", topic: "t", topicId: "t", partition: 0 }];
  expect(refused(reader("a"), reader("b", { group: "h" }))).toBe(false);
  expect(refused(reader("a"), reader("b", { feeds: elsewhere }))).toBe(false);
  expect(refused(reader("a"), reader("b", { topics: ["u"] }))).toBe(false);
});

test("a pipeline that has ended may be followed by another, and its own second try is no other", () => {
  const readers = new Readers();
  readers.add(reader("a"));
  readers.add(reader("a"));
  readers.remove("a");
  expect(() => readers.add(reader("b"))).not.toThrow();
});

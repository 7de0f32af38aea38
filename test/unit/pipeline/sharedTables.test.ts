/** Topics that meet in one table are named, once, whenever they meet. */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { AppRig } from "../../support/appRig.ts";

/** The lines about shared tables, each with its level. */
function said({ lines }: AppRig): string[] {
  const about = lines.filter(({ message }) => message.includes("fill one table"));
  return about.map(({ level, message }) => `${level}: ${message}`);
}

test("a topic that appears later in a table that has one is named with it, once", async () => {
  const rig = await new AppRig().start();
  expect(said(rig)).toEqual([]);
  const first = rig.consumer.feed(0);
  const later = { ...first, topic: "later", topicId: "2" };
  for (let times = 0; times < 2; times++) {
    rig.consumer.push({ type: "assigned", feeds: [later] });
    await rig.settle();
  }
  expect(said(rig)).toEqual([
    `warn: Topics ${first.topic}, later fill one table, ${rig.table.name}. To part them, write ` +
      "{topic} into iceberg.table_name, or leave that key out",
  ]);
});

test("many topics that appear at once in one table are one line, which names the first of them", async () => {
  const rig = await new AppRig().start();
  const feeds = Array.from({ length: 40 }, (_, n) => {
    return { ...rig.consumer.feed(0), topic: `topic-${n}`, topicId: `${n}` };
  });
  rig.consumer.push({ type: "assigned", feeds });
  await rig.settle();
  expect(said(rig)).toHaveLength(1);
  expect(said(rig)[0]).toContain("topic-8 and 31 more fill one table");
});

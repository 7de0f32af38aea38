/** A person answers for a stop that is kept in the table (decision 0240). */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { cli, makePlace, type Place, SAME, TOPIC_ID } from "./place.ts";

const nameOf = (partition: number): string =>
  `kafka-iceberg.stopped.main.cluster-1/events/${partition}`;

const KEPT = Object.fromEntries(
  [0, 1].map((partition) => [nameOf(partition), `topic ${TOPIC_ID} offset 100 log-end 30`]),
);

/** Partitions whose stops are in the newest metadata. */
function kept({ folder }: Place): number[] {
  const metadata = `${folder}/wh/default/events/metadata`;
  const versions = readdirSync(metadata).flatMap((name) => /^v(\d+)\./.exec(name)?.[1] ?? []);
  const newest = Math.max(...versions.map(Number));
  const text = readFileSync(`${metadata}/v${newest}.metadata.json`, "utf8");
  return [0, 1].filter((partition) => text.includes(nameOf(partition)));
}

const on = (words: string, { config }: Place) =>
  cli([...words.split(" "), "--config", config], { describeTopics: async () => [SAME] });

test.each([
  ["offsets events --set events:0=30 --yes", [1]],
  ["offsets events --set events:0=100", [1]],
  ["offsets events --accept-topic events", []],
  ["resume events", []],
])("%s takes away what it answers for", async (words, left) => {
  const place = await makePlace("", KEPT);
  expect((await on(words, place)).code).toBe(0);
  expect(kept(place)).toEqual(left);
});

test.each([
  "offsets events --set events:0=30",
  "offsets events --set events:0=30 --dry-run",
  "offsets events",
  "resume events --dry-run",
  "pause events",
])("%s takes none away", async (words) => {
  const place = await makePlace("", KEPT);
  await on(words, place);
  expect(kept(place)).toEqual([0, 1]);
});

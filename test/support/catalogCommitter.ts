/**
 * Commits snapshots to a table until its input ends or it is killed, and prints `try ID`, then
 * `committed ID`, `conflict ID` or `unknown ID`. Run by `conformance/catalogProcesses.test.ts`.
 */
import { writeSync } from "node:fs";
import { systemRandom } from "#base/random.ts";
import type { CatalogOptions } from "#catalog/open.ts";
import { appendOf, nextSnapshot } from "./icebergSamples.ts";
import { realCatalog } from "./realCatalogs.ts";

const NAME = { namespace: ["db"], table: "t" };
const options = JSON.parse(process.argv[2] ?? "") as CatalogOptions;
const catalog = await realCatalog(options);
const say = (text: string): number => writeSync(1, `${text}\n`);

for (;;) {
  const head = await catalog.load(NAME);
  if (head === null) throw new Error("the table is gone");
  const { metadata } = head;
  if (metadata.snapshots.length >= 300) break;
  const id = systemRandom.id63();
  say(`try ${id}`);
  const outcome = await catalog.commit(
    NAME,
    [{ type: "assert-ref-snapshot-id", ref: "main", snapshotId: metadata.currentSnapshotId }],
    appendOf(nextSnapshot(metadata, id)),
  );
  say(`${outcome.kind} ${id}`);
}
await catalog.close();

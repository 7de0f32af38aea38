/**
 * A process that compacts a table of changes by the product's own code, while others upsert into it, delete from it,
 * and roll it back. Its engine takes time, says where the rows of each file went, and sorts some files.
 */
import type { Catalog } from "#catalog/catalog.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { compact } from "#maintenance/compact.ts";
import type { WriterParts } from "#writer/parts.ts";
import { Background } from "./background.ts";
import { optionsOf, type Process } from "./process.ts";
import { simulatedEngine } from "./simulatedEngine.ts";
import type { UpsertLaw } from "./upsertLaw.ts";
import type { World } from "./world.ts";

/** Rewrites one table. */
export class UpsertRewriter extends Background {
  readonly #law: UpsertLaw;
  /** True: somebody else may replace files, or roll back. */
  readonly #hasOthers: boolean;
  readonly #writers: readonly Pick<Process, "writer">[];
  #told = 0;

  /** @param writers those that upsert; their indexes are told of some of its files */
  constructor(
    world: World,
    law: UpsertLaw,
    hasOthers: boolean,
    writers: readonly Pick<Process, "writer">[] = [],
  ) {
    super(world, "R", true);
    this.#writers = writers;
    this.#law = law;
    this.#hasOthers = hasOthers;
  }

  /** Whatever is next: begin, go on with a run that waits, or die. */
  async act(): Promise<void> {
    const { world } = this;
    if (this.isBusy && world.random.unit() < 0.05) this.crash();
    const count = world.pick([1, 2, 3]);
    await this.goOn((parts) => this.#run(parts, count));
  }

  /** @param count so many files are to be written, about */
  async #run(parts: WriterParts, count: number): Promise<void> {
    const { world } = this;
    const head = await parts.catalog.load(world.name);
    if (head === null || head.metadata.currentSnapshotId === null) return;
    const options = { ...optionsOf(world, "g"), coordinates: null, branch: "main" };
    const answers = countUnknown(parts.catalog);
    const table = new CommitTable({ ...parts, catalog: answers.catalog }, options, head);
    await table.leftovers.inherit(head);
    const { files } = await this.#law.listed(head.metadata.currentSnapshotId);
    const bytes = files.reduce((sum, { file }) => sum + Number(file.fileSizeBytes), 0);
    const { groups, left } = await compact(table, simulatedEngine(world, this.#law, parts), {
      ...{ isDry: false, jobs: 1, onProgress: () => undefined, stop: new AbortController().signal },
      settings: { smallBytes: 1e9, targetBytes: bytes / count, deleteRatio: 0.1 },
      sortSpillBytesMax: world.pick([0, 1]),
      onRewritten: async (rewritten) => {
        for (const { writer } of this.#writers) {
          if (++this.#told % 5 !== 0) await writer?.rewritten(rewritten);
        }
      },
    });
    world.say(`R has rewritten ${groups} groups and left ${left}`);
    // Upserts and compaction never keep each other from the table (10i); answers that are lost do.
    if (left > 0 && !this.#hasOthers && answers.unknown === 0)
      this.violations.push(`STARVED: R left ${left} groups`);
  }
}

/** A catalog, and how many of its answers have not arrived. */
function countUnknown(catalog: Catalog): { readonly catalog: Catalog; unknown: number } {
  const counted = { catalog, unknown: 0 };
  const commit: Catalog["commit"] = async (...request) => {
    const outcome = await catalog.commit(...request);
    if (outcome.kind === "unknown") counted.unknown++;
    return outcome;
  };
  counted.catalog = { ...catalog, commit };
  return counted;
}

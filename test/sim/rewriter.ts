/**
 * A process that compacts the table, as `maintenance compact` and `run` do; its engine reads and
 * writes the files of the simulation.
 */
import { CommitTable } from "#commit/commitTable.ts";
import type { Progress } from "#commit/progress.ts";
import { ProgressReader } from "#commit/progressSearch.ts";
import { compact } from "#maintenance/compact.ts";
import type { RewriteEngine, RewriteJob } from "#maintenance/engine.ts";
import type { WriterParts } from "#writer/parts.ts";
import { Background } from "./background.ts";
import { rowBytes, type SimRow, visibleRows } from "./foreignRows.ts";
import { COORDINATES, foreignFile, readCoordinates } from "./rows.ts";
import type { World } from "./world.ts";

/** Committed offsets as the writer reads them. */
export function progressOf(world: World): Promise<Progress> {
  const rows = { columns: COORDINATES, read: readCoordinates };
  return new ProgressReader("main", rows, world.showsAncestors).read(world.loaded());
}

const ENGINE: RewriteEngine = {
  refusal: () => null,
  ready: () => undefined,
  writePositionDeletes: () => Promise.reject(new Error("nothing is carried over here")),
  rewrite: async ({ head: { storage }, group: { inputs }, location }: RewriteJob) => {
    const rows: SimRow[] = [];
    for (const { path, deletes } of inputs) {
      const visible = await visibleRows((at) => storage.get(at), path, deletes);
      rows.push(...visible.map(({ row }) => row));
    }
    if (rows.length === 0) return { output: null, moved: null };
    const bytes = rowBytes(rows);
    await storage.put(location, bytes);
    const counts = {
      recordCount: BigInt(rows.length),
      fileSizeBytes: BigInt(bytes.length),
    };
    return { output: { ...foreignFile(location), ...counts }, moved: null };
  },
};

/** Rewrites one table. */
export class Rewriter extends Background {
  constructor(world: World, name: string) {
    super(world, name, true);
  }

  /** Whatever is next: begin, go on with a run that waits, or die. */
  async act(): Promise<void> {
    const { world } = this;
    if (this.isBusy && world.random.unit() < 0.1) this.crash();
    const parts = world.pick([1, 2, 4]);
    await this.goOn((ports) => this.#run(ports, parts));
  }

  /** Goes on with a run that waits; else begins one of all files. False: there is nothing to do. */
  async begin(): Promise<boolean> {
    await this.goOn((ports) => this.#run(ports, 1));
    return this.world.pending.some((each) => each.writer === this.name && each.answer !== null);
  }

  /** A fresh process removes what an earlier one has left, where the rules allow it. */
  async discharge(): Promise<void> {
    await this.goOn(async (ports) => {
      await this.#open(ports);
    });
  }

  async #open(parts: WriterParts): Promise<CommitTable | null> {
    const { world } = this;
    const head = await parts.catalog.load(world.name);
    if (head === null) return null;
    const table = new CommitTable(
      parts,
      {
        ...{ name: world.name, branch: "main", group: "g", coordinates: COORDINATES },
        ...{ commitRetriesMax: 3, filesAgeMsMax: world.filesAgeMsMax, thinning: world.thinning },
      },
      head,
    );
    await table.leftovers.inherit(head);
    return table;
  }

  /** @param count so many files are to be written, about */
  async #run(parts: WriterParts, count: number): Promise<void> {
    const { world } = this;
    const table = await this.#open(parts);
    const head = table?.head.metadata.currentSnapshotId ?? null;
    if (table === null || head === null) return;
    const { files } = await world.law.content(head);
    const sizes = files.map((path) => world.storage.objects.get(path)?.content.length ?? 2);
    const bytes = sizes.reduce((sum, each) => sum + each, 0);
    world.say(`${this.name} begins to rewrite ${files.length} files`);
    const { groups, left } = await compact(table, ENGINE, {
      ...{ isDry: false, jobs: 1, onProgress: () => undefined, stop: new AbortController().signal },
      settings: { smallBytes: 1e9, targetBytes: bytes / count, deleteRatio: 0.1 },
    });
    world.say(`${this.name} has rewritten ${groups} groups and left ${left}`);
  }
}

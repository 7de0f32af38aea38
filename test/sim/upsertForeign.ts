/**
 * What other engines and people do to a table of changes: rows of existing keys appended, deleted in
 * every way that Iceberg has, compacted; rolled back, expired.
 */
import { PuffinWriter } from "#iceberg/deletes/puffin.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { positionDeleteWriter } from "#writer/positionDeletes.ts";
import { chainOf, rollback } from "./people.ts";
import { foreignFile } from "./rows.ts";
import type { PlacedRow, UpsertLaw } from "./upsertLaw.ts";
import { type KeyedRow, orderOf, storeKeyDelete, storeRows } from "./upsertRows.ts";
import type { World } from "./world.ts";

/** What a foreign commit does. */
interface ForeignChange {
  readonly what: string;
  readonly files: readonly DataFile[];
  readonly removed?: readonly DataFile[];
  readonly operation?: string;
  readonly change?: (rows: readonly KeyedRow[]) => readonly KeyedRow[];
}

/**
 * What the rows of a table are. `records`: those that are added are there twice, and none is deleted by its
 * key; `ordered`: those that are added have orders among those of the records; `texts`: none is added or
 * deleted, since changes need what stands before them, but other texts are set.
 */
export type ForeignRows = "changes" | "records" | "ordered" | "texts";

/** Somebody else, in one world. */
export class Foreigners {
  readonly #world: World;
  readonly #law: UpsertLaw;
  readonly #kind: ForeignRows;
  #rows = 0;

  constructor(world: World, law: UpsertLaw, kind: ForeignRows = "changes") {
    this.#world = world;
    this.#law = law;
    this.#kind = kind;
  }

  /** One random act. */
  async act(): Promise<void> {
    const world = this.#world;
    const { currentSnapshotId: head } = world.metadata;
    if (head === null) return;
    const { live } = await this.#law.rowsOf(head);
    const dice = world.random.unit();
    // The other half of the acts adds and deletes no rows.
    if (this.#kind === "texts" && dice < 0.52) return await this.#setText(live);
    await this.#chosen(dice, live);
  }

  async #chosen(dice: number, live: readonly PlacedRow[]): Promise<void> {
    const world = this.#world;
    const chain = chainOf(world);
    if (dice < 0.2) return await this.#commit(await this.#appended(live));
    if (dice < 0.32 && live.length > 0)
      return await this.#commit(await this.#deleted(world.pick(live)));
    if (dice < 0.42 && live.length > 0)
      return await this.#commit(await this.#byKey(world.pick(live)));
    if (dice < 0.52 && live.length > 0)
      return await this.#commit(await this.#rewritten(world.pick(live)));
    if (dice < 0.7) return await this.compact();
    if (dice < 0.75 && world.metadata.formatVersion === 2) return this.#upgrade();
    if (dice < 0.9 && chain.length > 1) return rollback(world, world.pick(chain.slice(1, 5)));
    if (chain.length > 2) await this.#expire(chain.slice(1 + world.below(chain.length - 1)));
  }

  async #setText(live: readonly PlacedRow[]): Promise<void> {
    if (live.length === 0) return;
    await this.#commit(await this.#rewritten(this.#world.pick(live), true));
  }

  /** All live rows in one file; the deletes go with what they were about. */
  async compact(): Promise<void> {
    const world = this.#world;
    const { currentSnapshotId: head } = world.metadata;
    if (head === null) return;
    const { live } = await this.#law.rowsOf(head);
    const { files: listed } = await this.#law.listed(head);
    if (listed.length < 2) return;
    const output = await storeRows(world.storage, this.#path("compacted"), live);
    const removed = listed.map(({ file }) => file);
    const files = live.length === 0 ? [] : [output];
    await this.#commit({ what: "compacts", files, removed, operation: "replace" });
  }

  /** To format v3: from then on there are vectors, over position deletes of before. */
  #upgrade(): void {
    this.#world.foreign(
      [{ action: "upgrade-format-version", formatVersion: 3 }],
      "F upgrades the table to format v3",
    );
  }

  async #appended(live: readonly PlacedRow[]): Promise<ForeignChange> {
    const world = this.#world;
    if (this.#kind === "records" && live.length === 0)
      return { what: "appends nothing", files: [] };
    const key = live.length > 0 ? world.pick(live).key : 7;
    const [twice] = this.#kind === "records" ? live.filter((each) => each.key === key) : [];
    const number = twice === undefined ? this.#rows++ : 0;
    const fresh = this.#kind === "ordered" ? orderOf(2, number) : 90_000 + number;
    const row = { key, n: twice?.n ?? fresh };
    const file = await storeRows(world.storage, this.#path("foreign"), [row]);
    return {
      what: `appends ${row.key}:${row.n}`,
      files: [file],
      change: (rows) => [...rows, row],
    };
  }

  /** By a vector that takes the place of what is there, or by a file of position deletes. */
  async #deleted(row: PlacedRow): Promise<ForeignChange> {
    const world = this.#world;
    const { file } = row.file;
    const what = `deletes ${row.key}:${row.n} by position`;
    const change = lacking(row);
    if (world.metadata.formatVersion === 2) {
      const path = this.#path("deletes");
      const rows = Uint32Array.of(row.position);
      const write = positionDeleteWriter(createInlineEncoder());
      const deletes = await write(world.storage, path, [{ path: file.filePath, rows }]);
      return {
        what,
        files: [{ ...foreignFile(path), content: "position-deletes", ...deletes }],
        change,
      };
    }
    const { files, removed } = await this.#vector(row);
    return { what, files, removed, change };
  }

  async #vector({
    file: { file },
    position,
  }: PlacedRow): Promise<{ files: DataFile[]; removed: DataFile[] }> {
    const world = this.#world;
    const head = world.metadata.currentSnapshotId ?? 0n;
    const hidden = await this.#law.hiddenIn(file.filePath, head);
    const set = new RowSet(Number(file.recordCount));
    for (const row of [...hidden.rows, position]) set.add(row);
    const puffin = new PuffinWriter();
    puffin.add(file.filePath, set);
    const { bytes, vectors } = puffin.finish();
    const path = this.#path("vectors").replace(/parquet$/, "puffin");
    await world.storage.put(path, bytes);
    const added = vectors.map(
      (vector): DataFile => ({
        ...foreignFile(path),
        content: "position-deletes",
        fileFormat: "PUFFIN",
        recordCount: BigInt(vector.deleted),
        fileSizeBytes: BigInt(bytes.length),
        referencedDataFile: file.filePath,
        contentOffset: BigInt(vector.offset),
        contentSizeBytes: BigInt(vector.length),
      }),
    );
    return { files: added, removed: hidden.vectors };
  }

  async #byKey(row: PlacedRow): Promise<ForeignChange> {
    if (this.#kind === "records") return await this.#deleted(row);
    const { key } = row;
    const file = await storeKeyDelete(this.#world.storage, this.#path("equality"), key);
    const change = (rows: readonly KeyedRow[]): KeyedRow[] =>
      rows.filter((each) => each.key !== key);
    return { what: `deletes key ${key}`, files: [file], change };
  }

  /** Copy on write: the row's file without it, or with another text in it. */
  async #rewritten(row: PlacedRow, isKept = false): Promise<ForeignChange> {
    const world = this.#world;
    const head = world.metadata.currentSnapshotId ?? 0n;
    const { live } = await this.#law.rowsOf(head);
    const { file } = row.file;
    const others = live.filter((each) => each.file.file.filePath === file.filePath && each !== row);
    const left: KeyedRow[] = others.filter(({ position }) => position !== row.position);
    const { key, n } = row;
    const update = isKept ? [{ key, n, t: `foreign ${this.#rows++}` }] : [];
    left.push(...update);
    const output = await storeRows(world.storage, this.#path("rewritten"), left);
    const { vectors } = await this.#law.hiddenIn(file.filePath, head);
    return {
      what: isKept ? `sets a text of ${key}:${n}` : `rewrites a file without ${key}:${n}`,
      files: left.length === 0 ? [] : [output],
      removed: [file, ...vectors],
      change: (rows) => [...lacking(row)(rows), ...update],
    };
  }

  /** Snapshots, and with them the files that no other snapshot lists. */
  async #expire(snapshotIds: readonly SnapshotId[]): Promise<void> {
    const world = this.#world;
    const gone = new Set<string>();
    for (const id of snapshotIds) for (const path of await this.#paths(id)) gone.add(path);
    const what = `F expires ${snapshotIds.join(", ")}`;
    world.foreign([{ action: "remove-snapshots", snapshotIds }], what);
    for (const { snapshotId } of world.metadata.snapshots) {
      for (const path of await this.#paths(snapshotId)) gone.delete(path);
    }
    await world.storage.remove([...gone]);
  }

  async #paths(id: SnapshotId): Promise<string[]> {
    return (await this.#law.listed(id)).files.map(({ file }) => file.filePath);
  }

  async #commit({ what, files, removed = [], operation, change }: ForeignChange): Promise<void> {
    const world = this.#world;
    const staged = await stageAppend({
      storage: { ...world.storage },
      metadata: world.metadata,
      branch: "main",
      snapshotId: world.random.id63(),
      timestampMs: world.nowMs,
      files,
      removed,
      summary: operation === undefined ? {} : { operation },
      nameSuffix: world.random.uuid(),
    });
    if (change !== undefined) this.#law.foreign.set(staged.snapshot.snapshotId, change);
    world.foreign(staged.updates, `F ${what} as ${staged.snapshot.snapshotId}`);
  }

  #path(what: string): string {
    return `/wh/db/t/data/${what}-${this.#world.random.uuid()}.parquet`;
  }
}

function lacking({ key, n }: KeyedRow): (rows: readonly KeyedRow[]) => KeyedRow[] {
  return (rows) => {
    const at = rows.findIndex((row) => row.key === key && row.n === n);
    return rows.filter((_, index) => index !== at);
  };
}

/**
 * The law of changes, judged from what the table's files say (SPEC section 6): each snapshot has the rows
 * of its parent, changed by what it was for. One of ours: by the records between the offsets of the two,
 * of each key the last, by its place or by its order; a foreign one: by what that engine did.
 *
 * Rows are read here by a reader of its own, which follows the Iceberg spec and knows no index.
 */
import { parseDocument } from "#commit/progressText.ts";
import { readDeletionVector } from "#iceberg/deletes/deletionVector.ts";
import { type LiveFile, listDataFiles, manifestsOf } from "#iceberg/io/scan.ts";
import type { Snapshot, SnapshotId } from "#iceberg/metadata/metadata.ts";
import { parquetBytes, readRows } from "#parquet/readColumns.ts";
import { type Becomes, doubledIds, lostIds } from "./rowIdLaw.ts";
import { changeOf, emptyingChangeOf, type KeyedRow, type TextOf } from "./upsertRows.ts";
import type { World } from "./world.ts";

/** What a snapshot must have. */
export interface Truth {
  readonly offsets: ReadonlyMap<number, number>;
  readonly rows: readonly KeyedRow[];
}

/** A live row and where it is. */
export interface PlacedRow extends KeyedRow {
  readonly file: LiveFile;
  readonly position: number;
}

/** What a snapshot lists. */
interface Listed {
  readonly files: readonly LiveFile[];
  /** With the manifest list. */
  readonly manifests: readonly string[];
}

/** What a commit makes of its parent's rows. */
type ChangeRows = (rows: readonly KeyedRow[]) => readonly KeyedRow[];

/** The same, where it matters how far the parent has come. */
export type ChangeTruth = (before: Truth) => readonly KeyedRow[];

/** What records of a partition, by their offsets, make of rows. */
export type Fold = (
  rows: readonly KeyedRow[],
  partition: number,
  offsets: readonly number[],
) => readonly KeyedRow[];

/** The change that a record makes. */
export type ChangeOf = (
  partition: number,
  offset: number,
) => Pick<ReturnType<typeof changeOf>, "key" | "does">;

/** Of each key the last. */
const changed: Fold = (rows, partition, offsets) => {
  let left = rows;
  for (const offset of offsets) {
    const { does, ...row } = changeOf(partition, offset, false);
    left = left.filter(({ key }) => key !== row.key);
    if (does === "put") left = [...left, row];
  }
  return left;
};

/** The same where changes may leave a text as it was. */
export function changedTexts(textOf: TextOf): Fold {
  return (rows, partition, offsets) => {
    let left = rows;
    for (const offset of offsets) {
      const { does, ...row } = changeOf(partition, offset, false);
      const before = left.find(({ key }) => key === row.key)?.t;
      left = left.filter(({ key }) => key !== row.key);
      const t = textOf(partition, offset) ?? before;
      if (does === "put") left = [...left, t === undefined ? row : { ...row, t }];
    }
    return left;
  };
}

const NOTHING: Truth = { offsets: new Map(), rows: [] };

/** Of each key the last one behind the last truncate. */
export const emptying: Fold = (rows, _, offsets) => {
  let left = rows;
  for (const offset of offsets) {
    const { does, ...row } = emptyingChangeOf(offset);
    left = does === "truncate" ? [] : left.filter(({ key }) => key !== row.key);
    if (does === "put") left = [...left, row];
  }
  return left;
};

/** Of each key the one with the largest `n`, also across commits. */
export const byOrder: Fold = (rows, partition, offsets) => {
  let left = rows;
  for (const offset of offsets) {
    const { does: _, ...row } = changeOf(partition, offset, true);
    if (left.some(({ key, n }) => key === row.key && n > row.n)) continue;
    left = [...left.filter(({ key }) => key !== row.key), row];
  }
  return left;
};

/** The judge of one world. */
export class UpsertLaw {
  readonly world: World;
  /** What foreign snapshots do to the rows; default nothing. */
  readonly foreign: Map<SnapshotId, ChangeRows> = new Map();
  /** What our own commits do to them that move no offset, by commit id; default nothing. */
  readonly own: Map<string, ChangeTruth> = new Map();
  readonly #fold: Fold;
  readonly #changeOf: ChangeOf | null;
  /** The live rows of snapshots that were judged. */
  readonly #rows = new Map<SnapshotId, readonly PlacedRow[]>();
  readonly #truths = new Map<SnapshotId, Truth>();
  readonly #judged = new Set<SnapshotId>();
  readonly #listed = new Map<SnapshotId, Listed>();
  readonly #files = new Map<string, readonly KeyedRow[]>();

  /**
   * @param fold what records do to the rows; default: as changes of their keys
   * @param changeOf where updates keep row ids: the change that a record makes; default: they need not
   */
  constructor(world: World, fold: Fold = changed, changeOf: ChangeOf | null = null) {
    this.world = world;
    this.#fold = fold;
    // A flush that was written for a table of format v2, and landed in one of v3, keeps no ids.
    this.#changeOf = world.metadata.formatVersion === 3 ? changeOf : null;
  }

  /** Every way in which the law is broken now. */
  async violations(): Promise<string[]> {
    const broken: string[] = [];
    for (const snapshot of this.world.metadata.snapshots) {
      const { snapshotId } = snapshot;
      const missing = await this.#missing(snapshotId);
      if (missing !== null) broken.push(`DANGLING: snapshot ${snapshotId} lists ${missing}`);
      if (missing !== null || this.#judged.has(snapshotId)) continue;
      this.#judged.add(snapshotId);
      broken.push(...(await this.#judge(snapshot)));
    }
    return broken;
  }

  /** A file of a snapshot that is not there; null: all are. */
  async #missing(id: SnapshotId): Promise<string | null> {
    try {
      const { files, manifests } = await this.listed(id);
      const paths = [...manifests, ...files.map(({ file }) => file.filePath)];
      return paths.find((path) => !this.world.storage.objects.has(path)) ?? null;
    } catch (error) {
      return String(error);
    }
  }

  /** What a snapshot lists, which never changes: read once, from the store itself. */
  async listed(id: SnapshotId): Promise<Listed> {
    const known = this.#listed.get(id);
    if (known !== undefined) return known;
    const { metadata, history } = this.world;
    const storage = { ...this.world.storage };
    const snapshot = history.get(id);
    const manifests = snapshot === undefined ? [] : await manifestsOf(storage, snapshot);
    const listed = {
      files: await Array.fromAsync(listDataFiles(storage, metadata, id)),
      manifests: [
        ...(snapshot === undefined ? [] : [snapshot.manifestList]),
        ...manifests.map(({ manifestPath }) => manifestPath),
      ],
    };
    this.#listed.set(id, listed);
    return listed;
  }

  async #judge(snapshot: Snapshot): Promise<string[]> {
    const { live, problems } = await this.rowsOf(snapshot.snapshotId);
    const truth = this.truth(snapshot.snapshotId);
    problems.push(...offsetProblems(snapshot, truth.offsets));
    problems.push(...this.#idProblems(snapshot, live));
    const found = texts(live);
    const wanted = texts(truth.rows);
    if (found.join() === wanted.join()) return problems;
    const gone = without(wanted, found);
    const more = without(found, wanted);
    const what = `ROWS: snapshot ${snapshot.snapshotId} lacks [${gone}], has [${more}] too much`;
    return [...problems, what];
  }

  #idProblems(snapshot: Snapshot, live: readonly PlacedRow[]): string[] {
    const { snapshotId, parentSnapshotId: parent, summary } = snapshot;
    this.#rows.set(snapshotId, live);
    const doubled = doubledIds(snapshot, live);
    const before = parent === null ? [] : this.#rows.get(parent);
    const isOurs = summary["kafka-iceberg.offsets"] !== undefined;
    if (this.#changeOf === null || before === undefined || !isOurs) return doubled;
    const changes = new Map<number, Becomes>();
    for (const [partition, offset] of this.#records(snapshot)) {
      const { key, does } = this.#changeOf(partition, offset);
      if (does === "truncate") for (const row of before) changes.set(row.key, "new");
      else if (changes.get(key) !== "new") changes.set(key, does === "delete" ? "new" : "updated");
    }
    return [...doubled, ...lostIds(snapshot, before, live, changes)];
  }

  /** The records that a snapshot of ours was for. */
  *#records({ snapshotId, parentSnapshotId }: Snapshot): Generator<[number, number]> {
    const { offsets: before } = this.truth(parentSnapshotId);
    for (const [partition, end] of this.truth(snapshotId).offsets) {
      const from = before.get(partition) ?? end;
      for (const offset of this.world.topic.records[partition] ?? []) {
        if (offset >= from && offset < end) yield [partition, offset];
      }
    }
  }

  /** What a snapshot must have, by its ancestors, expired ones included. */
  truth(id: SnapshotId | null): Truth {
    const snapshot = id === null ? undefined : this.world.history.get(id);
    if (snapshot === undefined) return NOTHING;
    const known = this.#truths.get(snapshot.snapshotId);
    if (known !== undefined) return known;
    const truth = this.#after(this.truth(snapshot.parentSnapshotId), snapshot);
    this.#truths.set(snapshot.snapshotId, truth);
    return truth;
  }

  #after(before: Truth, { snapshotId, summary }: Snapshot): Truth {
    const text = summary["kafka-iceberg.offsets"];
    if (text === undefined) {
      const change = this.foreign.get(snapshotId);
      return change === undefined ? before : { ...before, rows: change(before.rows) };
    }
    const own = this.own.get(summary["kafka-iceberg.commit-id"] ?? "");
    if (own !== undefined) return { offsets: before.offsets, rows: own(before) };
    const offsets = new Map(before.offsets);
    let { rows } = before;
    for (const { offsets: ends } of parseDocument(text).sources.values()) {
      for (const [partition, end] of ends) {
        const from = before.offsets.get(partition) ?? Number(end);
        offsets.set(partition, Number(end));
        const records = (this.world.topic.records[partition] ?? []).filter(
          (offset) => offset >= from && offset < end,
        );
        rows = this.#fold(rows, partition, records);
      }
    }
    return { offsets, rows };
  }

  /** The rows that a snapshot shows, and what is wrong with its deletes. */
  async rowsOf(id: SnapshotId): Promise<{ live: PlacedRow[]; problems: string[] }> {
    const { files: listed } = await this.listed(id);
    const data = listed.filter(({ file }) => file.content === "data");
    const deletes = listed.filter(({ file }) => file.content !== "data");
    const paths = new Set(data.map(({ file }) => file.filePath));
    const problems = deletes.flatMap(({ file, snapshotId }) =>
      file.referencedDataFile !== null && !paths.has(file.referencedDataFile)
        ? [`DEAD: snapshot ${snapshotId} deletes from ${file.referencedDataFile}, which is gone`]
        : [],
    );
    const live: PlacedRow[] = [];
    for (const file of data) {
      const { filePath } = file.file;
      const vectors = deletes.filter((each) => each.file.referencedDataFile === filePath).length;
      if (vectors > 1) problems.push(`VECTORS: ${filePath} has ${vectors}`);
      live.push(...(await this.liveIn(file, deletes)));
    }
    return { live, problems };
  }

  /** The rows of a data file that some deletes leave. */
  async liveIn(file: LiveFile, deletes: readonly LiveFile[]): Promise<PlacedRow[]> {
    const { hidden, keys } = await this.#hidden(file, deletes);
    const { filePath, firstRowId } = file.file;
    const rows = (await this.fileRows(filePath)).map((row, position) => ({
      ...row,
      id: row.id ?? (firstRowId === null ? null : firstRowId + BigInt(position)),
      ...{ file, position },
    }));
    return rows.filter(({ key, position }) => !hidden.has(position) && !keys.has(key));
  }

  async #hidden(
    data: LiveFile,
    deletes: readonly LiveFile[],
  ): Promise<{ hidden: Set<number>; keys: Set<number> }> {
    const { filePath: path, recordCount } = data.file;
    const vector = deletes.filter(({ file }) => file.referencedDataFile === path);
    const hidden = new Set<number>();
    const keys = new Set<number>();
    for (const { file } of vector) this.#addVector(hidden, file, Number(recordCount));
    const equality = deletes.filter(
      ({ file, sequenceNumber }) =>
        file.content === "equality-deletes" && sequenceNumber > data.sequenceNumber,
    );
    for (const { file } of equality) {
      for (const row of await this.#stored(file.filePath)) keys.add(Number(row["key"]));
    }
    // Where there is a vector, older deletes by position have no effect.
    const positions = deletes.filter(
      ({ file, sequenceNumber }) =>
        vector.length === 0 &&
        file.content === "position-deletes" &&
        file.fileFormat !== "PUFFIN" &&
        sequenceNumber >= data.sequenceNumber,
    );
    for (const { file } of positions) {
      for (const row of await this.#stored(file.filePath)) {
        if (row["file_path"] === path) hidden.add(Number(row["pos"]));
      }
    }
    return { hidden, keys };
  }

  #addVector(hidden: Set<number>, file: LiveFile["file"], rows: number): void {
    const bytes = this.world.storage.objects.get(file.filePath)?.content ?? new Uint8Array();
    const start = Number(file.contentOffset);
    const blob = bytes.subarray(start, start + Number(file.contentSizeBytes));
    const place = { puffin: "", rows, deleted: Number(file.recordCount) };
    readDeletionVector(blob, place, (word, bits) => {
      for (let bit = 0; bit < 32; bit++) {
        if (((bits >>> bit) & 1) === 1) hidden.add(32 * word + bit);
      }
    });
  }

  /** What hides rows of a data file of a snapshot by position. */
  async hiddenIn(
    path: string,
    id: SnapshotId,
  ): Promise<{ rows: ReadonlySet<number>; vectors: LiveFile["file"][] }> {
    const { files: listed } = await this.listed(id);
    const data = listed.find(({ file }) => file.filePath === path);
    if (data === undefined) return { rows: new Set(), vectors: [] };
    const deletes = listed.filter(({ file }) => file.content === "position-deletes");
    const vectors = deletes.flatMap(({ file }) => (file.referencedDataFile === path ? [file] : []));
    return { rows: (await this.#hidden(data, deletes)).hidden, vectors };
  }

  /** All rows of a data file; files never change. */
  async fileRows(path: string): Promise<readonly KeyedRow[]> {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const rows = (await this.#stored(path)).map((row) => ({
      key: Number(row["key"]),
      n: Number(row["n"]),
      ...(typeof row["t"] === "string" ? { t: row["t"] } : {}),
      id: typeof row["_row_id"] === "bigint" ? row["_row_id"] : null,
    }));
    this.#files.set(path, rows);
    return rows;
  }

  async #stored(path: string): Promise<Readonly<Record<string, unknown>>[]> {
    const { storage } = this.world;
    const bytes = storage.objects.get(path)?.content ?? new Uint8Array();
    const file = parquetBytes({ ...storage }, path, bytes.length);
    const groups = await Array.fromAsync(
      readRows(file, ["key", "n", "t", "_row_id", "file_path", "pos"]),
    );
    return groups.flat();
  }
}

/** A commit that moves no offset has those of its parent. */
function offsetProblems(
  { snapshotId, summary }: Snapshot,
  wanted: ReadonlyMap<number, number>,
): string[] {
  const text = summary["kafka-iceberg.offsets"];
  const sources = text === undefined ? [] : [...parseDocument(text).sources.values()];
  return sources.flatMap(({ offsets }) =>
    [...offsets].flatMap(([partition, offset]) =>
      wanted.get(partition) === Number(offset)
        ? []
        : [`OFFSETS: snapshot ${snapshotId} moves p${partition} to ${offset}`],
    ),
  );
}

function texts(rows: readonly KeyedRow[]): string[] {
  return rows.map(({ key, n, t = "" }) => `${key}:${n}${t && ` ${t}`}`).sort();
}

/** What is left of a list when each of another is taken once. */
function without(list: readonly string[], taken: readonly string[]): string[] {
  const left = [...list];
  for (const each of taken) {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
  }
  return left;
}

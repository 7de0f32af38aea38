/**
 * The index of one table's keys: what its key table holds, told by comparing with what a head lists, never
 * by walking through snapshots (CHANGE_RULES 10c), so that rollback, expiry and foreign commits need no
 * cases of their own.
 *
 * ```text
 * file gone                           its rows go
 * file new                            the keys of its live rows are read
 * deletes added                       rows that they hide go
 * a delete gone, or another vector    hidden rows go; if fewer rows are left than live, all are read again
 * ```
 * The files of a comparison that failed half-way stay in `#torn`: the next one reads them anew.
 */
import { assert } from "#base/assert.ts";
import { fail, kindOf } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import {
  deletesOf,
  type HeadFiles,
  type LiveData,
  liveDataOf,
  readHeadFiles,
} from "#iceberg/io/headFiles.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { Storage } from "#storage/storage.ts";
import { EqualityDeletes } from "./equalityDeletes.ts";
import { type ChangedFile, headDifference } from "./headDifference.ts";
import { IndexedFiles } from "./indexedFiles.ts";
import { RowIdColumns, wholeColumn } from "./keptRowIds.ts";
import { type KeyField, KeyHasher, type KeySecret, keyFieldsOf } from "./keyHasher.ts";
import type { FoundPlaces } from "./keyTable.ts";
import { newerKeys } from "./newerKeys.ts";
import { orderFieldOf } from "./orders.ts";
import { firstRows, rowsByFile } from "./places.ts";
import type {
  IndexChange,
  IndexColumns,
  KeySet,
  LandedSnapshot,
  LocatedRows,
  RewrittenFile,
  RowIndex,
  StandingValues,
} from "./port.ts";
import { PositionDeletes } from "./positionDeletes.ts";
import { hiddenRows, type KeySource, readLiveKeys, rowsLeft } from "./readKeys.ts";
import {
  type MovedOutput,
  movedIds,
  type OutputMove,
  RewrittenFiles,
  type ToldFiles,
} from "./rewrittenFiles.ts";
import { rowIdsOf } from "./rowIds.ts";
import { secretCheck } from "./secret.ts";
import { standingValues } from "./standingValues.ts";
import type { KeyStore, RestoredIndex } from "./store.ts";

/** What an index needs. */
export interface TableIndexParts extends IndexColumns {
  /** The table from key to rows, and what was kept of it. */
  readonly store: KeyStore;
  readonly secret: KeySecret;
  /** Those of all indexes of a thread. Default: its own. */
  readonly rowIds?: RowIdColumns;
  readonly toldFiles?: ToldFiles;
  /** Told of bytes that reading files left behind. Default: nobody is. */
  readonly leave?: (bytes: number) => void;
}

/** The columns that an index knows; order null: changes have none. */
type IndexKey = Pick<KeySource, "hasher"> & { readonly order: KeyField | null };

/** Creates an index that knows what its store has kept. */
export function createTableIndex(parts: TableIndexParts): RowIndex {
  return new TableIndex(parts);
}

class TableIndex implements RowIndex {
  readonly #parts: TableIndexParts;
  readonly #store: KeyStore;
  /** What the store had, until a head is looked at. */
  #restored: RestoredIndex | null;
  readonly #files: IndexedFiles;
  readonly #rowIds: RowIdColumns;
  readonly #rewritten: RewrittenFiles;
  /** What was listed last; with `#torn` it says what the table holds. */
  #head: HeadFiles | null = null;
  readonly #torn = new Set<string>();
  /** The snapshot that the table is exact for; null: it is for none. */
  #label: { readonly snapshotId: SnapshotId | null } | null = null;
  /** The table and its key, as text: of another one, nothing that is held counts. */
  #identity = "";
  /** The column of orders; null: changes have none. */
  #order: KeyField | null = null;
  #metadata: TableMetadata | null = null;
  /** The head of which a file was not found. */
  #missingIn: SnapshotId | null | undefined;

  constructor(parts: TableIndexParts) {
    this.#parts = parts;
    this.#store = parts.store;
    this.#files = new IndexedFiles(parts.store);
    this.#rowIds = parts.rowIds ?? new RowIdColumns();
    this.#rewritten = new RewrittenFiles(parts.toldFiles);
    this.#restored = parts.store.restored;
  }

  async bringTo(table: LoadedTable, branch: string): Promise<void> {
    const { metadata } = table;
    const source = this.#sourceOf(table);
    this.#label = null;
    // A branch that does not exist begins at main's head.
    const wanted = metadata.refs[branch]?.snapshotId ?? metadata.currentSnapshotId;
    try {
      await this.#restore(table);
      const head = await readHeadFiles(table, wanted, this.#head, this.#order?.id);
      await this.#compare(source, head);
      this.#head = head;
      this.#torn.clear();
      this.#metadata = metadata;
      await this.#exactFor(head.snapshotId);
    } catch (error) {
      if (kindOf(error) !== "storage_missing" || this.#missingIn === wanted) throw error;
      // Expiry may have been faster than we. A head that misses its file twice is damaged.
      this.#missingIn = wanted;
      const sentence = "A file of the table was removed while its keys were read";
      throw fail("storage_unreachable", sentence, {}, error);
    }
  }

  async newer(storage: Storage, keys: KeySet): Promise<Uint32Array> {
    const [head, metadata, order] = [this.#head, this.#metadata, this.#order];
    assert(this.#label !== null && head !== null && metadata !== null, "it was brought to a head");
    assert(order !== null, "changes have orders");
    const source = this.#sourceOf({ metadata, storage });
    return await newerKeys(keys, [...head.data.values()], {
      locate: (some) => this.locate(some),
      read: (file) => readLiveKeys(source, file, deletesOf(head.index, file), order),
    });
  }

  async values(storage: Storage, keys: KeySet, columns: readonly Field[]): Promise<StandingValues> {
    const [head, metadata] = [this.#head, this.#metadata];
    assert(this.#label !== null && head !== null && metadata !== null, "it was brought to a head");
    const locate = (some: KeySet): FoundPlaces => this.#store.locate(some);
    const fileOf = (number: number): LiveData => this.#fileOf(head, number);
    return await standingValues({ storage, metadata, locate, fileOf }, keys, columns);
  }

  async rowIds(storage: Storage, keys: KeySet): Promise<Float64Array> {
    const head = this.#head;
    assert(this.#label !== null && head !== null, "it was brought to a head");
    const locate = (some: KeySet): FoundPlaces => this.#store.locate(some);
    const fileOf = (number: number): LiveData => this.#fileOf(head, number);
    const positionDeletes = new PositionDeletes(storage);
    const hiddenIn = (file: LiveData): Promise<RowSet> =>
      hiddenRows({ positionDeletes }, file, deletesOf(head.index, file));
    const liveIn = (file: LiveData): number => rowsLeft(head, file);
    const rest = { columns: this.#rowIds, leave: this.#parts.leave };
    return await rowIdsOf({ storage, locate, fileOf, hiddenIn, liveIn, ...rest }, keys);
  }

  async locate(keys: KeySet): Promise<readonly LocatedRows[]> {
    const head = this.#head;
    assert(this.#label !== null && head !== null, "the index was brought to a head");
    const located = [...rowsByFile(this.#store.locate(keys))].map(([number, rows]): LocatedRows => {
      const file = this.#fileOf(head, number);
      return { file, deletes: deletesOf(head.index, file), rows };
    });
    return Promise.resolve(located);
  }

  #fileOf({ data }: HeadFiles, number: number): LiveData {
    const file = data.get(this.#files.pathOf(number));
    assert(file !== undefined, "a row of the index is in a live file");
    return file;
  }

  rewritten(files: readonly RewrittenFile[]): Promise<void> {
    this.#rewritten.tell(files);
    return Promise.resolve();
  }

  async apply(change: IndexChange, landed: LandedSnapshot): Promise<void> {
    const isExact = this.#label !== null && this.#label.snapshotId === change.base;
    this.#label = null;
    if (!isExact || this.#head === null || this.#metadata === null) return;
    try {
      this.#head = this.#applied(this.#head, this.#metadata, change, landed);
    } catch (error) {
      // Half of it is in the table: nothing says which head that would be.
      this.#clear();
      throw error;
    }
    await this.#exactFor(landed.snapshotId);
  }

  /** Makes the change in the table; what is listed with it. */
  #applied(
    head: HeadFiles,
    metadata: TableMetadata,
    change: IndexChange,
    { sequenceNumber, snapshotId }: LandedSnapshot,
  ): HeadFiles {
    for (const [number, rows] of rowsByFile(this.#store.remove(change.keys))) {
      this.#files.take(number, rows.length);
      this.#rowIds.leave(this.#files.pathOf(number), rows);
    }
    const data = new Map(head.data);
    for (const { file, keys, rows, rowIds } of change.placed) {
      this.#add(file.filePath, keys, rows ?? firstRows(keys.count));
      if (rowIds === null) this.#rowIds.keep(file.filePath, null);
      else if (rowIds !== undefined) this.#rowIds.keep(file.filePath, wholeColumn(rowIds));
      data.set(file.filePath, liveDataOf(file, sequenceNumber, this.#order?.id ?? null));
    }
    const deletes = new Map(head.deletes);
    for (const file of change.removedDeletes) deletes.delete(fileKey(file));
    for (const file of change.addedDeletes) {
      deletes.set(fileKey(file), { file, snapshotId, sequenceNumber });
    }
    const index = new DeleteIndex(metadata, [...deletes.values()]);
    return { ...head, snapshotId, data, deletes, index };
  }

  close(): Promise<void> {
    this.#rewritten.clear();
    for (const path of this.#files.paths) this.#rowIds.forget(path);
    return this.#store.close();
  }

  async #exactFor(snapshotId: SnapshotId | null): Promise<void> {
    this.#label = { snapshotId };
    await this.#store.commit({ identity: this.#identity, snapshotId });
  }

  /** Takes what the store had, when it is of this table and its snapshot can still be listed. */
  async #restore(table: LoadedTable): Promise<void> {
    const restored = this.#restored;
    if (restored === null) return;
    const { identity, snapshotId } = restored.label;
    const { snapshots } = table.metadata;
    const isThere = snapshotId === null || snapshots.some((each) => each.snapshotId === snapshotId);
    const head =
      isThere && identity === this.#identity ? await this.#listed(table, snapshotId) : null;
    this.#restored = null;
    if (head === null) {
      this.#clear();
      return;
    }
    this.#head = head;
    this.#files.restore(restored);
  }

  /** The columns that the index knows, as a table has them. */
  #keyOf({ schemas, currentSchemaId }: TableMetadata): IndexKey {
    const fields = schemas.find(({ schemaId }) => schemaId === currentSchemaId)?.fields ?? [];
    const ids = this.#parts.keyColumns.map((name) => {
      const id = fields.find((field) => field.name === name)?.id;
      if (id !== undefined) return id;
      throw fail("table_schema", `The table has no key column ${name}`, { column: name });
    });
    const hasher = new KeyHasher(keyFieldsOf(fields, ids), this.#parts.secret);
    const { orderColumn = null } = this.#parts;
    return { hasher, order: orderColumn === null ? null : orderFieldOf(fields, orderColumn) };
  }

  /** Forgets everything that is of another table, or of another key or order. */
  #sourceOf({ metadata, storage }: Pick<LoadedTable, "metadata" | "storage">): KeySource {
    const { hasher, order } = this.#keyOf(metadata);
    // The bounds that were kept are another column's.
    if (this.#order?.id !== order?.id) this.#head = null;
    this.#order = order;
    const promoted = (kind: string): string => (kind === "int" ? "long" : kind);
    const kinds = hasher.fields.map(({ id, type }) => `${id} ${promoted(type.kind)}`);
    const { secret, leave } = this.#parts;
    const identity = `${metadata.tableUuid}: ${kinds.join(", ")}; secret ${secretCheck(secret)}`;
    if (this.#identity !== "" && identity !== this.#identity) this.#clear();
    this.#identity = identity;
    const positionDeletes = new PositionDeletes(storage);
    const equalityDeletes = new EqualityDeletes({ storage, metadata }, secret);
    return { storage, metadata, hasher, positionDeletes, equalityDeletes, leave };
  }

  /** The files of a snapshot; null: some of what lists them is gone. */
  async #listed(table: LoadedTable, snapshotId: SnapshotId | null): Promise<HeadFiles | null> {
    try {
      return await readHeadFiles(table, snapshotId, null, this.#order?.id);
    } catch (error) {
      if (kindOf(error) === "storage_missing") return null;
      throw error;
    }
  }

  #clear(): void {
    this.#store.clear();
    for (const path of this.#files.paths) this.#rowIds.forget(path);
    this.#files.clear();
    this.#torn.clear();
    this.#head = null;
    this.#label = null;
  }

  /** Makes the table what the head's files say. */
  async #compare(source: KeySource, head: HeadFiles): Promise<void> {
    const indexed = { paths: this.#files.paths, head: this.#head, torn: this.#torn };
    const difference = headDifference(source.metadata, indexed, head);
    const { gone, fresh, changed } = difference;
    const outputs = this.#rewritten.take(head, difference, indexed);
    this.#files.drop(this.#torn);
    const anew = [...gone, ...fresh.map((file) => file.path)];
    for (const path of [...anew, ...changed.map(({ file }) => file.path)]) this.#torn.add(path);
    const moved = await this.#move(source, head, outputs);
    this.#drop(anew.filter((path) => !moved.has(path)).map((path) => [path, null]));
    for (const path of gone) {
      this.#files.forget(path);
      this.#rowIds.forget(path);
    }
    const again = await this.#hide(source, changed);
    this.#drop(again.map((file) => [file.path, null]));
    const unread = [...fresh.filter(({ path }) => !moved.has(path)), ...again];
    this.#store.reserve(unread.reduce((sum, file) => sum + rowsLeft(head, file), 0));
    for (const file of unread) {
      const deletes = deletesOf(head.index, file);
      for await (const { keys, rows } of readLiveKeys(source, file, deletes)) {
        this.#add(file.path, keys, rows);
      }
    }
  }

  /** Moves rows into the files that were made of theirs; answers the files of which all rows that live are known then. */
  async #move(
    source: KeySource,
    head: HeadFiles,
    outputs: readonly MovedOutput[],
  ): Promise<ReadonlySet<string>> {
    const moves: OutputMove[] = [];
    for (const output of outputs) {
      const { file, inputs } = output;
      const deletes = deletesOf(head.index, file);
      if (deletes.equality.length > 0) continue;
      const hidden = await hiddenRows(source, file, deletes);
      const into = this.#files.named(file.path).number;
      moves.push({ output, into, hidden, from: this.#files.numbered(inputs) });
    }
    const counts = moves.length === 0 ? [] : this.#store.move(moves);
    const whole = new Set<string>();
    for (const [n, { output, hidden, from }] of moves.entries()) {
      const { path, rows } = output.file;
      const moved = counts[n] ?? 0;
      this.#files.empty(from.keys());
      this.#files.named(path).rows = moved;
      // Rows that live again, as after a rollback, are not in the table: then it has fewer than live.
      if (moved !== rows - hidden.size) continue;
      whole.add(path);
      this.#rowIds.keep(path, movedIds(this.#rowIds, output, hidden));
    }
    return whole;
  }

  /** Removes the rows that deletes hide; answers the files that must be read again. */
  async #hide(source: KeySource, changed: readonly ChangedFile[]): Promise<LiveData[]> {
    const again: LiveData[] = [];
    const hidden = new Map<LiveData, RowSet>();
    for (const { file, hides } of changed) {
      if (hides.equality.length > 0 || this.#files.get(file.path) === undefined) again.push(file);
      else hidden.set(file, await hiddenRows(source, file, hides));
    }
    this.#drop([...hidden].map(([file, rows]) => [file.path, rows]));
    for (const { file, isGrown } of changed) {
      const rows = hidden.get(file);
      if (rows === undefined || isGrown) continue;
      // Rows that live again are not in the table: then it has fewer than live.
      if (this.#files.get(file.path)?.rows !== file.rows - rows.size) again.push(file);
    }
    return again;
  }

  /** Removes rows of files by their paths; null: all rows. */
  #drop(paths: readonly (readonly [path: string, rows: RowSet | null])[]): void {
    const drops = new Map<number, RowSet | null>();
    for (const [path, rows] of paths) {
      const file = this.#files.get(path);
      if (file !== undefined && file.rows > 0) drops.set(file.number, rows);
    }
    if (drops.size === 0) return;
    for (const [number, count] of this.#store.drop(drops)) this.#files.take(number, count);
  }

  #add(path: string, keys: KeySet, rows: Uint32Array): void {
    const file = this.#files.named(path);
    this.#store.add(keys, file.number, rows);
    file.rows += rows.length;
  }
}

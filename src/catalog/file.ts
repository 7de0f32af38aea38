/**
 * The file catalog: Iceberg's Hadoop layout, on any storage with an atomic "create unless taken"
 * (SPEC 2.12).
 *
 * ```text
 * <warehouse>/<namespace>/<table>/metadata/v1.metadata.json, v2.metadata.json, ...
 *                                         /version-hint.text     a number: some recent version
 * ```
 *
 * The head is the highest version. A commit creates version head + 1; of several writers one wins.
 * Versions are removed from the lowest up, one at a time, and only when at least 100 versions old, and
 * an hour or beyond `LIMITS.metadataBytesMax` (decision 0202). From that follows how the head is found without listing: a version whose successor
 * is missing and whose predecessor is there is the highest. (A writer that stood still for more
 * than an hour may create a version that had been removed; its predecessor had been removed before
 * it.) Whenever that does not hold, the folder is listed. The hint is only where the search begins.
 *
 * Beside another engine's Hadoop catalog on a store without atomic rename this is not safe; `check`
 * says so.
 */

import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { describe, kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { Logger } from "#base/log.ts";
import { utf8Text } from "#base/text.ts";
import {
  encodeMetadataFile,
  loadMetadataFile,
  type ReadMetadata,
} from "#iceberg/io/metadataFile.ts";
import type { TableMetadata, TableRequirement, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { deletesAfterCommit, metadataVersionsMax } from "#iceberg/metadata/properties.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import type { Storage } from "#storage/storage.ts";
import type { Catalog, CommitOutcome, CreateTable, LoadedTable, TableName } from "./catalog.ts";
import { checkNamespace, fullName, tableLocation } from "./names.ts";
import { notSent } from "./outcomes.ts";

/** Metadata files younger than this stay while there is room, ms. */
const KEEP_MS = 3_600_000;

/** Versions above the hint that are probed one by one before the folder is listed. */
const CLIMB_MAX = 16;

/** Old versions are removed in every n-th version, so that most commits need not look. */
const CLEAN_EVERY = 16;

/** Old versions looked at in one clean-up. */
const CLEAN_MAX = 64;

/** Settings of the file catalog. */
export interface FileCatalogOptions {
  /** `/abs/path`, `file:///abs/path` or `s3://bucket/prefix`. */
  readonly warehouse: string;
  /** True: nothing is ever written, not even a repaired hint. */
  readonly readOnly: boolean;
}

/** What the file catalog is built from. */
export interface FileCatalogParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Logger;
  /** Throws unless what commits rest on holds in the store; asked before the first. Default: it holds. */
  readonly verify?: () => Promise<void>;
}

/** A version of a table's metadata. */
interface Version {
  readonly number: number;
  readonly location: string;
}

/** What this process has seen of a table: bounds to search from, never an answer. */
interface Seen {
  highest: number;
  /** The lowest version that may still exist; null before the folder was listed for it. */
  lowest: number | null;
  /** The hint was compared with the head. */
  hintChecked: boolean;
  /** The head as it was read last. */
  read: ReadMetadata | null;
}

/** Opens a file catalog. Its commits never throw for the storage's errors: see {@link Catalog}. */
export function createFileCatalog(options: FileCatalogOptions, parts: FileCatalogParts): Catalog {
  return new FileCatalog(options, parts);
}

class FileCatalog implements Catalog {
  readonly traits = {
    type: "file",
    showsAncestors: true,
    endsLateRequests: "all",
    removesSchemas: true,
  } as const;
  private readonly options: FileCatalogOptions;
  private readonly parts: FileCatalogParts;
  private readonly seen = new Map<string, Seen>();

  constructor(options: FileCatalogOptions, parts: FileCatalogParts) {
    this.options = options;
    this.parts = parts;
  }

  async open(): Promise<void> {
    const { warehouse, readOnly } = this.options;
    const { storage, verify } = this.parts;
    await storage.head(`${warehouse.replace(/\/+$/, "")}/version-hint.text`);
    if (!readOnly) await verify?.();
  }

  async close(): Promise<void> {
    this.seen.clear();
  }

  async locationOf(name: TableName): Promise<string> {
    return this.location(name);
  }

  async load(name: TableName): Promise<LoadedTable | null> {
    return (await this.head(name))?.table ?? null;
  }

  async create({ name, metadataAt }: CreateTable): Promise<CommitOutcome> {
    try {
      const version = await this.findHead(name);
      if (version !== null) return { kind: "conflict", cause: "the table exists already" };
    } catch (cause) {
      return notSent(cause);
    }
    return this.write(name, 1, metadataAt(this.location(name)));
  }

  async commit(
    name: TableName,
    requirements: readonly TableRequirement[],
    updates: readonly TableUpdate[],
  ): Promise<CommitOutcome> {
    let next: { number: number; metadata: TableMetadata };
    try {
      const head = await this.head(name);
      const planned = planCommit(head?.table.metadata ?? null, requirements, updates, {
        timestampMs: this.parts.clock.nowMs(),
        ...(head === null ? {} : { previousLocation: head.table.metadataLocation }),
      });
      if (planned.kind === "conflict") return { kind: "conflict", cause: planned.reason };
      next = { number: (head?.number ?? 0) + 1, metadata: planned.metadata };
    } catch (cause) {
      return notSent(cause);
    }
    return this.write(name, next.number, next.metadata);
  }

  async list(namespace: TableName["namespace"]): Promise<TableName[]> {
    checkNamespace(namespace);
    const prefix = `${[this.options.warehouse.replace(/\/+$/, ""), ...namespace].join("/")}/`;
    const tables = new Set<string>();
    for await (const object of this.parts.storage.list(prefix)) {
      const [table, folder, file, ...rest] = object.location.slice(prefix.length).split("/");
      const isVersion = folder === "metadata" && rest.length === 0 && versionOf(file) !== null;
      if (isVersion && table !== undefined) tables.add(table);
    }
    return [...tables].sort().map((table) => ({ namespace, table }));
  }

  /** A process that stood still finds its version removed: then there is a higher one. */
  private async head(name: TableName): Promise<{ number: number; table: LoadedTable } | null> {
    for (let previous = 0; ; ) {
      const version = await this.findHead(name);
      if (version === null) return null;
      const { number, location: metadataLocation } = version;
      try {
        const seen = this.seenOf(name);
        seen.read = await loadMetadataFile(this.parts.storage, metadataLocation, seen.read);
        const { metadata } = seen.read;
        return { number, table: { name, metadata, metadataLocation, storage: this.parts.storage } };
      } catch (error) {
        if (kindOf(error) !== "storage_missing" || number === previous) throw error;
        previous = number;
      }
    }
  }

  /** The highest version, read now; null when there is no table. */
  private async findHead(name: TableName): Promise<Version | null> {
    const seen = this.seenOf(name);
    const hint = seen.hintChecked ? null : await this.readHint(name);
    const start = Math.max(seen.highest, hint ?? 0);
    const version =
      (start > 0 ? await this.climb(name, start) : null) ??
      (await this.listed(name)).at(-1) ??
      null;
    seen.highest = version?.number ?? 0;
    if (!seen.hintChecked && version !== null) {
      seen.hintChecked = true;
      if (hint !== version.number && !this.options.readOnly) await this.writeHint(name, version);
    }
    return version;
  }

  /** The highest version from `start` up, when it is proven to be that; else null. */
  private async climb(name: TableName, start: number): Promise<Version | null> {
    const [below, at, above] = await Promise.all([
      this.find(name, start - 1),
      this.find(name, start),
      this.find(name, start + 1),
    ]);
    let previous = below;
    let current = at;
    let next = above;
    for (let steps = 0; current !== null && next !== null && steps < CLIMB_MAX; steps++) {
      previous = current;
      current = next;
      next = await this.find(name, current.number + 1);
    }
    return previous !== null && next === null ? current : null;
  }

  /** One version, under either of its names. */
  private async find(name: TableName, number: number): Promise<Version | null> {
    if (number < 1) return null;
    for (const suffix of ["metadata.json", "gz.metadata.json"]) {
      const location = `${this.folder(name)}/v${number}.${suffix}`;
      if ((await this.parts.storage.head(location)) !== null) return { number, location };
    }
    return null;
  }

  /** All versions, lowest first. */
  private async listed(name: TableName): Promise<Version[]> {
    const folder = `${this.folder(name)}/`;
    const versions: Version[] = [];
    for await (const { location } of this.parts.storage.list(folder)) {
      const number = versionOf(location.slice(folder.length));
      if (number !== null) versions.push({ number, location });
    }
    return versions.sort((a, b) => a.number - b.number);
  }

  /** Creates a version and finds out whether it is the table's. */
  private async write(
    name: TableName,
    number: number,
    metadata: TableMetadata,
  ): Promise<CommitOutcome> {
    assert(!this.options.readOnly, "a catalog opened for reading is not written to");
    const location = `${this.folder(name)}/v${number}.metadata.json`;
    const content = encodeMetadataFile(metadata);
    try {
      const created =
        (await this.parts.storage.putIfAbsent(location, content)) ||
        // The storage may have sent the request again after an answer that was lost.
        Buffer.from(await this.parts.storage.get(location)).equals(content);
      if (!created) return { kind: "conflict", cause: `version ${number} exists already` };
      const place = await this.placeOf(name, number);
      if (place === "alone") {
        await this.parts.storage.remove([location]);
        return { kind: "conflict", cause: "the table was dropped" };
      }
      if (place === "lost") {
        return { kind: "unknown", cause: `version ${number} is not in the table's metadata log` };
      }
    } catch (cause) {
      return { kind: "unknown", cause };
    }
    await this.afterCommit(name, { number, location }, metadata, content.length);
    const { storage } = this.parts;
    return { kind: "committed", table: { name, metadata, metadataLocation: location, storage } };
  }

  /**
   * Where a version stands that we created. `chain`: it is the highest or leads to the highest.
   * `alone`: the highest, but what it was built on is gone, which only dropping the table explains.
   * `lost`: it cannot be told, because the version had been removed before or because the newest
   * metadata log no longer reaches back to it.
   */
  private async placeOf(name: TableName, number: number): Promise<"chain" | "alone" | "lost"> {
    const [below, above] = await Promise.all([
      this.find(name, number - 1),
      this.find(name, number + 1),
    ]);
    if (below !== null && above === null) return "chain";
    const highest = (await this.listed(name)).at(-1);
    if (highest === undefined) return "lost";
    if (highest.number === number) return below !== null || number === 1 ? "chain" : "alone";
    const { metadata } = await loadMetadataFile(this.parts.storage, highest.location);
    const { metadataLog } = metadata;
    const names = metadataLog.map((entry) => versionOf(entry.metadataFile.split("/").at(-1)));
    return names.includes(number) ? "chain" : "lost";
  }

  /** Hint and clean-up: their failures are no failure of the commit. */
  private async afterCommit(
    name: TableName,
    version: Version,
    metadata: TableMetadata,
    bytes: number,
  ): Promise<void> {
    const seen = this.seenOf(name);
    seen.highest = version.number;
    seen.hintChecked = true;
    await this.writeHint(name, version);
    if (!deletesAfterCommit(metadata.properties) || version.number % CLEAN_EVERY !== 0) return;
    const keep = Math.max(metadataVersionsMax(metadata.properties), LIMITS.metadataVersionsMax);
    // Neighbouring versions are of one size, so their number says how much room they take.
    const room = Math.max(keep, Math.floor(LIMITS.metadataBytesMax / bytes));
    try {
      await this.removeOldVersions(name, seen, version.number - keep, version.number - room);
    } catch (error) {
      this.warn("Old metadata files could not be removed", name, error);
    }
  }

  /**
   * Removes versions from the lowest up, one at a time: those below `end` that are old enough, and
   * all below `room`.
   */
  private async removeOldVersions(
    name: TableName,
    seen: Seen,
    end: number,
    room: number,
  ): Promise<void> {
    seen.lowest ??= (await this.listed(name))[0]?.number ?? end;
    const oldMs = this.parts.clock.nowMs() - KEEP_MS;
    for (let looked = 0; seen.lowest < end && looked < CLEAN_MAX; looked++) {
      const version = await this.find(name, seen.lowest);
      if (version !== null) {
        const info = await this.parts.storage.head(version.location);
        if (seen.lowest >= room && info !== null && info.modifiedMs > oldMs) return;
        await this.parts.storage.remove([version.location]);
      }
      seen.lowest++;
    }
  }

  private async readHint(name: TableName): Promise<number | null> {
    try {
      const text = utf8Text(await this.parts.storage.get(this.hint(name))).trim();
      return /^\d{1,9}$/.test(text) ? Number(text) : null;
    } catch (error) {
      if (kindOf(error) === "storage_missing") return null;
      throw error;
    }
  }

  /** Storage has no overwriting, so for a moment there is no hint; readers then list the folder. */
  private async writeHint(name: TableName, version: Version): Promise<void> {
    try {
      const hint = await this.readHint(name);
      const isAhead = hint !== null && hint > version.number;
      if (isAhead && (await this.find(name, hint)) !== null) return;
      await this.parts.storage.remove([this.hint(name)]);
      await this.parts.storage.putIfAbsent(
        this.hint(name),
        new TextEncoder().encode(String(version.number)),
      );
    } catch (error) {
      this.warn("version-hint.text could not be written", name, error);
    }
  }

  private warn(message: string, name: TableName, error: unknown): void {
    this.parts.log.log("warn", message, { table: fullName(name), error: describe(error) });
  }

  private folder(name: TableName): string {
    return `${this.location(name)}/metadata`;
  }

  private location(name: TableName): string {
    return tableLocation(this.options.warehouse, name);
  }

  private hint(name: TableName): string {
    return `${this.folder(name)}/version-hint.text`;
  }

  private seenOf(name: TableName): Seen {
    const key = fullName(name);
    const none = { highest: 0, lowest: null, hintChecked: false, read: null };
    const seen = this.seen.get(key) ?? none;
    this.seen.set(key, seen);
    return seen;
  }
}

/** The number in `vN.metadata.json`, `vN.gz.metadata.json`, `vN.metadata.json.gz`; else null. */
function versionOf(file: string | undefined): number | null {
  const match = /^v(\d{1,9})(?:\.gz)?\.metadata\.json(?:\.gz)?$/.exec(file ?? "");
  return match === null ? null : Number(match[1]);
}

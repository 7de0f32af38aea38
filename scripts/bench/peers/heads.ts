/**
 * Sees an Iceberg table's commits from outside, as they appear: the head of a file catalog or of a
 * JDBC catalog in SQLite, looked at every 20 ms.
 */
import { Database } from "bun:sqlite";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where a table's head is found. */
export type HeadSource =
  /** A file catalog's table folder. */
  | { readonly folder: string }
  /** A JDBC catalog's database; the table is `namespace.name`. */
  | { readonly sqlite: string; readonly namespace: string; readonly name: string };

/** A snapshot, and when it was first seen. */
export interface Commit {
  readonly seenMs: number;
  readonly sequence: number;
  /** Rows of the table then (`total-records`). */
  readonly totalRows: number;
}

/** A table under watch. */
export interface HeadWatch {
  /** In order of appearance. */
  readonly commits: readonly Commit[];
  /** Path of the last metadata file seen, or null. */
  metadata(): string | null;
  stop(): void;
}

const POLL_MS = 20;

/** Watches until stopped; `onCommit` is called for each snapshot that has rows. */
export function watchHead(
  source: HeadSource,
  onCommit: (commit: Commit) => void = () => {},
): HeadWatch {
  const commits: Commit[] = [];
  const locate = "folder" in source ? fileHead(source.folder) : sqliteHead(source);
  let metadata: string | null = null;
  let lastSequence = 0;
  const look = (): void => {
    const now = Date.now();
    const head = locate();
    if (head === null || head === metadata) return;
    metadata = head;
    for (const snapshot of snapshotsOf(head)) {
      if (snapshot.sequence <= lastSequence) continue;
      lastSequence = snapshot.sequence;
      const commit = { seenMs: now, ...snapshot };
      commits.push(commit);
      if (commit.totalRows > 0) onCommit(commit);
    }
  };
  const timer = setInterval(look, POLL_MS);
  return {
    commits,
    metadata: () => metadata,
    stop: () => {
      clearInterval(timer);
      look();
    },
  };
}

/** The highest `v<N>.metadata.json`, climbing from the last one known. */
function fileHead(folder: string): () => string | null {
  const path = (version: number): string => join(folder, "metadata", `v${version}.metadata.json`);
  let version = 0;
  return () => {
    while (existsSync(path(version + 1))) version++;
    return version === 0 ? null : path(version);
  };
}

function sqliteHead(source: Extract<HeadSource, { sqlite: string }>): () => string | null {
  let database: Database | null = null;
  const sql =
    "SELECT metadata_location AS location FROM iceberg_tables " +
    "WHERE table_namespace = ? AND table_name = ?";
  return () => {
    if (!existsSync(source.sqlite)) return null;
    database ??= new Database(source.sqlite, { readonly: true });
    try {
      const row = database.query(sql).get(source.namespace, source.name);
      const location = (row as { location: string } | null)?.location ?? null;
      return location?.replace(/^file:(\/\/)?/, "") ?? null;
    } catch (error) {
      // A writer holds the database's lock, or has not made the catalog yet: looked at again in 20 ms.
      if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") return null;
      if (error instanceof Error && error.message.includes("no such table")) return null;
      throw error;
    }
  };
}

interface MetadataFile {
  readonly snapshots?: readonly {
    readonly "sequence-number": number;
    readonly summary: Readonly<Record<string, string>>;
  }[];
}

function snapshotsOf(file: string): Omit<Commit, "seenMs">[] {
  const { snapshots = [] } = JSON.parse(readFileSync(file, "utf8")) as MetadataFile;
  return snapshots
    .map((one) => ({
      sequence: one["sequence-number"],
      totalRows: Number(one.summary["total-records"] ?? 0),
    }))
    .sort((a, b) => a.sequence - b.sequence);
}

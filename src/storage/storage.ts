/**
 * The storage port: whole immutable objects by URI. Implementations: `local.ts`, `s3.ts`.
 *
 * A location is a URI as it stands in Iceberg metadata: `/abs/path`, `file:/abs/path`,
 * `file:///abs/path` or `s3://bucket/key`. Objects are never overwritten by `put`; `putIfAbsent`
 * is the only compare-and-set. When a write resolves, the object is durable: on local disks the
 * file and its directory entries are synced (SPEC 2.11), on S3 the store has acknowledged and
 * size and checksum were compared.
 *
 * Errors: `storage_unreachable` (5xx, timeout; already retried; after a write: whether it was done is
 * not known), `storage_refused` (401/403; a `put` whose name is taken), `storage_missing` (404 on
 * read, no such bucket), `storage_full`, `storage_corrupt` (short or altered).
 */

/** What is known of a stored object. */
export interface ObjectInfo {
  readonly location: string;
  readonly bytes: number;
  /** Last modification, ms since epoch. */
  readonly modifiedMs: number;
}

/** A finished write. */
export interface StoredObject {
  readonly location: string;
  readonly bytes: number;
}

/**
 * Streams one object, one call at a time; a chunk may be overwritten once its `write` resolves.
 * Nothing is visible under the final name before `close`.
 */
export interface ObjectWriter {
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Makes the object durable; verifies its size and, where the store knows one, its checksum.
   * @param sha256 of all bytes as they were made, lower-case hex; default: not known. A store that
   * checks it (S3, a single PUT) takes it as it is, so that it covers the way from there as well.
   */
  close(sha256?: string): Promise<StoredObject>;
  /** Gives up and removes what was written so far (multipart uploads are aborted). */
  abort(): Promise<void>;
  /** What `abortUploads` takes, once a crash would leave something behind; else null. */
  readonly uploadId: string | null;
}

/** A write that was begun and not ended: a multipart upload, a temporary file. */
export interface LeftUpload {
  /** With `uploadId` what `abortUploads` takes. */
  readonly location: string;
  readonly uploadId: string;
  /** When it was begun, or last written to, ms since epoch. */
  readonly beganMs: number;
}

/** A store of immutable objects. */
export interface Storage {
  /** Writes a new object durably. */
  put(location: string, content: Uint8Array): Promise<StoredObject>;
  /** Writes unless the name is taken. Atomic: of several writers exactly one gets `true`. */
  putIfAbsent(location: string, content: Uint8Array): Promise<boolean>;
  /** Opens a streaming write of a new object. */
  writer(location: string): Promise<ObjectWriter>;
  /** Reads a whole object. */
  get(location: string): Promise<Uint8Array>;
  /** Reads `length` bytes from `start`. */
  getRange(location: string, start: number, length: number): Promise<Uint8Array>;
  /** Size and time of an object; null when it does not exist. */
  head(location: string): Promise<ObjectInfo | null>;
  /** Removes objects; those that do not exist are no error. */
  remove(locations: readonly string[]): Promise<void>;
  /** All objects below a prefix (`.../folder/`), in no order. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  /**
   * Removes multipart uploads that a dead process left; local: temporary files. An empty `uploadId`
   * stands for every upload to that location. Those that do not exist are no error.
   */
  abortUploads(uploads: readonly { location: string; uploadId: string }[]): Promise<void>;
  /**
   * Writes below a prefix that have not ended, those under way included. Absent: the store ends what
   * was left by itself.
   */
  leftUploads?(prefix: string): AsyncIterable<LeftUpload>;
  /** Releases connections. */
  close(): Promise<void>;
}

/**
 * What a table's commits are made of: their ports and their settings.
 */
import type { Clock } from "#base/clock.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Catalog, TableName } from "#catalog/catalog.ts";
import type { RetentionPolicy } from "#iceberg/metadata/retention.ts";
import type { TransactionLog } from "#txlog/log.ts";
import type { CoordinateColumns, CoordinateReader } from "./liveRows.ts";

/** The ports of a commit. The store is the table's own: `LoadedTable.storage`. */
export interface CommitParts {
  readonly catalog: Catalog;
  readonly txlog: TransactionLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observe: Observe;
  /** Reads Kafka's coordinates of a data file. Default: they cannot be read. */
  readonly readCoordinates?: CoordinateReader;
}

/** The settings of a table's commits. */
export interface CommitOptions {
  readonly name: TableName;
  /** Default `main`. */
  readonly branch: string;
  /** Consumer group, written to every snapshot. */
  readonly group: string;
  /** `iceberg.commit.max_retries`. */
  readonly commitRetriesMax: number;
  /** Columns of the table that hold Kafka's coordinates. Default: it has none. */
  readonly coordinates?: CoordinateColumns | null;
  /**
   * Nothing is sent, or sent again, of a commit that began longer ago, ms: an orphan cleaner may have
   * taken its files (rule 10l: a third of `orphan_retention_days`). Default: without a limit.
   */
  readonly filesAgeMsMax?: number;
  /** Null: snapshots are not thinned. */
  readonly thinning: RetentionPolicy | null;
}

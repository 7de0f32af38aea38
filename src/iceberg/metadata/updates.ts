/**
 * How a commit changes table metadata: pure functions from metadata and updates to new metadata
 * (REST catalog spec, `TableUpdate` and `TableRequirement`; semantics of Java's
 * `TableMetadata.Builder`).
 *
 * An update that was right for the head it was made for may not fit the head it meets. That is a
 * conflict, not an error: each step returns the new state or the reason why this head cannot take
 * it. In particular a snapshot whose sequence number is not above the table's is stale (SPEC 2.4).
 */
import { fail } from "#base/errors.ts";
import type { Schema } from "#columns/schema.ts";
import { checkSchemaFormat } from "./formatRules.ts";
import { type JsonObject, schemaToJson, sortOrderToJson, specFieldsToJson } from "./json.ts";
import type {
  PartitionSpec,
  Snapshot,
  SnapshotId,
  SnapshotLogEntry,
  SnapshotRef,
  SortOrder,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "./metadata.ts";
import { metadataVersionsMax } from "./properties.ts";
import {
  partitionStatisticsToJson,
  statisticsToJson,
  withoutStatistics,
  withStatistics,
} from "./statistics.ts";
import { MAIN_BRANCH } from "./tableMetadataJson.ts";

/** When and on top of which file a change is made. */
export interface UpdateOptions {
  /** Now, ms since epoch. */
  readonly timestampMs: number;
  /** The metadata file that is replaced: becomes the newest entry of the metadata log. */
  readonly previousLocation?: string;
}

/** The metadata that a commit is to write, or why the head refuses it. */
export type PlannedCommit =
  | { readonly kind: "next"; readonly metadata: TableMetadata }
  | { readonly kind: "conflict"; readonly reason: string };

/** Checks requirements against the head and applies updates to it; what every catalog does. */
export function planCommit(
  head: TableMetadata | null,
  requirements: readonly TableRequirement[],
  updates: readonly TableUpdate[],
  options: UpdateOptions,
): PlannedCommit {
  const violated = checkRequirements(head, requirements);
  if (violated !== null) return { kind: "conflict", reason: violated };
  if (head === null) return { kind: "conflict", reason: "the table does not exist" };
  return tryUpdates(head, updates, options);
}

/**
 * Applies updates in order.
 * Throws `internal` when one does not fit; catalogs use {@link planCommit}.
 */
export function applyUpdates(
  metadata: TableMetadata,
  updates: readonly TableUpdate[],
  options: UpdateOptions,
): TableMetadata {
  const planned = tryUpdates(metadata, updates, options);
  if (planned.kind === "next") return planned.metadata;
  throw fail("internal", `The update does not fit the table: ${planned.reason}`);
}

/** The reason of the first requirement that the table does not meet; null when all hold. */
export function checkRequirements(
  metadata: TableMetadata | null,
  requirements: readonly TableRequirement[],
): string | null {
  for (const requirement of requirements) {
    const reason = violation(metadata, requirement);
    if (reason !== null) return reason;
  }
  return null;
}

function violation(metadata: TableMetadata | null, demand: TableRequirement): string | null {
  if (demand.type === "assert-create") {
    return metadata === null ? null : "the table exists already";
  }
  if (metadata === null) return "the table does not exist";
  switch (demand.type) {
    case "assert-table-uuid":
      return differs("table UUID", metadata.tableUuid, demand.uuid.toLowerCase());
    case "assert-ref-snapshot-id":
      return differs(
        `snapshot of ${demand.ref}`,
        metadata.refs[demand.ref]?.snapshotId ?? null,
        demand.snapshotId,
      );
    case "assert-last-assigned-field-id":
      return differs("last column id", metadata.lastColumnId, demand.id);
    case "assert-current-schema-id":
      return differs("current schema id", metadata.currentSchemaId, demand.id);
    case "assert-last-assigned-partition-id":
      return differs("last partition field id", metadata.lastPartitionId, demand.id);
    case "assert-default-spec-id":
      return differs("default partition spec id", metadata.defaultSpecId, demand.id);
    case "assert-default-sort-order-id":
      return differs("default sort order id", metadata.defaultSortOrderId, demand.id);
  }
}

function differs<T extends string | number | bigint | null>(
  what: string,
  found: T,
  wanted: T,
): string | null {
  return found === wanted ? null : `the ${what} is ${found ?? "none"}, not ${wanted ?? "none"}`;
}

/** Metadata under change, with what -1 stands for. */
interface State {
  readonly metadata: TableMetadata;
  readonly timestampMs: number;
  readonly lastAdded: {
    readonly schemaId: number | null;
    readonly specId: number | null;
    readonly orderId: number | null;
  };
}

/** The state after an update, or the reason why the table cannot take it. */
type Step = State | string;

function tryUpdates(
  metadata: TableMetadata,
  updates: readonly TableUpdate[],
  options: UpdateOptions,
): PlannedCommit {
  let state: State = {
    // Clocks of several writers differ; readers refuse metadata whose time goes back.
    metadata: {
      ...metadata,
      lastUpdatedMs: Math.max(metadata.lastUpdatedMs, options.timestampMs),
    },
    timestampMs: options.timestampMs,
    lastAdded: { schemaId: null, specId: null, orderId: null },
  };
  for (const update of updates) {
    const apply = APPLY[update.action] as (state: State, update: TableUpdate) => Step;
    const step = apply(state, update);
    if (typeof step === "string") return { kind: "conflict", reason: step };
    state = step;
  }
  return {
    kind: "next",
    metadata: withMetadataLog(metadata, state.metadata, options.previousLocation),
  };
}

/** Adds the replaced file to the metadata log and keeps the newest entries. */
function withMetadataLog(
  base: TableMetadata,
  next: TableMetadata,
  previousLocation: string | undefined,
): TableMetadata {
  if (previousLocation === undefined) return next;
  const log = [
    ...base.metadataLog,
    { metadataFile: previousLocation, timestampMs: base.lastUpdatedMs },
  ];
  return { ...next, metadataLog: log.slice(-metadataVersionsMax(next.properties)) };
}

/** One function for each action. */
const APPLY: {
  readonly [A in TableUpdate["action"]]: (
    state: State,
    update: Extract<TableUpdate, { action: A }>,
  ) => Step;
} = {
  "assign-uuid": (state, { uuid }) =>
    state.metadata.tableUuid === uuid.toLowerCase()
      ? state
      : `the table UUID is ${state.metadata.tableUuid} and never changes`,
  "upgrade-format-version": upgradeFormatVersion,
  "add-schema": (state, { schema, lastColumnId }) => addSchema(state, schema, lastColumnId),
  "set-current-schema": setCurrentSchema,
  "remove-schemas": (state, { schemaIds }) => removeSchemas(state, schemaIds),
  "add-spec": (state, { spec }) => addSpec(state, spec),
  "set-default-spec": setDefaultSpec,
  "add-sort-order": (state, { sortOrder }) => addSortOrder(state, sortOrder),
  "set-default-sort-order": setDefaultSortOrder,
  "add-snapshot": (state, { snapshot }) => addSnapshot(state, snapshot),
  "set-snapshot-ref": (state, { ref, value }) => setRef(state, ref, value),
  "remove-snapshots": (state, { snapshotIds }) => removeSnapshots(state, snapshotIds),
  "remove-snapshot-ref": (state, { ref }) => removeRef(state, ref),
  "set-statistics": (state, { file }) => setStatistics(state, "statistics", statisticsToJson(file)),
  "set-partition-statistics": (state, { file }) =>
    setStatistics(state, "partition-statistics", partitionStatisticsToJson(file)),
  "set-location": (state, { location }) => change(state, { location }),
  "set-properties": (state, { properties }) =>
    change(state, { properties: { ...state.metadata.properties, ...properties } }),
  "remove-properties": (state, { keys }) =>
    change(state, { properties: without(state.metadata.properties, keys) }),
};

function change(state: State, members: Partial<TableMetadata>): State {
  return { ...state, metadata: { ...state.metadata, ...members } };
}

function added(state: State, members: Partial<State["lastAdded"]>): State {
  return { ...state, lastAdded: { ...state.lastAdded, ...members } };
}

function without<T>(map: Readonly<Record<string, T>>, keys: readonly string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
}

function upgradeFormatVersion(state: State, { formatVersion }: { formatVersion: 2 | 3 }): Step {
  const now = state.metadata.formatVersion;
  if (formatVersion < now) return `the format version is ${now} already`;
  return change(state, {
    formatVersion,
    nextRowId: formatVersion === 3 ? (state.metadata.nextRowId ?? 0n) : null,
  });
}

function addSchema(state: State, schema: Schema, lastColumnId: number): Step {
  const { metadata } = state;
  checkSchemaFormat(schema, metadata.formatVersion);
  if (lastColumnId < metadata.lastColumnId) {
    return `the last column id is ${metadata.lastColumnId} already, above ${lastColumnId}`;
  }
  const text = schemaText(schema);
  const same = metadata.schemas.find((known) => schemaText(known) === text);
  if (same !== undefined) return added(state, { schemaId: same.schemaId });
  const schemaId = 1 + Math.max(-1, ...metadata.schemas.map((known) => known.schemaId));
  const next = change(state, {
    lastColumnId,
    schemas: [...metadata.schemas, { ...schema, schemaId }],
  });
  return added(next, { schemaId });
}

/** Everything of a schema but its id. */
function schemaText(schema: Schema): string {
  return JSON.stringify(schemaToJson({ ...schema, schemaId: 0 }), bigintText);
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

function setCurrentSchema(state: State, { schemaId }: { schemaId: number }): Step {
  const id = schemaId === -1 ? state.lastAdded.schemaId : schemaId;
  const known = state.metadata.schemas.some((schema) => schema.schemaId === id);
  return id !== null && known
    ? change(state, { currentSchemaId: id })
    : `there is no schema ${schemaId}`;
}

/** Removes schemas; those that are gone already are no conflict, the current one is. */
function removeSchemas(state: State, schemaIds: readonly number[]): Step {
  const { schemas, currentSchemaId } = state.metadata;
  if (schemaIds.includes(currentSchemaId)) return `schema ${currentSchemaId} is the current one`;
  return change(state, {
    schemas: schemas.filter(({ schemaId }) => !schemaIds.includes(schemaId)),
  });
}

function addSpec(state: State, spec: PartitionSpec): Step {
  const { metadata } = state;
  const text = JSON.stringify(specFieldsToJson(spec));
  const same = metadata.partitionSpecs.find((s) => JSON.stringify(specFieldsToJson(s)) === text);
  if (same !== undefined) return added(state, { specId: same.specId });
  const specId = 1 + Math.max(-1, ...metadata.partitionSpecs.map((known) => known.specId));
  const next = change(state, {
    partitionSpecs: [...metadata.partitionSpecs, { ...spec, specId }],
    lastPartitionId: Math.max(metadata.lastPartitionId, ...spec.fields.map((f) => f.fieldId)),
  });
  return added(next, { specId });
}

function setDefaultSpec(state: State, { specId }: { specId: number }): Step {
  const id = specId === -1 ? state.lastAdded.specId : specId;
  const known = state.metadata.partitionSpecs.some((spec) => spec.specId === id);
  return id !== null && known
    ? change(state, { defaultSpecId: id })
    : `there is no partition spec ${specId}`;
}

function addSortOrder(state: State, sortOrder: SortOrder): Step {
  const { metadata } = state;
  const textOf = (order: SortOrder): string => JSON.stringify(sortOrderToJson(order)["fields"]);
  const text = textOf(sortOrder);
  const same = metadata.sortOrders.find((known) => textOf(known) === text);
  if (same !== undefined) return added(state, { orderId: same.orderId });
  const unsorted = sortOrder.fields.length === 0;
  const orderId = unsorted ? 0 : 1 + Math.max(0, ...metadata.sortOrders.map((o) => o.orderId));
  const next = change(state, { sortOrders: [...metadata.sortOrders, { ...sortOrder, orderId }] });
  return added(next, { orderId });
}

function setDefaultSortOrder(state: State, { sortOrderId }: { sortOrderId: number }): Step {
  const id = sortOrderId === -1 ? state.lastAdded.orderId : sortOrderId;
  const known = state.metadata.sortOrders.some((order) => order.orderId === id);
  return id !== null && known
    ? change(state, { defaultSortOrderId: id })
    : `there is no sort order ${sortOrderId}`;
}

function addSnapshot(state: State, snapshot: Snapshot): Step {
  const { metadata } = state;
  if (metadata.snapshots.some((known) => known.snapshotId === snapshot.snapshotId)) {
    return `snapshot ${snapshot.snapshotId} exists already`;
  }
  if (snapshot.sequenceNumber <= metadata.lastSequenceNumber) {
    return `sequence number ${snapshot.sequenceNumber} is stale, the table's last is ${metadata.lastSequenceNumber}`;
  }
  if (metadata.nextRowId !== null && snapshot.firstRowId !== metadata.nextRowId) {
    return `first row id ${snapshot.firstRowId} is stale, the table's next is ${metadata.nextRowId}`;
  }
  return change(state, {
    snapshots: [...metadata.snapshots, snapshot],
    lastSequenceNumber: snapshot.sequenceNumber,
    lastUpdatedMs: Math.max(metadata.lastUpdatedMs, snapshot.timestampMs),
    nextRowId: metadata.nextRowId === null ? null : metadata.nextRowId + (snapshot.addedRows ?? 0n),
  });
}

function setRef(state: State, name: string, value: SnapshotRef): Step {
  const { metadata } = state;
  const snapshot = metadata.snapshots.find((known) => known.snapshotId === value.snapshotId);
  if (snapshot === undefined) return `there is no snapshot ${value.snapshotId} for ${name}`;
  const old = metadata.refs[name];
  if (old !== undefined && old.type !== value.type) return `${name} is a ${old.type}`;
  const next = change(state, { refs: { ...metadata.refs, [name]: value } });
  if (name !== MAIN_BRANCH || old?.snapshotId === value.snapshotId) return next;
  return change(next, {
    currentSnapshotId: value.snapshotId,
    snapshotLog: [...metadata.snapshotLog, logEntry(state, snapshot)],
  });
}

/** The log's times never go back; a snapshot made current again gets the time of doing so. */
function logEntry(state: State, snapshot: Snapshot): SnapshotLogEntry {
  const { snapshotLog } = state.metadata;
  const again = snapshotLog.some((entry) => entry.snapshotId === snapshot.snapshotId);
  const timestampMs = again ? state.timestampMs : snapshot.timestampMs;
  return {
    snapshotId: snapshot.snapshotId,
    timestampMs: Math.max(timestampMs, snapshotLog.at(-1)?.timestampMs ?? 0),
  };
}

function removeRef(state: State, name: string): Step {
  const refs = without(state.metadata.refs, [name]);
  if (name !== MAIN_BRANCH) return change(state, { refs });
  return change(state, { refs, currentSnapshotId: null, snapshotLog: [] });
}

/** Removes snapshots; those that are gone already are no conflict, heads of refs are. */
function removeSnapshots(state: State, snapshotIds: readonly SnapshotId[]): Step {
  const { metadata } = state;
  const gone = new Set(snapshotIds);
  for (const [name, ref] of Object.entries(metadata.refs)) {
    if (gone.has(ref.snapshotId)) return `snapshot ${ref.snapshotId} is the head of ${name}`;
  }
  // All entries before a removed snapshot go too: a log with holes would name wrong snapshots.
  const lastGone = metadata.snapshotLog.findLastIndex((entry) => gone.has(entry.snapshotId));
  return change(state, {
    snapshots: metadata.snapshots.filter((snapshot) => !gone.has(snapshot.snapshotId)),
    snapshotLog: metadata.snapshotLog.slice(lastGone + 1),
    unknown: withoutStatistics(metadata.unknown, gone),
  });
}

function setStatistics(
  state: State,
  key: "statistics" | "partition-statistics",
  file: JsonObject,
): Step {
  const { metadata } = state;
  const id = file["snapshot-id"];
  if (!metadata.snapshots.some(({ snapshotId }) => snapshotId === id)) {
    return `there is no snapshot ${String(id)} for statistics`;
  }
  return change(state, { unknown: withStatistics(metadata.unknown, key, file) });
}

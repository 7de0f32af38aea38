/**
 * The text forms of the document of committed offsets (SPEC 2.1). Pure.
 *
 * *Full*: `{"v":1,"branch","sources":{"<cluster>/<topic>":{"id","p":{"0":123},"n":{..},"e":{..},"t":{..},"o":{..}}}}`.
 * `p`: next offsets; `n`: rows that the table was given below them; `e`: leader epochs; `t`: ends of
 * rows that may lie past an offset; `o`: partitions by their owner. A release that does not know the
 * last four ignores them.
 *
 * *Delta*: `{"v":2,"branch","depth":3,"moved":{"<cluster>/<topic>":{"p":[0,25,7,3],"n":[7,2],"e":[0,5]}}}`
 * says what a commit added to the snapshot that the summary names as its base: pairs of partition and
 * advance; of partition and rows, where those are not as many as the advance; of partition and new
 * leader epoch. Version 2, so that a release which knows full documents only refuses it.
 */
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import type { Snapshot, SnapshotId } from "#iceberg/metadata/metadata.ts";
import {
  badDocument,
  deltaBetween,
  type MovedSource,
  type ProgressDelta,
  type ProgressDocument,
  type SourceProgress,
  SUMMARY,
} from "./progressDocument.ts";

/** Version of a full document. */
const FULL_VERSION = 1;

/** Version of a delta; a higher one is of a newer release. */
const DELTA_VERSION = 2;

/** What a snapshot's summary says about offsets: full, or what it adds to another snapshot's. */
export type SummaryDocument =
  | { readonly kind: "full"; readonly document: ProgressDocument }
  | { readonly kind: "delta"; readonly base: SnapshotId; readonly delta: ProgressDelta };

/**
 * Reads the offsets of a snapshot of ours; null for another's.
 * @throws AppError `progress` when it is damaged or of a newer release
 */
export function summaryDocument({ snapshotId, summary }: Snapshot): SummaryDocument | null {
  const text = summary[SUMMARY.offsets];
  if (text === undefined) return null;
  const base = summary[SUMMARY.base];
  if (base === undefined) {
    return { kind: "full", document: { ...parseDocument(text), base: { snapshotId, depth: 0 } } };
  }
  if (!/^\d+$/.test(base)) throw badDocument(`adds to the snapshot "${base}"`);
  return { kind: "delta", base: BigInt(base), delta: parseDelta(text) };
}

/** Members of a summary that hold `next`, a change of `before`. */
export function summaryMembers(
  before: ProgressDocument,
  next: ProgressDocument,
): Record<string, string> {
  const full = writeDocument(next);
  const delta = full.length > LIMITS.fullOffsetsBytes ? deltaBetween(before, next) : null;
  if (before.base === null || delta === null) return { [SUMMARY.offsets]: full };
  const text = writeDelta(delta);
  if (text.length >= full.length) return { [SUMMARY.offsets]: full };
  return { [SUMMARY.offsets]: text, [SUMMARY.base]: String(before.base.snapshotId) };
}

/** Parses a full document. Unknown members are ignored; a higher version is refused. */
export function parseDocument(text: string): ProgressDocument {
  const root = parseRoot(text, FULL_VERSION);
  const sources = new Map<string, SourceProgress>();
  for (const [key, value] of Object.entries(isObject(root["sources"]) ? root["sources"] : {})) {
    sources.set(key, parseSource(key, value));
  }
  return { branch: String(root["branch"] ?? "main"), sources, base: null };
}

function parseDelta(text: string): ProgressDelta {
  const root = parseRoot(text, DELTA_VERSION);
  const { depth, moved } = root;
  if (typeof depth !== "number" || !isObject(moved)) throw badDocument("is not a delta");
  const sources = Object.entries(moved).map(([key, value]): [string, MovedSource] => {
    if (!isObject(value)) throw badDocument(`has a bad source ${key}`);
    const leaderEpochs = parsePairs(key, value["e"]);
    return [
      key,
      {
        advances: parsePairs(key, value["p"]),
        rows: parsePairs(key, value["n"]),
        leaderEpochs: new Map([...leaderEpochs].map(([at, epoch]) => [at, Number(epoch)])),
      },
    ];
  });
  return { branch: String(root["branch"] ?? "main"), depth, moved: new Map(sources) };
}

function parseRoot(text: string, versionMax: number): { [key: string]: Json } {
  const root = parseJson(text);
  if (!isObject(root)) throw badDocument("is not an object");
  const version = root["v"];
  if (typeof version !== "number") throw badDocument("has no version");
  if (version > versionMax) {
    throw badDocument(`has version ${version}; this release reads up to ${versionMax}: upgrade it`);
  }
  return root;
}

function parseSource(key: string, value: Json): SourceProgress {
  if (!isObject(value) || !isObject(value["p"])) throw badDocument(`has a bad source ${key}`);
  const leaderEpochs = parseNumbers(key, value["e"]);
  return {
    topicId: String(value["id"] ?? ""),
    offsets: parseNumbers(key, value["p"]),
    rows: parseNumbers(key, value["n"]),
    leaderEpochs: new Map([...leaderEpochs].map(([at, epoch]) => [at, Number(epoch)])),
    tails: parseNumbers(key, value["t"]),
    owners: parseOwners(value["o"]),
  };
}

/** `{"<token>": [0, 1, 5]}`: a start claims many partitions at once. */
function parseOwners(value: Json | undefined): Map<number, string> {
  const owners = new Map<number, string>();
  for (const [owner, partitions] of Object.entries(isObject(value) ? value : {})) {
    for (const partition of Array.isArray(partitions) ? partitions : []) {
      owners.set(Number(partition), owner);
    }
  }
  return owners;
}

function parseNumbers(key: string, value: Json | undefined): Map<number, bigint> {
  const numbers = new Map<number, bigint>();
  for (const [partition, number] of Object.entries(isObject(value) ? value : {})) {
    numbers.set(Number(partition), parseNumber(`${key}/${partition}`, number));
  }
  return numbers;
}

function parsePairs(key: string, value: Json | undefined): Map<number, bigint> {
  const flat = Array.isArray(value) ? value : [];
  const pairs = new Map<number, bigint>();
  for (let i = 0; i + 1 < flat.length; i += 2) {
    pairs.set(Number(flat[i]), parseNumber(`${key}/${String(flat[i])}`, flat[i + 1] ?? null));
  }
  return pairs;
}

function parseNumber(where: string, value: Json): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  throw badDocument(`has a bad offset for ${where}`);
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The full text form of a document (SPEC 2.1). */
export function writeDocument(document: ProgressDocument): string {
  return writeJson({ v: FULL_VERSION, branch: document.branch, sources: sourcesJson(document) });
}

/** The text form of the table property: the full document with the snapshot that it was written by. */
export function writeProperty(document: ProgressDocument, snapshot: Snapshot): string {
  return writeJson({
    v: FULL_VERSION,
    branch: document.branch,
    "snapshot-id": snapshot.snapshotId,
    "sequence-number": snapshot.sequenceNumber,
    sources: sourcesJson(document),
  });
}

/** The snapshot that a property was written by; null when it does not say. */
export function propertySnapshotId(text: string): SnapshotId | null {
  // The rest of a property of a thousand feeds need not be parsed for it.
  const id = /"snapshot-id":\s*(\d+)/.exec(text)?.[1];
  return id === undefined ? null : BigInt(id);
}

/** The sequence number of that snapshot; null when the property does not say. */
export function propertySequenceNumber(text: string): bigint | null {
  const number = /"sequence-number":\s*(\d+)/.exec(text)?.[1];
  return number === undefined ? null : BigInt(number);
}

function sourcesJson(document: ProgressDocument): Record<string, unknown> {
  const sources: Record<string, unknown> = {};
  for (const key of [...document.sources.keys()].sort()) {
    const source = document.sources.get(key);
    if (source === undefined) continue;
    sources[key] = {
      id: source.topicId,
      p: numbersJson(source.offsets) ?? {},
      n: numbersJson(source.rows),
      e: numbersJson(source.leaderEpochs),
      t: numbersJson(source.tails),
      o: ownersJson(source.owners),
    };
  }
  return sources;
}

/** Undefined without any: the member is left out. */
function numbersJson<T>(numbers: ReadonlyMap<number, T>): Record<string, T> | undefined {
  if (numbers.size === 0) return;
  return Object.fromEntries([...numbers].sort(([a], [b]) => a - b));
}

function writeDelta({ branch, depth, moved }: ProgressDelta): string {
  const sources: Record<string, unknown> = {};
  for (const [key, { advances, rows, leaderEpochs }] of moved) {
    sources[key] = { p: pairs(advances), n: pairs(rows), e: pairs(leaderEpochs) };
  }
  return writeJson({ v: DELTA_VERSION, branch, depth, moved: sources });
}

function ownersJson(owners: ReadonlyMap<number, string>): Record<string, number[]> | undefined {
  if (owners.size === 0) return;
  const partitions = [...owners.keys()].sort((a, b) => a - b);
  const byOwner = Map.groupBy(partitions, (partition) => owners.get(partition) ?? "");
  return Object.fromEntries([...byOwner].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function pairs<T>(numbers: ReadonlyMap<number, T>): unknown[] | undefined {
  return numbers.size === 0 ? undefined : [...numbers].sort(([a], [b]) => a - b).flat();
}

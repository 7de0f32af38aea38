/**
 * The law of SPEC section 2, judged from what the table's files say and from the topic, not from the
 * code under test: every visible snapshot holds each record below its committed offsets once.
 *
 * Snapshots and files never change, so each is read and judged once; that their files still exist
 * is looked at every time.
 */
import { progressProperty } from "#commit/progress.ts";
import type { ProgressDocument } from "#commit/progressDocument.ts";
import { ProgressReader } from "#commit/progressSearch.ts";
import { parseDocument, propertySnapshotId } from "#commit/progressText.ts";
import type { Snapshot, SnapshotId } from "#iceberg/metadata/metadata.ts";
import { nearestDocument } from "./evidence.ts";
import { ExpiryLaw } from "./expiryLaw.ts";
import { foreignProblems } from "./foreignRows.ts";
import { type Content, readContent } from "./lawContent.ts";
import { between, compareRows } from "./lawRows.ts";
import { COORDINATES, readCoordinates } from "./rows.ts";
import { ThinningLaw } from "./thinningLaw.ts";
import type { World } from "./world.ts";

/** Group that a person's own commits name. */
export const PERSON = "person";

/** What the ancestors of a snapshot, expired ones included, say about progress. */
export interface Truth {
  /** Null before the first own snapshot. */
  readonly topicId: string | null;
  readonly offsets: ReadonlyMap<number, bigint>;
  /** Offsets of earlier lives of the topic, whose rows stay. */
  readonly closed: readonly { readonly topicId: string; readonly offsets: Truth["offsets"] }[];
  /** A person has cherry-picked: some rows twice, or rows that fit no document. */
  readonly picked?: "doubled" | "broken";
}

const NOTHING: Truth = { topicId: null, offsets: new Map(), closed: [] };

/** The judge of one world. */
export class Law {
  readonly world: World;
  /** First positions by topic id and partition; 0 unless a test says otherwise. */
  readonly firstPositions: Map<string, bigint> = new Map();
  readonly thinning: ThinningLaw;
  readonly expiry: ExpiryLaw;
  readonly #contents = new Map<SnapshotId, Content>();
  readonly #truths = new Map<SnapshotId, Truth>();
  readonly #judged = new Set<SnapshotId>();
  /** Who owned which feeds by the commit of a snapshot: the property beside it says it in full. */
  readonly #owners = new Map<SnapshotId, string>();

  constructor(world: World) {
    this.world = world;
    this.thinning = new ThinningLaw(world);
    this.expiry = new ExpiryLaw(world);
  }

  /** Every way in which the law is broken now; empty when it holds. */
  async violations(): Promise<string[]> {
    const { metadata, storage, history, showsAncestors } = this.world;
    const broken: string[] = [];
    // Where snapshots are hidden, a person may go back to any of them.
    const visible = showsAncestors ? metadata.snapshots : [...history.values()];
    for (const snapshot of visible) {
      const head = snapshot.snapshotId === metadata.currentSnapshotId;
      const what = head ? "DANGLING: the head" : `BROKEN HISTORY: snapshot ${snapshot.snapshotId}`;
      const content = await this.content(snapshot.snapshotId).catch((error: unknown) => {
        broken.push(`${what} cannot be read: ${error}`);
        return null;
      });
      if (content === null) continue;
      const gone = [...content.paths].filter((path) => !storage.objects.has(path));
      if (gone.length > 0) broken.push(`${what} lists a file that is gone: ${gone[0]}`);
      if (this.#judged.has(snapshot.snapshotId)) continue;
      this.#judged.add(snapshot.snapshotId);
      broken.push(...content.problems, ...this.#compare(snapshot, content));
    }
    broken.push(
      ...(await this.#readings()),
      ...this.#schema(),
      ...(await this.thinning.violations()),
      ...this.expiry.violations(),
    );
    return broken;
  }

  /**
   * What a snapshot lists; read once, from the store itself. Files that are gone are read as they
   * were: thinning is judged by what the snapshots that it removed had listed.
   */
  async content(id: SnapshotId): Promise<Content> {
    const known = this.#contents.get(id);
    if (known !== undefined) return known;
    const content = await readContent(this.world, id);
    this.#contents.set(id, content);
    return content;
  }

  /** Whether the head, whose content was read before, has a row. */
  headHolds(partition: number, number: number): boolean {
    const head = this.world.metadata.currentSnapshotId;
    return (
      this.#contents
        .get(head ?? -1n)
        ?.rows.get(partition)
        ?.includes(number) === true
    );
  }

  /** What a snapshot's ancestors say. */
  truth(id: SnapshotId | null): Truth {
    if (id === null) return NOTHING;
    const known = this.#truths.get(id);
    if (known !== undefined) return known;
    const snapshot = this.world.history.get(id);
    const parent = this.truth(snapshot?.parentSnapshotId ?? null);
    const truth = snapshot === undefined ? NOTHING : this.#next(parent, snapshot);
    this.#truths.set(id, truth);
    return truth;
  }

  /** The furthest offset of each partition of a topic that any snapshot ever had. */
  everCommitted(topicId: string): Map<number, bigint> {
    const furthest = new Map<number, bigint>();
    for (const id of this.world.history.keys()) {
      const truth = this.truth(id);
      for (const each of [truth, ...truth.closed]) {
        for (const [partition, next] of each.topicId === topicId ? each.offsets : []) {
          const before = furthest.get(partition) ?? 0n;
          furthest.set(partition, next > before ? next : before);
        }
      }
    }
    return furthest;
  }

  #next(parent: Truth, snapshot: Snapshot): Truth {
    const text = snapshot.summary["kafka-iceberg.offsets"];
    if (snapshot.summary["source-snapshot-id"] !== undefined) return this.#picked(parent, snapshot);
    if (text === undefined) return parent;
    const document = JSON.parse(text);
    if (document.v === 2) return { ...parent, offsets: moved(parent.offsets, document) };
    const source = document.sources["c/t"];
    if (source === undefined) return { ...parent, topicId: null, offsets: new Map() };
    const entries = Object.entries<number>(source.p);
    const offsets = new Map(entries.map(([partition, next]) => [Number(partition), BigInt(next)]));
    for (const [partition, next] of offsets) {
      const key = `${source.id}/${partition}`;
      if (!this.firstPositions.has(key)) this.firstPositions.set(key, next);
    }
    if (parent.topicId === null || parent.topicId === source.id) {
      return { ...parent, topicId: source.id, offsets };
    }
    const ended = { topicId: parent.topicId, offsets: parent.offsets };
    return { ...parent, topicId: source.id, offsets, closed: [...parent.closed, ended] };
  }

  /** After a cherry-pick the rows decide which document is right, if any. */
  #picked(parent: Truth, { snapshotId, summary }: Snapshot): Truth {
    const source = BigInt(summary["source-snapshot-id"] ?? 0);
    const others = [...this.#truths.values()].reverse();
    const fits = [parent, this.truth(source), ...others].find((truth) =>
      this.fits(truth, snapshotId),
    );
    if (fits === undefined) return { ...parent, picked: "broken" };
    const rows = [...(this.#contents.get(snapshotId)?.rows.values() ?? [])];
    const isDoubled = rows.some((numbers) => new Set(numbers).size !== numbers.length);
    return { ...fits, picked: isDoubled ? "doubled" : (fits.picked ?? "doubled") };
  }

  /** True when a snapshot, which was read before, has the rows of a truth and no others. */
  fits(truth: Truth, id: SnapshotId): boolean {
    const rows = this.#contents.get(id)?.rows ?? new Map<number, readonly number[]>();
    const wanted = this.#wanted(truth);
    const allowed = this.#wanted(truth, "mayHold");
    return [...new Set([...wanted.keys(), ...rows.keys()])].every((partition) => {
      const [due, seen] = [new Set(wanted.get(partition)), new Set(rows.get(partition))];
      return due.isSubsetOf(seen) && seen.isSubsetOf(new Set(allowed.get(partition)));
    });
  }

  #compare(snapshot: Snapshot, content: Content): string[] {
    const where = `snapshot ${snapshot.snapshotId}`;
    const truth = this.truth(snapshot.snapshotId);
    const before = this.truth(snapshot.parentSnapshotId);
    const broken: string[] = [];
    const byPerson = snapshot.summary["kafka-iceberg.group"] === PERSON;
    const isPicked = snapshot.summary["source-snapshot-id"] !== undefined;
    if (before.topicId !== null && before.topicId !== truth.topicId && !byPerson && !isPicked) {
      broken.push(`TOPIC: ${where} takes another topic id, and no person said so`);
    }
    const base = snapshot.summary["kafka-iceberg.base"];
    if (base !== undefined && base !== String(this.#nearestOwn(snapshot.parentSnapshotId))) {
      broken.push(`BASE: ${where} adds to ${base}, which is not the nearest of ours`);
    }
    const isOurs = snapshot.summary["kafka-iceberg.offsets"] !== undefined;
    if (before.picked === "broken" && isOurs && !byPerson) {
      broken.push(`BLIND: ${where} goes on from rows that fit no document`);
    }
    const foreign = foreignProblems(this.world, snapshot.snapshotId, content.foreignPlaces);
    broken.push(...foreign.map((verdict) => `${verdict} in ${where}, a row of another engine`));
    if (truth.picked === "broken") return broken;
    return [...broken, ...this.#compareContent(where, truth, content)];
  }

  #compareContent(where: string, truth: Truth, content: Content): string[] {
    const broken: string[] = [];
    const wanted = this.#wanted(truth);
    const allowed = this.#wanted(truth, "mayHold");
    for (const partition of new Set([...wanted.keys(), ...content.rows.keys()])) {
      const seen = content.rows.get(partition) ?? [];
      const verdicts = compareRows(wanted.get(partition) ?? [], allowed.get(partition) ?? [], seen);
      for (const verdict of verdicts) {
        if (verdict === "DOUBLED" && truth.picked !== undefined) continue;
        broken.push(`${verdict} in ${where}, p${partition}`);
      }
    }
    return broken;
  }

  /** The nearest snapshot with offsets, from here to the root; null when there is none. */
  #nearestOwn(id: SnapshotId | null): SnapshotId | null {
    const snapshot = this.world.history.get(id ?? 0n);
    if (snapshot === undefined) return null;
    const isOwn = snapshot.summary["kafka-iceberg.offsets"] !== undefined;
    return isOwn ? snapshot.snapshotId : this.#nearestOwn(snapshot.parentSnapshotId);
  }

  /** Row numbers by partition that a snapshot with this truth holds, or may hold. */
  #wanted(truth: Truth, what: "isDue" | "mayHold" = "isDue"): Map<number, number[]> {
    const wanted = new Map<number, number[]>();
    for (const { topicId, offsets } of [...truth.closed, truth]) {
      const topic = this.world.topics.find((each) => each.id === topicId);
      if (topic === undefined) continue;
      for (const [partition, end] of offsets) {
        const position = this.firstPositions.get(`${topicId}/${partition}`) ?? 0n;
        const first = what === "mayHold" && this.world.mayHoldBelow ? 0n : position;
        const numbers = between(this.world, topic, partition, first, end, what);
        wanted.set(partition, [...(wanted.get(partition) ?? []), ...numbers]);
      }
    }
    return wanted;
  }

  /** Rule 2: what the writer reads from the head is what the head's rows say. */
  async #readings(): Promise<string[]> {
    const { columns, read } = { columns: COORDINATES, read: readCoordinates };
    const head = this.world.loaded();
    const progress = await new ProgressReader(
      "main",
      { columns, read },
      this.world.showsAncestors,
    ).read(head);
    this.#noteOwners();
    const verdict = this.readable();
    if (progress.kind === "unreadable") {
      return verdict === "yes" ? [`READING: the head is not read: ${progress.reason}`] : [];
    }
    const id = this.world.metadata.currentSnapshotId;
    const truth = this.truth(id);
    if (verdict === "no") return ["READING: the head is read, although its rows fit no document"];
    const owners = this.#owners.get(progress.decidedBy?.snapshotId ?? -1n);
    if (owners !== undefined && owners !== ownersText(progress.document)) {
      return [
        `READING: the head's owners are read as ${ownersText(progress.document)}, not ${owners}`,
      ];
    }
    const source = progress.document.sources.get("c/t");
    const told = {
      ...truth,
      topicId: source?.topicId ?? null,
      offsets: source?.offsets ?? new Map(),
    };
    const text = (offsets: Truth["offsets"]): string =>
      [...offsets].sort(([a], [b]) => a - b).join(" ");
    const [seen, right] = [text(told.offsets), text(truth.offsets)];
    const same = told.topicId === truth.topicId && seen === right;
    // Without a visible document, one that differs by offsets without records is as good.
    const isSeen = typeof nearestDocument(this.world) === "bigint" && truth.picked === undefined;
    const asGood = !isSeen && id !== null && this.fits(told, id);
    return same || asGood
      ? []
      : [`READING: the head's offsets are read as ${seen}, they are ${right}`];
  }

  #noteOwners(): void {
    const text = this.world.metadata.properties[progressProperty("main")];
    const id = text === undefined ? null : propertySnapshotId(text);
    if (text !== undefined && id !== null) this.#owners.set(id, ownersText(parseDocument(text)));
  }

  /** Whether rule 2 must find offsets, by the words of the SPEC; "maybe" where a count is missing. */
  readable(): "yes" | "no" | "maybe" {
    const { metadata } = this.world;
    const id = metadata.currentSnapshotId;
    const property = metadata.properties[progressProperty("main")];
    // Replaced in place by nothing, where the property tells that there was something.
    if (id === null) return property === undefined ? "yes" : "no";
    if (!this.#contents.has(id)) return "maybe";
    if (!this.world.showsAncestors) return this.#isRightBefore(id) ? "yes" : "maybe";
    if (this.truth(id).picked === "broken") return "no";
    const ancestor = nearestDocument(this.world);
    if (ancestor === "none") return "yes";
    if (ancestor !== "unknown" && this.fits(this.truth(ancestor), id)) return "yes";
    const written = /"snapshot-id":\s*(\d+)/.exec(property ?? "")?.[1];
    const isCounted = this.world.topics.length === 1 && !this.world.personDecided;
    return isCounted && this.#isProven(written, id) ? "yes" : "maybe";
  }

  #isProven(written: string | undefined, id: SnapshotId): boolean {
    return written !== undefined && this.fits(this.truth(BigInt(written)), id);
  }

  /** Where only heads can be seen: whether the property was written before this one, or by it. */
  #isRightBefore(id: SnapshotId): boolean {
    const property = this.world.metadata.properties["kafka-iceberg.progress.main"];
    const head = this.world.history.get(id);
    if (property === undefined || head?.summary["kafka-iceberg.base"] !== undefined) return false;
    const number = BigInt(/"sequence-number":\s*(\d+)/.exec(property)?.[1] ?? 0);
    const isOurs = head?.summary["kafka-iceberg.offsets"] !== undefined;
    return isOurs || (head !== undefined && number < head.sequenceNumber);
  }

  #schema(): string[] {
    const { schemas, currentSchemaId, lastColumnId } = this.world.metadata;
    const fields = schemas.find((each) => each.schemaId === currentSchemaId)?.fields ?? [];
    const ids = new Set(fields.map((field) => field.id));
    const names = new Set(fields.map((field) => field.name));
    // Nobody drops or renames a column in this world.
    const kept = schemas.every((each) => each.fields.every(({ name }) => names.has(name)));
    const sound = kept && ids.size === fields.length && names.size === fields.length;
    return sound && Math.max(...ids) <= lastColumnId
      ? []
      : ["SCHEMA: ids or names are not unique, or lost"];
  }
}

function ownersText({ sources }: ProgressDocument): string {
  const owners = [...sources].flatMap(([key, source]) =>
    [...source.owners].map(([partition, owner]) => `${key}/${partition} ${owner}`),
  );
  return owners.sort().join(", ");
}

/** Offsets with what a delta adds to them. */
function moved(
  before: Truth["offsets"],
  delta: { moved: Record<string, { p?: number[] }> },
): Truth["offsets"] {
  const offsets = new Map(before);
  const pairs = delta.moved["c/t"]?.p ?? [];
  for (let i = 0; i < pairs.length; i += 2) {
    const partition = pairs[i] ?? -1;
    offsets.set(partition, (offsets.get(partition) ?? 0n) + BigInt(pairs[i + 1] ?? 0));
  }
  return offsets;
}

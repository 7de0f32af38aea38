/**
 * Tables that records name (`iceberg.route_field`): the record's field says which, the catalog which of
 * them are there (`pipeline/routes.ts` has what follows).
 */
import { assert } from "#base/assert.ts";
import type { Catalog, TableName } from "#catalog/catalog.ts";
import { fullName, namespaceText } from "#catalog/names.ts";
import { readProgress } from "#commit/progress.ts";
import type { RoutingOptions } from "#config/routing.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import { type RecordCursor, splitRecords } from "#decode/records.ts";
import type { RouteField } from "#decode/routeField.ts";
import type { Outlet, Target } from "#pipeline/feeds.ts";
import type { FoundRoute, MissingRoutes, Routing, Shares } from "#pipeline/routes.ts";
import type { Targets } from "./targets.ts";

/** Values whose tables are remembered, for each topic: more are looked up again. */
const VALUES_MAX = 10_000;
/** Heads that are loaded at once. */
const LOADS_MAX = 8;
/** A record is for the topic's own table, which is the first. */
const HOME = 0;
const NOBODY = -1;

interface Listing {
  now: Promise<void>;
  next: Promise<readonly TableName[]> | null;
}

/** Fans the topics of one pipeline out. */
export class TopicRoutes implements Routing {
  readonly #options: RoutingOptions;
  readonly #catalog: Catalog;
  readonly #targets: Targets;
  readonly #field: RouteField;
  /** Tables that are taken in, by topic. */
  readonly #taken = new Set<string>();
  /** Listings by namespace: when the one under way has ended, and the one that waits for it. */
  readonly #listings = new Map<string, Listing>();
  /** Full names of tables by topic and value; null: the value names none. */
  readonly #names = new Map<string, Map<string, string | null>>();

  constructor(options: RoutingOptions, catalog: Catalog, targets: Targets) {
    this.#options = options;
    this.#catalog = catalog;
    this.#targets = targets;
    this.#field = targets.routeField(options.field);
  }

  prepare({ feed, ...batch }: RecordBatch): Promise<void> | null {
    const { payload } = batch;
    const { topic, partition } = feed;
    if (payload === null) return null;
    return this.#field.prepare?.({ ...batch, payload, topic, partition }) ?? null;
  }

  split(batch: RecordBatch, outlets: readonly Outlet[], isClosed: boolean): Shares | MissingRoutes {
    const { topic, partition } = batch.feed;
    const { payload } = batch;
    if (payload === null) return outlets.map(() => null);
    const indexes = new Map(outlets.map(({ sink }, index) => [sink.name, index]));
    const missing = new Set<string>();
    const numberOf = (cursor: RecordCursor): number => {
      const value = this.#valueOf(cursor);
      const name = value === null ? null : this.#nameOf(topic, value);
      if (value === null || name === null) return HOME;
      const index = indexes.get(name);
      if (index !== undefined) return index;
      if (!isClosed) missing.add(value);
      return NOBODY;
    };
    const bytes = { ...batch, payload, topic, partition };
    const shares = splitRecords(bytes, outlets.length, numberOf);
    return missing.size > 0 ? { missing: [...missing] } : shares;
  }

  /** What a record names; null: nothing. */
  #valueOf({ bytes, valueStart, valueEnd }: RecordCursor): string | null {
    return valueStart < 0 ? null : this.#field.of(bytes, valueStart, valueEnd);
  }

  targetOf(topic: string, route: string): Target {
    const options = this.#options.writer(topic, route);
    assert(options !== null, "a route names a table");
    const target = this.#targets.for(topic, options);
    this.#taken.add(placeOf(topic, options.name));
    return target;
  }

  async find(topic: string): Promise<readonly FoundRoute[]> {
    const { isOpen, values } = this.#options;
    const some = this.#options.tableOf(topic, "x");
    if (!isOpen || some === null) return values.map((route) => ({ route, isThere: false }));
    const found: FoundRoute[] = [];
    const candidates = (await this.#list(some.namespace)).flatMap((name) => {
      const value = this.#options.valueOf(topic, name.table);
      return value === null || this.#taken.has(placeOf(topic, name)) ? [] : [{ name, value }];
    });
    for (let at = 0; at < candidates.length; at += LOADS_MAX) {
      const some = candidates.slice(at, at + LOADS_MAX);
      const ours = await Promise.all(some.map(({ name }) => this.#isFilledBy(name, topic)));
      const own = some.filter((_, index) => ours[index]);
      found.push(...own.map(({ value }) => ({ route: value, isThere: true })));
    }
    return found;
  }

  /** A listing that begins now or later, shared by all who ask before it does. */
  #list(namespace: TableName["namespace"]): Promise<readonly TableName[]> {
    const key = namespaceText(namespace);
    const waiting = this.#listings.get(key);
    if (waiting?.next != null) return waiting.next;
    const listing = waiting ?? { now: Promise.resolve(), next: null };
    this.#listings.set(key, listing);
    const next = listing.now.then(() => {
      listing.next = null;
      const now = this.#catalog.list(namespace);
      listing.now = now.then(
        () => undefined,
        () => undefined,
      );
      return now;
    });
    listing.next = next;
    return next;
  }

  /** Whether a table has offsets of the topic; one whose offsets are hard to read is looked into when it is opened. */
  async #isFilledBy(name: TableName, topic: string): Promise<boolean> {
    const table = await this.#catalog.load(name);
    if (table === null) return false;
    const branch = this.#options.branch;
    const progress = readProgress(table.metadata, branch, [], this.#catalog.traits.showsAncestors);
    if (progress.kind === "unreadable") return true;
    return [...progress.document.sources.keys()].some((source) => source.endsWith(`/${topic}`));
  }

  #nameOf(topic: string, value: string): string | null {
    const names = this.#names.get(topic) ?? new Map<string, string | null>();
    this.#names.set(topic, names);
    const known = names.get(value);
    if (known !== undefined) return known;
    if (names.size >= VALUES_MAX) names.clear();
    const table = this.#options.tableOf(topic, value);
    const name = table === null ? null : fullName(table);
    names.set(value, name);
    return name;
  }
}

function placeOf(topic: string, name: TableName): string {
  return `${topic} ${fullName(name)}`;
}

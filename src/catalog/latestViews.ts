/**
 * Views of the newest rows, `<table>_latest`, of tables that keep every change as a row, in catalogs that have
 * views (SPEC section 6, decision 0495): made after the first commit that a process sees, and brought to the table's
 * columns when those have changed.
 *
 * A view holds no rows: nothing waits for it, and one that cannot be made is a warning, and is tried again
 * when the columns change or the process starts.
 */
import type { Clock } from "#base/clock.ts";
import { describe } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import {
  LATEST_PROPERTY,
  LATEST_SUFFIX,
  type LatestRows,
  latestOf,
  missingOf,
  orderOf,
} from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import type { Catalog, CommitOutcome, KeptView, LoadedTable } from "./catalog.ts";
import { fullName } from "./names.ts";

/** What keeping views takes. */
export interface LatestViewParts {
  readonly clock: Clock;
  readonly log: Logger;
}

/** So long a catalog that is closed waits for a view that is under way, ms. */
const CLOSE_WAIT_MS = 2000;

/** A catalog that keeps those views beside the tables that are committed through it. */
export function withLatestViews(catalog: Catalog, { clock, log }: LatestViewParts): Catalog {
  const { keepView, commitTogether } = catalog;
  if (keepView === undefined) return catalog;
  const views = new LatestViews((view) => keepView.call(catalog, view), log);
  return {
    ...catalog,
    ...(commitTogether && {
      commitTogether: async (changes) => {
        const outcomes = await commitTogether.call(catalog, changes);
        for (const outcome of outcomes ?? []) views.saw(outcome);
        return outcomes;
      },
    }),
    commit: async (...request) => views.saw(await catalog.commit(...request)),
    close: async () => {
      const done = new AbortController();
      await Promise.race([views.ended(), clock.sleep(CLOSE_WAIT_MS, done.signal)]);
      done.abort();
      await catalog.close();
    },
  };
}

class LatestViews {
  readonly #keep: NonNullable<Catalog["keepView"]>;
  readonly #log: Logger;
  /** By table: the schema that its view was last made for, or tried. */
  readonly #schemas = new Map<string, number>();
  #underWay: Promise<void> = Promise.resolve();

  constructor(keep: NonNullable<Catalog["keepView"]>, log: Logger) {
    this.#keep = keep;
    this.#log = log;
  }

  saw(outcome: CommitOutcome): CommitOutcome {
    if (outcome.kind !== "committed") return outcome;
    const { name, metadata } = outcome.table;
    if (metadata.properties[LATEST_PROPERTY] === undefined) return outcome;
    const key = fullName(name);
    if (this.#schemas.get(key) === metadata.currentSchemaId) return outcome;
    this.#schemas.set(key, metadata.currentSchemaId);
    const view = latestViewOf(outcome.table);
    if (view !== null) this.#underWay = this.#underWay.then(() => this.#keepOne(view));
    return outcome;
  }

  /** Resolves when nothing is under way. */
  ended(): Promise<void> {
    return this.#underWay;
  }

  async #keepOne(view: KeptView): Promise<void> {
    const fields = { view: fullName(view.name) };
    try {
      const became = await this.#keep(view);
      if (became === "made") this.#log.log("info", "View of the newest rows made", fields);
      if (became === "taken") this.#log.log("warn", TAKEN, fields);
    } catch (error) {
      this.#log.log("warn", "The view of the newest rows could not be made", {
        ...fields,
        reason: describe(error),
      });
    }
  }
}

const TAKEN = "There is no view of the newest rows: a table or view that is not ours has its name";

/** The view of a table; null: it has none, or lacks a column that the view needs. */
export function latestViewOf({ name, metadata }: LoadedTable): KeptView | null {
  const latest = latestOf(metadata.properties);
  const schema = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  if (latest === null || schema === undefined) return null;
  if (missingOf(latest, schema.fields) !== undefined) return null;
  const fields = schema.fields.map(withoutDefaults);
  const text = (quote: string): string => selectOf(name.table, fields, latest, quote);
  return {
    name: { ...name, table: name.table + LATEST_SUFFIX },
    fields,
    texts: [
      { dialect: "spark", sql: text("`") },
      { dialect: "trino", sql: text('"') },
    ],
    mark: [LATEST_PROPERTY, metadata.properties[LATEST_PROPERTY] ?? ""],
  };
}

/** Those are of files and of writers. */
function withoutDefaults({ initialDefault: _, writeDefault: __, ...field }: Field): Field {
  return field;
}

/** Columns are named one by one: one that the table gets later does not make the view another than it says. */
function selectOf(
  table: string,
  fields: readonly Field[],
  latest: LatestRows,
  quote: string,
): string {
  const named = (name: string): string => quote + name.replaceAll(quote, quote + quote) + quote;
  const columns = fields.map((field) => named(field.name)).join(", ");
  let place = "place";
  while (fields.some((field) => field.name.toLowerCase() === place)) place += "_";
  const order = orderOf(latest).map((name) => `${named(name)} DESC NULLS LAST`);
  const { deleted } = latest;
  const isThere = deleted === null ? "" : ` AND coalesce(${named(deleted)}, false) = false`;
  return (
    `SELECT ${columns} FROM (SELECT ${columns}, row_number() OVER (PARTITION BY ` +
    `${latest.key.map(named).join(", ")} ORDER BY ${order.join(", ")}) AS ${place} ` +
    `FROM ${named(table)}) newest WHERE ${place} = 1${isThere}`
  );
}

/**
 * A table of the process by its name, as people write it. Several pipelines may fill one table: each has a
 * sink of its own, and all of them are the table.
 */
import type { Sink } from "#pipeline/sink.ts";

/**
 * The sinks of the table with this name; none: there is no such table. With or without its namespace; upper
 * and lower case as one where that is clear. Of tables of one name in different catalogs the first is meant.
 */
export function findTable(tables: Iterable<Sink>, name: string): readonly Sink[] {
  const all = [...tables];
  const named = (of: (text: string) => string): readonly (readonly Sink[])[] =>
    sinksByTable(all.filter((sink) => namesOf(sink).some((each) => of(each) === of(name))));
  const [exact] = named((text) => text);
  if (exact !== undefined) return exact;
  const [folded = [], ...others] = named((text) => text.toLowerCase());
  return others.some(([other]) => other?.name !== folded[0]?.name) ? [] : folded;
}

/** Sinks together that fill one table; those that are not open yet come last, each alone. */
export function sinksByTable(sinks: Iterable<Sink>): readonly (readonly Sink[])[] {
  const open: Sink[] = [];
  const closed: Sink[][] = [];
  for (const sink of sinks) {
    if (sink.writer === null) closed.push([sink]);
    else open.push(sink);
  }
  const byTable = Map.groupBy(open, ({ name, writer }) =>
    JSON.stringify([name, writer?.lastSeen.metadata.tableUuid]),
  );
  return [...byTable.values(), ...closed];
}

function namesOf({ options, name }: Sink): string[] {
  const { namespace, table } = options.name;
  return [table, name, `${namespace.join(".")}.${table}`];
}

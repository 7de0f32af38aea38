/** A table of the process by its name, as people write it. */
import type { Sink } from "#pipeline/sink.ts";

/** With or without its namespace; upper and lower case as one where that is clear. Null: there is none. */
export function findTable(tables: Iterable<Sink>, name: string): Sink | null {
  const all = [...tables];
  const named = (of: (text: string) => string): Sink[] =>
    all.filter((sink) => namesOf(sink).some((each) => of(each) === of(name)));
  const [exact] = named((text) => text);
  const [folded, ...others] = named((text) => text.toLowerCase());
  return exact ?? (others.length === 0 ? (folded ?? null) : null);
}

function namesOf({ options, name }: Sink): string[] {
  const { namespace, table } = options.name;
  return [table, name, `${namespace.join(".")}.${table}`];
}

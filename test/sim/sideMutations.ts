/**
 * Deliberate mistakes in what holds a table and its side tables together (SPEC 2.8, decision 0280).
 */
import type { Mutation } from "./mutation.ts";

const SHOWN = { rule: "2.8", sim: "pipeline", shownIn: "dead letters" } as const;

const STALLED = { ...SHOWN, shownIn: "stand still.*dead letters" } as const;

/** One for each rule. */
export const SIDE_MUTATIONS: readonly Mutation[] = [
  {
    ...SHOWN,
    name: "a start names itself in the side tables only",
    edits: [
      { find: "  await claim(main, first, owner);\n", replace: "" },
      {
        find: "const offsets = await readBack(main, feeds, owner);",
        replace: "const offsets = await known(main, feeds);",
      },
    ],
  },
  {
    ...SHOWN,
    name: "what a side table has past the table's offset is judged again",
    edits: [{ find: "(offset) => !taken.offsets.has(offset)", replace: "() => true" }],
  },
  {
    ...SHOWN,
    name: "what a side table has is forgotten behind the first batch",
    edits: [{ find: "if (batch.baseOffset >= taken.end) outlet", replace: "outlet" }],
  },
  {
    ...SHOWN,
    name: "what is put aside below the side table's offset is left out",
    edits: [
      {
        find: "for (const each of rejected) segment.rows.append",
        replace:
          "for (const each of rejected.filter((one) => one.offset >= side.end)) segment.rows.append",
      },
    ],
  },
  {
    ...SHOWN,
    name: "a cut takes the side tables only when they are due themselves",
    edits: [
      {
        find: "all || sink === due || !isQuiet(sink, now)",
        replace: 'all || sink === due || (sink.rank === "main" && !isQuiet(sink, now))',
      },
    ],
  },
  {
    ...SHOWN,
    name: "a commit forgets who owns the other feeds",
    edits: [{ find: "owners: new Map(before?.owners),", replace: "owners: new Map()," }],
  },
  {
    ...SHOWN,
    name: "a table goes on without its side table, which has stopped",
    edits: [
      {
        find: 'this.#mains.get(sink)?.apply({ kind: "failed", error: sink.state.error });',
        replace: "",
      },
    ],
  },
  {
    ...SHOWN,
    name: "a side table that has passed its table is not looked into",
    edits: [
      {
        find: "if (own.offset <= offset) continue;",
        replace: "if (own.offset >= offset) continue;",
      },
    ],
  },
  {
    ...SHOWN,
    name: "the owner is not written down",
    edits: [{ find: "      o: ownersJson(source.owners),\n", replace: "" }],
  },
  {
    ...STALLED,
    name: "a commit does not ask who owns its feeds",
    edits: [
      {
        find: "advance.claims !== undefined || ownerOf(document, advance.feed) === advance.owner;",
        replace: "advance.claims !== undefined || ownerOf(document, advance.feed) !== null;",
      },
    ],
  },
  {
    ...STALLED,
    name: "every start has the same name",
    edits: [{ find: "feeds, this.#parts.random.uuid());", replace: 'feeds, "me");' }],
  },
  {
    ...STALLED,
    name: "a start does not read back whether it owns its feeds",
    edits: [
      {
        find: "if (offsets.some((each) => each.owner !== owner)) throw notYet(writer);",
        replace: "if (owner === undefined) throw notYet(writer);",
      },
    ],
  },
  {
    ...STALLED,
    name: "a new owner is added to the progress as if none had come",
    edits: [
      {
        find: "  if (source.owners.get(partition) !== old.owners.get(partition)) return false;\n",
        replace: "",
      },
    ],
  },
  {
    ...STALLED,
    name: "a start does not look into the side tables of an earlier process",
    edits: [
      {
        find: "if (offsets.some(({ owner }) => owner !== undefined)) this",
        replace: "if (offsets.some(({ owner }) => owner === null)) this",
      },
    ],
  },
];

/** Deliberate mistakes in the rules of changes (CHANGE_RULES 10a to 10m). */
import type { Mutation } from "./mutation.ts";

/** The mistakes that the simulation of upserts must find. */
export const UPSERT_MUTATIONS: readonly Mutation[] = [
  {
    name: "of a source that was emptied only the rows of the keys that came behind go",
    rule: "6",
    sim: "upsert",
    shownIn: "source was emptied",
    edits: [
      { find: "if (units.some(({ empties }) => empties)) return", replace: "if (false) return" },
    ],
  },
  {
    name: "rows that came before a truncate of their flush are written",
    rule: "6",
    sim: "upsert",
    shownIn: "source was emptied",
    edits: [{ find: "const left = Math.max(0, cleared - first);", replace: "const left = 0;" }],
  },
  {
    name: "rows of other partitions of the table stay where its source was emptied",
    rule: "6",
    sim: "upsert",
    shownIn: "source was emptied",
    edits: [
      {
        find: "  for await (const listed of liveDataFiles(storage, metadata, manifests)) {\n    if (files",
        replace:
          "  for await (const listed of liveDataFiles(storage, metadata, manifests.slice(-1))) {\n    if (files",
      },
    ],
  },
  {
    name: "what goes with a truncate is what the head of the first attempt had",
    rule: "2.10 (10e)",
    sim: "upsert",
    shownIn: "source was emptied",
    edits: [
      {
        find: "const removed = await everyFile(attempt);",
        replace:
          "const first = attempt.ledger as unknown as { gone?: DataFile[] };" +
          "first.gone ??= await everyFile(attempt); const removed = first.gone;",
      },
    ],
  },
  {
    name: "deletes of the first attempt are sent again",
    rule: "2.10 (10e)",
    sim: "upsert",
    edits: [
      {
        find: "const located = await index.locate(keys);",
        replace:
          "const first = this as unknown as { rows?: Awaited<ReturnType<RowIndex['locate']>> };" +
          "first.rows ??= await index.locate(keys); const located = first.rows;",
      },
    ],
  },
  {
    name: "the index is brought to the head of the first attempt only",
    rule: "2.10 (10e)",
    sim: "upsert",
    edits: [
      {
        find: "await index.bringTo(head, options.branch);",
        replace: "if (this.#staged === null) await index.bringTo(head, options.branch);",
      },
    ],
  },
  {
    name: "a vector takes the place of the head's without its rows",
    rule: "2.10 (10e)",
    sim: "upsert",
    edits: [
      {
        find: "await hiddenRows({ positionDeletes }, each.file, each.deletes),",
        replace:
          "await hiddenRows({ positionDeletes }, each.file, " +
          "{ ...each.deletes, vector: null, positions: [] }),",
      },
    ],
  },
  {
    name: "a vector is merged with vectors only, not with position deletes of before",
    rule: "2.10 (10e)",
    sim: "upsert",
    shownIn: "foreign engines: true",
    edits: [
      {
        find: "await hiddenRows({ positionDeletes }, each.file, each.deletes),",
        replace:
          "await hiddenRows({ positionDeletes }, each.file, { ...each.deletes, positions: [] }),",
      },
    ],
  },
  {
    name: "the vector that another takes the place of stays",
    rule: "2.10 (10e)",
    sim: "upsert",
    edits: [
      {
        find: "return { added, removed: located.flatMap(replacedDeletes) };",
        replace: "void replacedDeletes; return { added, removed: [] };",
      },
    ],
  },
  {
    name: "the label of the index is the head, not the snapshot that landed",
    rule: "2.10 (10b)",
    sim: "upsert",
    edits: [
      {
        find: "await this.#ports.index.apply(change, { snapshotId, sequenceNumber });",
        replace:
          "const seen = landing.table.metadata.currentSnapshotId ?? snapshotId;" +
          "await this.#ports.index.apply(change, { snapshotId: seen, sequenceNumber });",
      },
      {
        find: "    const source = this.#sourceOf(table);\n",
        replace:
          "    const source = this.#sourceOf(table);\n" +
          "    if (this.#label !== null && this.#label.snapshotId === " +
          "(metadata.refs[branch]?.snapshotId ?? null)) return;\n",
      },
    ],
  },
  {
    name: "keys of a fenced feed are deleted all the same",
    rule: "2.10 (10e)",
    sim: "upsert",
    edits: [
      {
        find: "    this.#ports = ports;\n",
        replace: "    this.#ports = ports;\n    Object.assign(this, { all: units });\n",
      },
      {
        find: "const keys = joinedKeys(units.map((unit) => unit.keys));",
        replace:
          "const whole = this as unknown as { all: readonly KeyedUnit[] };" +
          "const keys = joinedKeys(whole.all.map((unit) => unit.keys));",
      },
    ],
  },
  {
    name: "keys whose last change is a delete are not looked up",
    rule: "6",
    sim: "upsert",
    edits: [
      {
        find: "const keys = joinedKeys(units.map((unit) => unit.keys));",
        replace:
          "const keys = joinedKeys(units.flatMap((unit) => unit.placed.map((each) => each.keys)));",
      },
    ],
  },
  {
    name: "delete files are no files of the attempt: they are removed when it has landed",
    rule: "2.4",
    sim: "upsert",
    edits: [
      {
        find: "    files: files.map((file) => file.filePath),\n    thinned",
        replace:
          "    files: files.filter((file) => file.content === 'data').map((file) => file.filePath),\n" +
          "    thinned",
      },
    ],
  },
  {
    name: "a delete carries the number of the snapshot before its own",
    rule: "2.10 (10g)",
    sim: "upsert",
    edits: [
      {
        find: "for (const file of members) await writer.add({ ...NEW_ENTRY, sequenceNumber, file });",
        replace:
          "const old = metadata.lastSequenceNumber - 1n;" +
          "const own = content === 'deletes' ? { sequenceNumber: old } : {};" +
          "for (const file of members) await writer.add({ ...NEW_ENTRY, sequenceNumber, ...own, file });",
      },
    ],
  },
  {
    name: "files that are taken out stay live in their manifest",
    rule: "2.10 (10e)",
    sim: "upsert",
    edits: [
      {
        find: '? { ...entry, status: "deleted", snapshotId }',
        replace: '? { ...entry, status: snapshotId === 0n ? "deleted" : "existing" }',
      },
    ],
  },
  {
    name: "the index does not see that deletes are gone (a person rolled back)",
    rule: "2.10 (10c)",
    sim: "upsert",
    shownIn: "foreign engines: true",
    edits: [
      {
        find: "const removed = new DeleteIndex(metadata, without(before, head.deletes));",
        replace: "const removed = new DeleteIndex(metadata, without(before, before));",
      },
    ],
  },
  {
    name: "foreign files are not read into the index",
    rule: "2.10 (10c)",
    sim: "upsert",
    shownIn: "foreign engines: true",
    edits: [
      {
        find: "const fresh = [...head.data.values()].filter((file) => !isKnown(file));",
        replace:
          "const fresh = [...head.data.values()].filter((file) => !isKnown(file) && " +
          "!file.path.includes('foreign'));",
      },
    ],
  },
  {
    name: "an older change takes the place of a newer row",
    rule: "6 (10k)",
    sim: "upsert",
    shownIn: "older change",
    edits: [
      {
        find: "const newer = await index.newer(storage, newest);",
        replace: "const newer = (await index.newer(storage, newest)).subarray(0, 0);",
      },
    ],
  },
  {
    name: "which changes are overtaken is judged on the first head only",
    rule: "2.10 (10f)",
    sim: "upsert",
    shownIn: "older change",
    edits: [
      {
        find: "const { keys, placed, dead } = await this.#judge(attempt, units);",
        replace:
          "const first = this as unknown as { judged?: JudgedChanges };" +
          "first.judged ??= await this.#judge(attempt, units);" +
          "const { keys, placed, dead } = first.judged;",
      },
    ],
  },
  {
    name: "the rows of overtaken changes are not hidden",
    rule: "2.10 (10f)",
    sim: "upsert",
    shownIn: "older change",
    edits: [{ find: "[...located, ...dead]", replace: "[...located, ...dead.slice(0, 0)]" }],
  },
  {
    name: "within a flush the change that comes last wins, whatever its order",
    rule: "2.10 (10f)",
    sim: "upsert",
    shownIn: "older change",
    edits: [
      {
        find: "const orders = order === null ? null : flushOrders(flush, order, total);\n  const last = new LastRows(words, total, orders);",
        replace:
          "const orders = order === null ? null : flushOrders(flush, order, total);\n  const last = new LastRows(words, total);",
      },
    ],
  },
  {
    name: "files of which bounds say nothing have no newer rows",
    rule: "6 (10k)",
    sim: "upsert",
    shownIn: "older change win.*engines: true",
    edits: [
      {
        find: "if (bound === null) return null;\n    if (bound > most)",
        replace: "if (bound === null) continue;\n    if (bound > most)",
      },
    ],
  },
  {
    name: "values that a change leaves as they were are those of the first attempt's head",
    rule: "2.10 (10f)",
    sim: "upsert",
    shownIn: "did not have .foreign engines: true",
    edits: [
      {
        find: "complete === null ? [] : await this.#reading(attempt, () => complete(attempt));",
        replace:
          "complete === null ? [] : await ((complete as unknown as { first?: ReturnType<typeof complete> })" +
          ".first ??= this.#reading(attempt, () => complete(attempt)));",
      },
    ],
  },
  {
    name: "values that a change leaves as they were are the table's, whatever the flush has changed before",
    rule: "6",
    sim: "upsert",
    shownIn: "did not have",
    edits: [
      {
        find: "this.#before.set(first + row, last.lastOf(first + row));",
        replace: "this.#before.set(first + row, -1);",
      },
    ],
  },
  {
    name: "values that were read file by file are given to the keys in the order that these were asked for",
    rule: "6",
    sim: "upsert",
    shownIn: "did not have",
    edits: [{ find: "read.push(key);", replace: "read.push(read.length);" }],
  },
  {
    name: "an update keeps the id of any row that the table has of its key",
    rule: "6",
    sim: "upsert",
    shownIn: "brings one back.*foreign engines: true",
    edits: [{ find: "if (other !== 0 && !isNewer(", replace: "if (other !== 0 && isNewer(" }],
  },
  {
    name: "a key that is deleted and comes again within a flush keeps its row id",
    rule: "6",
    sim: "upsert",
    shownIn: "brings one back.*foreign engines: false",
    edits: [
      {
        find: "(deleted.hasKeyOf(first + row) ? 1 : 0)",
        replace: "(deleted.hasKeyOf(row) ? 0 : 0)",
      },
    ],
  },
  {
    name: "a row without a row id of its own has that of its file's first row",
    rule: "6",
    sim: "upsert",
    shownIn: "brings one back.*foreign engines: false",
    edits: [
      {
        find: "ids[key] = first + (newest.rows[key] as number);",
        replace: "ids[key] = first;",
      },
    ],
  },
];

/**
 * Changes in JSON: their parts, the readers of these, and what they are to the kernel.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { TakenPaths } from "#columns/paths.ts";
import { keepsDeleted } from "#decode/changes.ts";
import { changeColumns, type EnvelopeOptions, EnvelopeReader } from "#decode/envelope.ts";
import { eventTime } from "#decode/eventTime.ts";
import { NO_SHAPING, Shaping } from "#decode/shaping.ts";
import { EnvelopeParts } from "./envelopeParts.ts";
import { envelopeRoot } from "./kernelProgram.ts";
import {
  compileEnvelope,
  compileImage,
  compileOperation,
  compileRow,
  type ProgramOptions,
  type StructNode,
} from "./program.ts";
import { JsonReader } from "./reader.ts";
import { jsonWholeness, UNAVAILABLE_MARKERS } from "./unavailable.ts";

const IGNORE = { unknown: "ignore", rescue: null, rescuesConflicts: false } as const;

/**
 * The reader of changes.
 * @param row reads a row without its envelope
 * @param columns all columns of the value
 */
export function envelopeReader(
  row: JsonReader,
  columns: readonly ColumnBuilder[],
  options: EnvelopeOptions,
  program: ProgramOptions,
): EnvelopeReader {
  const { prefix, onDelete, opField } = options;
  const { row: ofRow, keys, operation, source: members } = changeColumns(columns, options);
  const source = sourcePart(members, prefix);
  const isKept = keepsDeleted(options);
  const ofKey = isKept || keys.length === 0 ? null : compileImage(keys, program);
  const image = isKept ? row.node : ofKey;
  const before = isKept ? row : ofKey && new JsonReader(keys, ofKey, IGNORE);
  const nodes = { row: row.node, source: source?.node ?? null, operation };
  const envelope =
    opField === null
      ? compileEnvelope(nodes, program)
      : compileOperation(row.node, opField, operation, program);
  const root = envelopeRoot({
    hostMarkers: UNAVAILABLE_MARKERS,
    envelope,
    image,
    open: [source?.node, ofKey].filter((each) => each !== null && each !== undefined),
    ignoreUnknown: row.root.ignoreUnknown,
    takesDeletes: onDelete !== "ignore",
    isBare: opField !== null,
  });
  const wholeness = jsonWholeness({
    columns: ofRow,
    keys,
    isPlain: program.shaping.covered.length === 0 && !row.rescues,
    sawUnknown: () => row.sawUnknown,
  });
  const readers = {
    row,
    columns: ofRow,
    before,
    source: source?.reader ?? null,
    operation,
    wholeness,
  };
  return new EnvelopeReader(new EnvelopeParts(opField), readers, options, root);
}

/** Members of `source` into the columns that are made of them; null: none is. */
function sourcePart(
  members: readonly (readonly [member: string, ColumnBuilder])[],
  prefix: string,
): { readonly node: StructNode; readonly reader: JsonReader } | null {
  if (members.length === 0) return null;
  const columns = members.map(([, column]) => column);
  const rename = Object.fromEntries(members.map(([member, { field }]) => [member, field.name]));
  const node = compileRow(columns, {
    flattenSeparator: null,
    eventTimeField: `${prefix}source_ts`,
    eventTime: () => eventTime("epoch_millis", 1000n),
    taken: new TakenPaths([]),
    dropped: new TakenPaths([]),
    ignoresCase: false,
    dropsZone: false,
    shaping: new Shaping({ ...NO_SHAPING, rename }),
  });
  return { node, reader: new JsonReader(columns, node, IGNORE) };
}

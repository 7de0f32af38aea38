/** The settings of a table's writer that tests begin with; each test says what is its own. */
import type { WriterOptions } from "#writer/parts.ts";

/** Table `db.t`, group `g`, uncompressed files of one Kafka partition each, nothing thinned. */
export const WRITER_OPTIONS: WriterOptions = {
  name: { namespace: ["db"], table: "t" },
  branch: "main",
  group: "g",
  commitRetriesMax: 5,
  codec: "none",
  codecLevel: null,
  rowGroupRows: 1000,
  openFilesMax: 10,
  preserveKafkaPartitions: true,
  thinning: null,
  schemaMismatch: "fail",
  schemaChanges: "evolve",
  create: {
    allowed: true,
    formatVersion: 2,
    properties: {},
    partitionForms: [],
    sortForms: [],
    learnsColumns: true,
  },
};

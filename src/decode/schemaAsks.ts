/**
 * What the schemas that records come with ask of their table, until the table has answered.
 *
 * A table is changed between batches only. So a record whose schema asks something is refused at first,
 * the batch is taken back, and it is read again when the table has answered.
 */
import type { Growth } from "./decoder.ts";

/** Of one reader. */
export class SchemaAsks {
  /** True: the table has answered, and its columns count as they are. */
  isFinal = true;
  private growth: Growth | null = null;

  /**
   * True when a record may not be read before the table has answered its schema: what that asks is kept.
   * @param growth what the record's schema asks; null: nothing
   */
  mustWait(growth: Growth | null): boolean {
    if (growth === null || this.isFinal) return false;
    this.growth = growth;
    return true;
  }

  /** What was asked since the last call; null: nothing. */
  take(): Growth | null {
    const { growth } = this;
    this.growth = null;
    return growth;
  }
}

/** What values and keys ask of one table, whose columns they share out: one change of its schema. */
export function together(ofValues: Growth | null, ofKeys: Growth | null): Growth | null {
  if (ofValues === null || ofKeys === null) return ofValues ?? ofKeys;
  return {
    by: `${ofValues.by}, with ${ofKeys.by} of its key,`,
    fields: [...ofValues.fields, ...ofKeys.fields],
    differences: [...ofValues.differences, ...ofKeys.differences],
    settled: () => {
      ofValues.settled();
      ofKeys.settled();
    },
  };
}

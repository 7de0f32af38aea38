/**
 * What the kernel of the key table can do (`kernel/assembly/keys/table.ts`).
 */

/** Its functions; addresses and counts in. */
export interface TableFunctions {
  readonly begin: (address: number, slots: number) => void;
  readonly size: () => number;
  readonly slots: () => number;
  readonly tableBytes: (slots: number) => number;
  readonly putMany: (keys: number, values: number, count: number) => number;
  readonly getMany: (keys: number, values: number, count: number) => void;
  readonly growBegin: (slots: number) => void;
  readonly growStep: (entries: number) => number;
  readonly collect: (
    from: number,
    marks: number,
    files: number,
    keys: number,
    values: number,
    max: number,
  ) => bigint;
  readonly slotOf: (hi: bigint) => number;
  readonly isSound: () => number;
}

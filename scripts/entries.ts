/** The files that the executable is bundled from: the program, and every Worker. */
export const ENTRIES: readonly string[] = [
  "src/main.ts",
  "src/parquet/worker.ts",
  "src/keyindex/worker.ts",
];

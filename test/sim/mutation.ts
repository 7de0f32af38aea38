/** What a deliberate mistake is (`mutations.ts`). */

/** One mistake. */
export interface Mutation {
  /** What the mistaken program does. */
  readonly name: string;
  /** Rule of SPEC section 2, or section 10 of it. */
  readonly rule: string;
  readonly sim: "writer" | "pipeline" | "upsert" | "replay";
  /** Part of the names of the simulation's tests in which it shows; all of them by default. */
  readonly shownIn?: string;
  /** Texts that `src/` holds exactly once; two where one line would make up for the other. */
  readonly edits: readonly { readonly find: string; readonly replace: string }[];
}

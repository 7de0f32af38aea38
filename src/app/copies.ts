/**
 * What a process rewrites files with whose rows are deleted by copying the others (`delete_mode = "copy-on-write"`).
 */
import { fullName } from "#catalog/names.ts";
import { copyOnWrite, copyRefusal } from "#maintenance/copyOnWrite.ts";
import type { CopySlots } from "#maintenance/copySlots.ts";
import { createRewriteEngine } from "#maintenance/rewriteEngine.ts";
import { requireEngine } from "#sql/library.ts";
import type { CopyOnWrite } from "#writer/parts.ts";
import type { RewriteParts } from "./maintain.ts";

/** What rewriting takes of the process, also in commits. */
export interface CopyParts extends RewriteParts {
  readonly slots: CopySlots;
}

/** Bytes of a file where nobody sets them. */
const FILE_BYTES = 512 * 1024 * 1024;

/** @param stop aborted when the process ends: what is being written then is given up */
export function copiesOf({ slots, ...rewrites }: CopyParts, stop: AbortSignal): CopyOnWrite {
  return {
    check: (table, fields) => {
      const refusal = copyRefusal(fullName(table), fields);
      if (refusal !== null) throw refusal;
      requireEngine();
    },
    deleteRows: (options) => {
      const engine = createRewriteEngine({ ...rewrites, codec: options });
      return copyOnWrite({ engine, slots, stop }, options.fileBytesTarget ?? FILE_BYTES);
    },
  };
}

/**
 * What a process rewrites files with whose rows are deleted by copying the others (`delete_mode = "copy-on-write"`).
 */
import { copyOnWrite } from "#maintenance/copyOnWrite.ts";
import { createRewriteEngine } from "#maintenance/rewriteEngine.ts";
import type { WriterParts } from "#writer/parts.ts";
import type { RewriteParts } from "./maintain.ts";

/** Bytes of a file where nobody sets them. */
const FILE_BYTES = 512 * 1024 * 1024;

/** @param stop aborted when the process ends: what is being written then is given up */
export function copiesOf(
  { room, ...rewrites }: RewriteParts,
  stop: AbortSignal,
): NonNullable<WriterParts["copyOnWrite"]> {
  const reserve = (bytes: number): ReturnType<typeof room.reserve> => room.reserve(bytes);
  return (options) => {
    const engine = createRewriteEngine({ ...rewrites, codec: options });
    return copyOnWrite({ engine, reserve, stop }, options.fileBytesTarget ?? FILE_BYTES);
  };
}

/**
 * How this process finds rows by their keys, in tables whose records change rows (SPEC 2.10): an index for
 * each table, all of them in one Worker, kept in `keyindex/` of the state directory.
 */
import type { Disk } from "#base/disk.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { TableName } from "#catalog/catalog.ts";
import { createIndexThread } from "#keyindex/indexThread.ts";
import { openKeySecret } from "#keyindex/secret.ts";
import type { KeyParts } from "#writer/parts.ts";

/** The indexes of a process. */
export interface ProcessKeys {
  /** Those of one pipeline: two may have tables of the same name, in two catalogs. */
  of(pipeline: string): KeyParts;
  /** Memory of the indexes. */
  readonly bytes: number;
  /** Ends the Worker. */
  close(): Promise<void>;
}

/** @throws AppError `state` and what the disk throws when there can be no secret */
export async function openKeys(
  stateDir: string,
  { disk, random, log }: { readonly disk: Disk; readonly random: Random; readonly log: Logger },
): Promise<ProcessKeys> {
  const folder = `${stateDir}/keyindex`;
  const secret = await openKeySecret(disk, folder, random);
  const warn = (cause: string): void =>
    log.log("warn", "A key index cannot be kept: the next start reads its table", { cause });
  const thread = createIndexThread({ warn });
  return {
    of: (pipeline) => ({
      secret,
      openIndex: (table, keyColumns, orderColumn = null) => {
        const own = `${folder}/${folderName(pipeline, table)}`;
        return Promise.resolve(thread.open({ folder: own, secret, keyColumns, orderColumn }));
      },
    }),
    get bytes(): number {
      return thread.bytes;
    },
    close: () => thread.close(),
  };
}

/** Names may be longer than a folder's, and hold anything. */
function folderName(pipeline: string, { namespace, table }: TableName): string {
  const hash = new Bun.CryptoHasher("sha256");
  return hash
    .update(JSON.stringify([pipeline, ...namespace, table]))
    .digest("hex")
    .slice(0, 32);
}

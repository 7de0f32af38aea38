/**
 * The secret under which keys are hashed: made once for a state directory, and kept as long as what was
 * hashed with it.
 */
import { type Disk, type DiskFile, onDisk } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import { createFolders } from "#base/folders.ts";
import type { Random } from "#base/random.ts";
import { utf8Text } from "#base/text.ts";
import { KeyHasher, type KeySecret } from "./keyHasher.ts";

const NAME = "secret";
const DIGITS = 32;

/**
 * Reads the secret, or makes one that is durable before it is used.
 * @param folder of the state directory; made when it is missing
 * @throws AppError `state` for a file that is none; what the disk throws
 */
export async function openKeySecret(
  disk: Disk,
  folder: string,
  random: Random,
): Promise<KeySecret> {
  await createFolders(disk).make(folder);
  const path = `${folder}/${NAME}`;
  return onDisk("open", path, async () => {
    if ((await disk.stat(path)) === null) await make(disk, folder, random);
    const file = await disk.open(path, "read");
    const text = utf8Text(await closing(file, () => file.read(0, DIGITS + 1)));
    if (!/^[0-9a-f]{32}$/.test(text)) {
      const sentence = `${path} does not hold the secret of the key index: remove the folder ${folder}, and the index is built anew`;
      throw fail("state", sentence, { path });
    }
    return { k0: BigInt(`0x${text.slice(0, 16)}`), k1: BigInt(`0x${text.slice(16)}`) };
  });
}

/** Under another name first, so that it is never half there. */
async function make(disk: Disk, folder: string, random: Random): Promise<void> {
  const draft = `${folder}/${NAME}-new`;
  if ((await disk.stat(draft)) !== null) await disk.unlink(draft);
  const file = await disk.create(draft);
  await closing(file, async () => {
    await file.write(new TextEncoder().encode(random.uuid().replaceAll("-", "")), 0);
    await file.sync();
  });
  await disk.link(draft, `${folder}/${NAME}`);
  await disk.unlink(draft);
  await disk.syncDir(folder);
}

async function closing<T>(file: DiskFile, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } finally {
    await file.close();
  }
}

/** Tells one secret from another, and does not give it away. */
export function secretCheck(secret: KeySecret): string {
  const field = { id: 1, name: "check", type: { kind: "string" } } as const;
  const text = { kind: "bytes", offsets: Int32Array.of(0, 0), data: new Uint8Array(0) } as const;
  const hasher = new KeyHasher([field], secret);
  const { words } = hasher.hashAll([{ values: text, nulls: Uint8Array.of(1) }], 1);
  return String(words[0]);
}

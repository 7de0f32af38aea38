/**
 * A temporary folder of its own for a command: hundreds of tests make folders there, and services leave their data.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Hands out the variables that name the folder, and removes it afterwards, whatever is in it. */
export async function withScratch<T>(
  work: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "kafka-iceberg-scratch-"));
  // Services that run as a user of their own (PostgreSQL) must reach what is given to them in it.
  chmodSync(folder, 0o711);
  try {
    return await work({ TMPDIR: folder });
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

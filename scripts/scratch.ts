/**
 * A temporary folder of its own for a command: hundreds of tests make folders there, and services leave their data.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Hands out the variables that name the folder, and removes it afterwards, whatever is in it. */
export async function withScratch<T>(
  work: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "kafka-iceberg-scratch-"));
  try {
    return await work({ TMPDIR: folder });
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

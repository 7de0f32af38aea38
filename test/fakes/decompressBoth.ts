/**
 * Decompression by the kernel and in TypeScript: what both agree on. A difference fails the test.
 */
import { Scratch } from "#consumer/codec/blocks.ts";
import { decompress } from "#consumer/codec/compression.ts";

const KERNEL = new Scratch(true);
const SCRIPT = new Scratch(false);

/** As `decompress`, in memory of its own; throws what both throw. */
export function decompressBoth(codec: number, bytes: Uint8Array, bytesMax: number): Uint8Array {
  const kernel = outcome(codec, bytes, bytesMax, KERNEL);
  const script = outcome(codec, bytes, bytesMax, SCRIPT);
  if (String(kernel.error) !== String(script.error)) {
    throw new Error(`Kernel: ${kernel.error}. TypeScript: ${script.error}`);
  }
  if (kernel.error instanceof Error) throw kernel.error;
  if (Buffer.compare(kernel.made, script.made) !== 0)
    throw new Error("The kernel made other bytes");
  return codec === 0 ? bytes : Uint8Array.from(script.made);
}

function outcome(
  codec: number,
  bytes: Uint8Array,
  bytesMax: number,
  scratch: Scratch,
): { made: Uint8Array; error: unknown } {
  try {
    return { made: decompress(codec, bytes, bytesMax, scratch), error: null };
  } catch (error) {
    return { made: new Uint8Array(0), error };
  }
}

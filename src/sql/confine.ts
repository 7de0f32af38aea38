/**
 * Limits that a process sets itself before it runs what others wrote: what goes beyond them ends this
 * process, and none that it came from. Linux only.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { openLibc } from "#base/libc.ts";

type Limits = {
  readonly setrlimit: (resource: number, limit: BigUint64Array) => number;
  readonly prctl: (option: number, a: bigint, b: bigint, c: bigint, d: bigint) => number;
};

const FILE_SIZE = 1;
const CORE = 4;
const ADDRESS_SPACE = 9;
const DIE_WITH_PARENT = 1;
const SIGKILL = 9n;
const PAGE_BYTES = 4096;
/** The system takes the process with the most points first when memory runs out. */
const OOM_POINTS = "1000";

/**
 * Confines this process for good: it may take `bytesMax` more of address space than it has now, writes no
 * file and no core dump, is what the system ends first when memory runs out, and ends with its parent.
 * @throws AppError `query_engine` when the system does not do so
 */
export function confine(bytesMax: number): void {
  const libc = openLibc<Limits>({
    setrlimit: { args: ["i32", "ptr"], returns: "i32" },
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  });
  const limit = (resource: number, value: number): boolean =>
    libc?.setrlimit(resource, new BigUint64Array(2).fill(BigInt(value))) === 0;
  try {
    offerFirst();
    assert(libc?.prctl(DIE_WITH_PARENT, SIGKILL, 0n, 0n, 0n) === 0, "it ends with its parent");
    assert(limit(ADDRESS_SPACE, addressSpaceBytes() + bytesMax), "its memory is bound");
    assert(limit(CORE, 0) && limit(FILE_SIZE, 0), "it writes no file");
  } catch (error) {
    const sentence =
      "The system does not let the SQL engine bind itself (prctl, setrlimit, oom_score_adj): set server.query_enabled = false";
    throw fail("query_engine", sentence, {}, error);
  }
}

/**
 * Makes this process the first that the system ends when memory runs out.
 * @throws what the file system throws when the system does not do so
 */
export function offerFirst(): void {
  writeFileSync("/proc/self/oom_score_adj", OOM_POINTS);
}

function addressSpaceBytes(): number {
  const [pages = ""] = readFileSync("/proc/self/statm", "utf8").split(" ");
  return Number(pages) * PAGE_BYTES;
}

/**
 * Where DuckDB's shared library is: beside the source, or inside the executable, compressed, from where
 * it is written once to a private folder. Loaded by nobody before the first query.
 *
 * The system can only load a file. The one in the folder is compared with its hash at every start: a
 * process never loads what another user may have put there. Without such a folder it lies in memory.
 */
import { chmod, mkdir, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fail } from "#base/errors.ts";
import { openLibc } from "#base/libc.ts";

/** SHA-256 of the library inside the executable, set by `scripts/build.ts`. */
declare const KAFKA_ICEBERG_DUCKDB: string;

const NAME = "libduckdb";
const PRIVATE_FOLDER = 0o700;
const READ_AND_EXECUTE = 0o500;
const OTHERS_MAY_WRITE = 0o022;
const CLOSE_ON_EXEC = 1;
/** Read at once. */
const READ_BYTES = 256 * 1024;

/**
 * Whether there is an engine for this system at all; nothing is read or written.
 * @throws AppError `query_engine`
 */
export function requireEngine(): void {
  if (embedded() === null) besideSource();
}

/**
 * The library's absolute path, for this process alone: in memory it has no name that another one could open.
 * @param folder of the user alone, made when it is missing; null: there is none
 * @throws AppError `query_engine`
 */
export async function locateLibrary(folder: string | null): Promise<string> {
  const packed = embedded();
  if (packed === null) return besideSource();
  const sha256 = KAFKA_ICEBERG_DUCKDB;
  const unpack = async (): Promise<Uint8Array> => {
    const bytes = await Bun.zstdDecompress(await packed.bytes());
    if (sha256Of(bytes) === sha256) return bytes;
    throw fail("query_engine", "DuckDB inside this executable is damaged: download it again");
  };
  if (folder === null) return inMemory(await unpack());
  const path = join(folder, `${NAME}-${sha256.slice(0, 16)}.so`);
  try {
    await makePrivate(folder);
    if (await isThere(path, sha256)) return path;
    await writeWhole(path, await unpack());
    return path;
  } catch (error) {
    if (isOfTheDisk(error)) return inMemory(await unpack());
    throw error;
  }
}

function embedded(): Blob | null {
  const files = Bun.embeddedFiles as readonly (Blob & { readonly name: string })[];
  return files.find(({ name }) => name.startsWith(NAME)) ?? null;
}

function besideSource(): string {
  const file = process.platform === "darwin" ? "libduckdb.dylib" : "libduckdb.so";
  const name = `@duckdb/node-bindings-${process.platform}-${process.arch}/${file}`;
  try {
    return Bun.resolveSync(name, import.meta.dir);
  } catch (error) {
    const sentence = `There is no SQL engine for ${process.platform} on ${process.arch} here (npm ci installs it)`;
    throw fail("query_engine", sentence, {}, error);
  }
}

async function makePrivate(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  const { mode, uid } = await stat(folder);
  const isPrivate = (mode & OTHERS_MAY_WRITE) === 0 && uid === process.getuid?.();
  if (!isPrivate) throw new SharedFolder();
}

/** Others may write there: nothing is loaded from it. */
class SharedFolder extends Error {}

function isOfTheDisk(error: unknown): boolean {
  const code = (error as { readonly code?: unknown }).code;
  return error instanceof SharedFolder || typeof code === "string";
}

/** Reads it through one small buffer: the chunks of a stream, 50 MB, would stay for as long as the process does little else. */
async function isThere(path: string, sha256: string): Promise<boolean> {
  const file = await open(path, "r").catch(ifMissing);
  if (file === null) return false;
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = new Uint8Array(READ_BYTES);
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES);
      if (bytesRead === 0) return hasher.digest("hex") === sha256;
      hasher.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

function ifMissing(error: unknown): null {
  if ((error as { readonly code?: unknown }).code === "ENOENT") return null;
  throw error;
}

/** Under its name it is whole, whatever happens meanwhile. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  try {
    await writeFile(temporary, bytes);
    await chmod(temporary, READ_AND_EXECUTE);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** A file that has no name on any disk. */
function inMemory(bytes: Uint8Array): string {
  const { memfd_create, write } = systemCalls();
  const descriptor = memfd_create(Buffer.from(`${NAME}\0`), CLOSE_ON_EXEC);
  for (let at = 0; descriptor >= 0 && at < bytes.length; ) {
    const written = Number(write(descriptor, bytes.subarray(at), BigInt(bytes.length - at)));
    if (written <= 0) break;
    at += written;
    if (at === bytes.length) return `/proc/self/fd/${descriptor}`;
  }
  throw fail(
    "query_engine",
    "DuckDB can be written neither to a folder of this user nor to memory: set XDG_CACHE_HOME to a folder of its own",
  );
}

type SystemCalls = {
  readonly memfd_create: (name: Uint8Array, flags: number) => number;
  readonly write: (descriptor: number, bytes: Uint8Array, count: bigint) => number | bigint;
};

function systemCalls(): SystemCalls {
  const calls = openLibc<SystemCalls>({
    memfd_create: { args: ["ptr", "u32"], returns: "i32" },
    write: { args: ["i32", "ptr", "u64"], returns: "i64" },
  });
  if (calls !== null) return calls;
  throw fail("query_engine", "DuckDB needs a folder of this user: set XDG_CACHE_HOME");
}

function sha256Of(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

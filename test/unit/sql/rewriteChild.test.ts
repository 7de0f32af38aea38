/** What the process that rewrites data files does for the other processes of its machine, and what it says of its own troubles. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { policyOf } from "#base/errors.ts";
import { rewriteInProcess, sketchInProcess } from "#sql/rewrite/rewriteProcess.ts";
import { NO_FILES, type SnapshotFiles } from "#sql/snapshotFiles.ts";
import { rejection } from "../../support/rejection.ts";

const CHILD = join(import.meta.dir, "../../../src/sql/rewrite/child.ts");

test("when memory runs out the system takes the process that rewrites files, and not ingest", async () => {
  const { promise, resolve } = Promise.withResolvers<{ type: string }>();
  const child = Bun.spawn([process.execPath, CHILD], {
    stdio: ["ignore", "ignore", "ignore"],
    serialization: "advanced",
    ipc: resolve,
  });
  try {
    child.send({ library: "/nothing" });
    expect((await promise).type).toBe("failed");
    expect(readFileSync(`/proc/${child.pid}/oom_score_adj`, "utf8")).toBe("1000\n");
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});

/** No folder of any system: what is opened with it does not open. */
const NO_FOLDER = "/\0";
const GONE: SnapshotFiles = {
  ...NO_FILES,
  data: [{ path: "/nothing.parquet", location: "/nothing.parquet", sequence: 1n, partition: "" }],
};

/** How both tasks of the child end with a file that is not there, in this scratch folder. */
async function endsOf(scratch: string) {
  const { signal } = new AbortController();
  const task = { libraryFolder: null, memoryBytesMax: 1e8, folders: [], scratch, files: GONE };
  const output = { output: "/dev/null", codec: "zstd", level: null, rowGroupRows: 1000 };
  const rows = { fields: [], lineage: false, rows: [1], latest: null, bloomFilters: [] };
  const rewrite = (sort: readonly string[]) =>
    rewriteInProcess(
      { ...task, ...output, ...rows, commitId: "c", sort, spillBytesMax: 1e8 },
      signal,
    );
  const ends = [rewrite([]), rewrite(["1"]), sketchInProcess({ ...task, columns: [] }, signal)];
  return Promise.all(ends.map((end) => rejection(end)));
}

test("an engine that cannot be opened is asked for again; only its answer to a statement is a refusal", async () => {
  for (const error of await endsOf(NO_FOLDER)) {
    expect(error).toMatchObject({ kind: "rewrite_process" });
    expect(policyOf(error).action).toBe("again");
  }
  for (const error of await endsOf("/tmp")) expect(policyOf(error).action).toBe("stop");
});

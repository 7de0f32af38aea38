/** A REST catalog on a server in memory, with a clock that tests move. */
import type { AwsCredentials } from "#aws/credentials.ts";
import { type Clock, systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, CommitOutcome, LoadedTable, TableName } from "#catalog/catalog.ts";
import type { RestCatalogOptions } from "#catalog/rest/options.ts";
import { createRestCatalog } from "#catalog/rest/restCatalog.ts";
import type { Storage } from "#storage/storage.ts";
import type { VendedStore } from "#storage/vended.ts";
import { createMemoryStorage } from "../fakes/memoryStorage.ts";
import { createRestFake, type RestFake } from "../fakes/restServer.ts";
import { restOptions } from "./catalogPlaces.ts";
import { appendOf, nextSnapshot, sampleTable } from "./icebergSamples.ts";

/** The table of these tests. */
export const NAME: TableName = { namespace: ["db"], table: "t" };

/** A catalog, its server, and what it asked of the stores. */
export interface RestRig {
  readonly catalog: Catalog;
  readonly server: RestFake;
  /** The pipeline's own store. */
  readonly storage: Storage;
  /** Settings with which stores of tables were opened. */
  readonly opened: VendedStore[];
  /** Moves the clock on. */
  readonly passMs: (ms: number) => void;
}

/** Opens a catalog; the server's answers may be prepared first. */
export async function restRig(
  over: Partial<RestCatalogOptions> = {},
  prepare: (server: RestFake) => void = () => undefined,
  credentials: AwsCredentials = () => Promise.reject(new Error("nobody signs")),
): Promise<RestRig> {
  const storage = createMemoryStorage();
  const server = createRestFake(storage);
  prepare(server);
  const opened: VendedStore[] = [];
  let nowMs = 1_000_000;
  const clock: Clock = { ...systemClock, nowMs: () => nowMs, monotonicMs: () => nowMs };
  const storageWith = (vended: VendedStore): Storage => {
    opened.push(vended);
    return { ...storage };
  };
  const parts = { storage, storageWith, clock, random: systemRandom, log: silentLogger };
  const catalog = createRestCatalog(restOptions("http://rest.test", over), {
    ...parts,
    http: server.http,
    credentials,
  });
  await catalog.open();
  const passMs = (ms: number): void => {
    nowMs += ms;
  };
  return { catalog, server, storage, opened, passMs };
}

/** Creates the sample table. */
export async function createTable({ catalog }: RestRig): Promise<LoadedTable> {
  const outcome = await catalog.create({
    name: NAME,
    metadataAt: (location) => sampleTable(location),
  });
  if (outcome.kind !== "committed") throw new Error(`${outcome.kind}: ${String(outcome.cause)}`);
  return outcome.table;
}

/** Appends an empty snapshot to the head, as it is after one load. */
export async function append({ catalog }: RestRig, id: bigint): Promise<CommitOutcome> {
  const head = await catalog.load(NAME);
  if (head === null) throw new Error("the table is gone");
  const { currentSnapshotId: snapshotId, tableUuid: uuid } = head.metadata;
  return catalog.commit(
    NAME,
    [
      { type: "assert-table-uuid", uuid },
      { type: "assert-ref-snapshot-id", ref: "main", snapshotId },
    ],
    appendOf(nextSnapshot(head.metadata, id)),
  );
}

/** Whether a request is a commit to a table. */
export function isCommit(request: { readonly method: string; readonly url: string }): boolean {
  return request.method === "POST" && /\/tables\/[^/]+$/.test(request.url);
}

/** The promises of `support/catalogContract.ts`, run against every catalog. */
import { afterAll } from "bun:test";
import { rm } from "node:fs/promises";
import { systemDisk } from "#base/disk.ts";
import { systemRandom } from "#base/random.ts";
import { createLocalStorage } from "#storage/local.ts";
import { createMemoryStorage } from "../fakes/memoryStorage.ts";
import { catalogContract } from "../support/catalogContract.ts";
import {
  filePlace,
  glueFakePlace,
  hiveFakePlace,
  pointerPlace,
  restFakePlace,
  sqlPlace,
} from "../support/catalogPlaces.ts";

const ROOT = `/tmp/kafka-iceberg-test-${process.pid}-${Bun.nanoseconds()}`;
const local = createLocalStorage({ disk: systemDisk, random: systemRandom });
let places = 0;

afterAll(() => rm(ROOT, { recursive: true, force: true }));

catalogContract("file catalog in memory", () => filePlace(createMemoryStorage(), "/warehouse"));

catalogContract("file catalog on the local disk", () =>
  filePlace(local, `${ROOT}/file-${places++}`),
);

catalogContract("SQL catalog with storage in memory", () =>
  sqlPlace(ROOT, createMemoryStorage(), "/warehouse"),
);

catalogContract("SQL catalog on the local disk", () =>
  sqlPlace(ROOT, local, `${ROOT}/warehouse-${places++}`),
);

catalogContract("pointer catalog whose namespaces have locations of their own", () =>
  pointerPlace(createMemoryStorage()),
);

catalogContract("REST catalog on a server in memory", () => restFakePlace(createMemoryStorage()));

catalogContract("Glue catalog on a service in memory", () => glueFakePlace(createMemoryStorage()));

catalogContract("Hive catalog on a metastore in memory", () =>
  hiveFakePlace(createMemoryStorage()),
);

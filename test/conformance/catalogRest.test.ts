/** The promises of every catalog, on Iceberg's own REST server. */
import { afterAll, beforeAll } from "bun:test";
import { systemDisk } from "#base/disk.ts";
import { systemRandom } from "#base/random.ts";
import { createLocalStorage } from "#storage/local.ts";
import { type IcebergRest, startIcebergRest } from "../../scripts/services/icebergRest.ts";
import { catalogContract } from "../support/catalogContract.ts";
import { restOptions, restPlace } from "../support/catalogPlaces.ts";

const local = createLocalStorage({ disk: systemDisk, random: systemRandom });
let server: IcebergRest;

beforeAll(async () => {
  server = await startIcebergRest();
}, 600_000);

afterAll(() => server?.stop());

catalogContract("REST catalog on Iceberg's own server", () =>
  restPlace(
    () => restOptions(server.uri),
    local,
    async (fault) => {
      if (fault === null) return;
      await server.fault({ mode: `drop-${fault}`, match: "^POST .*/tables/" });
    },
  ),
);

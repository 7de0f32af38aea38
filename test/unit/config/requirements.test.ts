/**
 * Every TOML block of the requirement documents loads as it stands (SPEC section 3).
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { requireBuilt } from "#config/built.ts";
import { loadRight, values } from "./helpers.ts";

const FOLDER = "test/fixtures/requirements";
const blocks = [...new Bun.Glob("*.toml").scanSync(FOLDER)].sort();
const variables = {
  AWS_ACCESS_KEY_ID: "AKIA",
  AWS_SECRET_ACCESS_KEY: "hidden",
  CATALOG_TOKEN: "hidden",
};

describe("TOML blocks of the requirement documents", () => {
  test("all of them are here", () => expect(blocks).toHaveLength(12));

  for (const block of blocks) {
    test(`${block} loads as it stands`, async () => {
      const config = await loadRight(readFileSync(`${FOLDER}/${block}`, "utf8"), { variables });
      expect(config.pipelines).toHaveLength(1);
    });
  }

  test("aliases reach their keys", async () => {
    const text = readFileSync(`${FOLDER}/001-line688.toml`, "utf8");
    const loaded = values(await loadRight(text));
    expect(loaded["iceberg.warehouse_path"]).toBe("s3://my-bucket/warehouse");
    expect(loaded["storage.s3.access_key_id"]).toBe("minioadmin");
    expect(loaded["storage.s3.endpoint"]).toBe("http://localhost:9000");
  });

  test("the file catalog's example can be run by this release", async () => {
    const text = readFileSync(`${FOLDER}/001-line688.toml`, "utf8");
    expect(requireBuilt(await loadRight(text))).toEqual([]);
  });

  test("the REST catalog's example, with compaction, can be run by this release", async () => {
    const text = readFileSync(`${FOLDER}/001-line719.toml`, "utf8");
    expect(requireBuilt(await loadRight(text, { variables }))).toEqual([]);
  });
});

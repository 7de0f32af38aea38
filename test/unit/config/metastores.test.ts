import { describe, expect, test } from "bun:test";
import { catalogOptions } from "#config/buildPipeline.ts";
import { tableFor } from "#config/tableNames.ts";
import { load, loadRight } from "./helpers.ts";

const GLUE = '[kafka]\ntopic = "Orders.v1"\n[iceberg]\ncatalog_type = "glue"\n';

async function pipelineOf(text: string) {
  const [pipeline] = (await loadRight(text)).pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  return pipeline;
}

async function problems(text: string): Promise<readonly string[]> {
  return (await load(text)).problems;
}

describe("the Glue catalog's settings", () => {
  test("by default: the environment says region and login, no archive, databases say where tables live", async () => {
    expect(catalogOptions(await pipelineOf(GLUE), false)).toMatchObject({
      type: "glue",
      region: null,
      endpoint: null,
      catalogId: null,
      roleArn: null,
      warehouse: null,
      skipArchive: true,
      connectionsMax: 5,
    });
    const set = await pipelineOf(`${GLUE}warehouse_path = "s3://lake/w"\n`);
    expect(catalogOptions(set, false)).toMatchObject({ warehouse: "s3://lake/w" });
  });

  test("what a topic brings into a name is put in the form that Glue keeps", async () => {
    const { values } = await pipelineOf(`${GLUE}table_name = "raw_{topic}"\n`);
    expect(tableFor(values, "Orders.v1")).toEqual({
      namespace: ["default"],
      table: "raw_orders_v1",
    });
    const { values: parts } = await pipelineOf(
      `${GLUE}database_name = "cdc_{schema}"\ntable_name = "{table}"\n`,
    );
    expect(tableFor(parts, "db.Public.Größe")).toEqual({
      namespace: ["cdc_public"],
      table: "gr__e",
    });
  });

  test("names that were set and that Glue would fold or split are refused with the nearest one", async () => {
    const found = await problems(
      `${GLUE}database_name = "Lake.raw"\ntable_name = "My-{topic}"\ntable_prefix = "A_"\n[iceberg.glue]\nendpoint = "localhost:5000"\n`,
    );
    expect(found).toEqual([
      expect.stringContaining("must be one level in Glue"),
      expect.stringContaining('the nearest is "lake"'),
      expect.stringContaining('the nearest is "my_"'),
      expect.stringContaining('the nearest is "a_"'),
      expect.stringContaining("must be a URL"),
    ]);
  });
});

describe("the Hive catalog's settings", () => {
  const HIVE = '[kafka]\ntopic = "Orders.v1"\n[iceberg]\ncatalog_type = "hive"\n[iceberg.hive]\n';

  test("several addresses, a login, and names in the form that Hive keeps", async () => {
    const pipeline = await pipelineOf(
      `${HIVE}metastore_uri = "thrift://a:9083, thrift://[::1]:9084"\nusername = "u"\npassword = "p"\n`,
    );
    expect(catalogOptions(pipeline, false)).toMatchObject({
      type: "hive",
      addresses: [
        { host: "a", port: 9083 },
        { host: "::1", port: 9084 },
      ],
      login: { user: "u", password: "p" },
      warehouse: null,
    });
    expect(tableFor(pipeline.values, "Orders.v1").table).toBe("orders_v1");
  });

  test("an address that is none, and a password without a user, are refused", async () => {
    const found = await problems(`${HIVE}metastore_uri = "http://a:9083"\npassword = "p"\n`);
    expect(found).toEqual([
      expect.stringContaining("must be thrift://host:port"),
      expect.stringContaining("needs iceberg.hive.username"),
    ]);
  });
});

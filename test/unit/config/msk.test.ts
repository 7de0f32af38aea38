import { expect, test } from "bun:test";
import { mskRegion } from "#config/msk.ts";
import { load, loadRight } from "./helpers.ts";

const BROKERS = 'bootstrap_servers = "b-1.demo.abc.c2.kafka.eu-west-1.amazonaws.com:9098"\n';
const sasl = (more = "") => `[kafka.sasl]\nmechanism = "aws-msk-iam"\n${more}`;
const TLS = "[kafka.ssl]\nenabled = true\n";

async function regionOf(text: string): Promise<string | null> {
  const [pipeline] = (await loadRight(text)).pipelines;
  return pipeline === undefined ? null : mskRegion(pipeline.values);
}

test("MSK's region is that of the brokers' names, unless set", async () => {
  const head = '[kafka]\ntopic = "events"\n';
  expect(await regionOf(head + BROKERS + sasl() + TLS)).toBe("eu-west-1");
  const serverless =
    'bootstrap_servers = "boot-x.c1.kafka-serverless.us-east-1.amazonaws.com:9098"\n';
  expect(await regionOf(head + serverless + sasl() + TLS)).toBe("us-east-1");
  expect(await regionOf(head + BROKERS + sasl('region = "us-west-2"\n') + TLS)).toBe("us-west-2");
});

test("MSK without TLS or region, and its keys without it, are refused", async () => {
  const bare = await load(`[kafka]\ntopic = "events"\n${sasl()}`);
  expect(bare.problems).toEqual([
    expect.stringContaining("needs kafka.ssl.enabled = true"),
    expect.stringContaining("needs kafka.sasl.region"),
  ]);
  const lone = await load('[kafka]\ntopic = "events"\n[kafka.sasl]\nrole_arn = "arn:x"\n');
  expect(lone.problems).toEqual([expect.stringContaining('mechanism = "aws-msk-iam"')]);
});

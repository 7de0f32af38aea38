/**
 * Schemas in files: of Protobuf, whose message is the format's.
 */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileDescriptorSet } from "protobufjs/ext/descriptor.js";
import { buildPipeline } from "#config/buildPipeline.ts";
import { openEnvironment } from "#config/environment.ts";
import { loadRight } from "./helpers.ts";

const TOPIC = '[kafka]\ntopic = "events"\n';

async function pipelineOf(text: string) {
  const config = await loadRight(text);
  const [pipeline] = config.pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  const environment = await openEnvironment(null, null, {});
  return buildPipeline(pipeline, environment, "instance");
}

test("a Protobuf schema is a file with what it imports, from the folders above too, or a descriptor set", async () => {
  const folder = mkdtempSync(join(tmpdir(), "schema-"));
  mkdirSync(join(folder, "acme"));
  const path = join(folder, "acme", "order.proto");
  const head = 'syntax = "proto3"; package acme;';
  writeFileSync(join(folder, "acme", "money.proto"), `${head} message Money { int64 cents = 1; }`);
  writeFileSync(
    path,
    `${head} import "acme/money.proto"; message Order { string id = 1; Money total = 2; } message Other { int32 a = 1; }`,
  );
  const source = `${TOPIC}[source]\nformat = "protobuf"\n[schema]\nfile = "${path}"\n`;
  const { decoder } = await pipelineOf(`${source}message = "acme.Order"\n`);
  expect(decoder).toMatchObject({ format: "protobuf", infer: false, onTombstone: "dead_letter" });
  expect(decoder.fields?.map(({ name, type }) => [name, type.kind])).toEqual([
    ["id", "string"],
    ["total", "struct"],
  ]);
  expect(pipelineOf(source)).rejects.toThrow("one of acme.Order, acme.Other");

  const set = FileDescriptorSet.encode({
    file: [
      {
        name: "event.proto",
        syntax: "proto3",
        messageType: [{ name: "Event", field: [{ name: "at", number: 1, label: 1, type: 3 }] }],
      },
    ],
  }).finish();
  writeFileSync(join(folder, "event.desc"), set);
  const described = await pipelineOf(
    `${TOPIC}[source]\nformat = "protobuf"\n[schema]\nfile = "${join(folder, "event.desc")}"\n`,
  );
  expect(described.decoder.fields).toMatchObject([{ name: "at", type: { kind: "long" } }]);
  writeFileSync(join(folder, "event.desc"), "nothing");
  expect(
    pipelineOf(
      `${TOPIC}[source]\nformat = "protobuf"\n[schema]\nfile = "${join(folder, "event.desc")}"\n`,
    ),
  ).rejects.toThrow("event.desc is no descriptor set");
  rmSync(folder, { recursive: true });
});

/**
 * Files of certificates and keys: what is none is told before anything is connected.
 */
import { expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPipeline } from "#config/buildPipeline.ts";
import { buildProcess } from "#config/buildProcess.ts";
import { openEnvironment } from "#config/environment.ts";
import { loadRight } from "./helpers.ts";

const TOPIC = '[kafka]\ntopic = "events"\n';
const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----";
const KEY = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----";

async function pipelineOf(text: string): Promise<unknown> {
  const [pipeline] = (await loadRight(text)).pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  return buildPipeline(pipeline, await openEnvironment(null, null, {}), "instance");
}

async function processOf(text: string): Promise<unknown> {
  return buildProcess(await loadRight(text), await openEnvironment(null, null, {}), 2 ** 30, false);
}

test("each file that is no certificate or key is refused, instead of connecting for ever", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pem-"));
  for (const [name, text] of [
    ["c", CERTIFICATE],
    ["k", KEY],
    ["x", "root:x:0:0"],
    ["e", ""],
  ]) {
    writeFileSync(join(folder, name ?? ""), text ?? "");
  }
  const kafka = (ca: string, cert: string, key: string) =>
    pipelineOf(
      `${TOPIC}[kafka.ssl]\nca_file = "${folder}/${ca}"\ncert_file = "${folder}/${cert}"\nkey_file = "${folder}/${key}"\n`,
    );
  const server = (ca: string, cert: string, key: string) =>
    processOf(
      `${TOPIC}[server]\ntls_client_ca_file = "${folder}/${ca}"\ntls_cert_file = "${folder}/${cert}"\ntls_key_file = "${folder}/${key}"\n`,
    );
  for (const build of [kafka, server]) {
    await build("c", "c", "k");
    for (const bad of ["x", "e"]) {
      expect(build(bad, "c", "k")).rejects.toThrow(`${folder}/${bad} is no PEM file`);
      expect(build("c", bad, "k")).rejects.toThrow("-----BEGIN CERTIFICATE-----");
      expect(build("c", "c", bad)).rejects.toThrow("-----BEGIN PRIVATE KEY-----");
    }
    expect(build("c", "k", "c")).rejects.toThrow("is no PEM file");
  }
});

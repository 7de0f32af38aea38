/** The container and its manifests are of this program: paths, ports, probes and times are those that it has. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "#config/load.ts";

type Item = { readonly [name: string]: unknown };
const read = (path: string): string => readFileSync(path, "utf8");
const documents = read("deploy/kubernetes/kafka-iceberg.yaml")
  .split(/^---$/m)
  .map((text) => Bun.YAML.parse(text) as Item & { readonly kind: string });

/** What is at a path of names and indexes. */
function at(item: unknown, path: string): unknown {
  return path.split(".").reduce((each, name) => (each as Item | undefined)?.[name], item);
}

const ofKind = (kind: string): unknown => documents.find((each) => each.kind === kind);
const POD = "spec.template.spec";
const CONTAINER = `${POD}.containers.0`;

test("the configuration in the manifest loads and can be run, and the rest of it agrees with it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "containers-"));
  const file = join(folder, "config.toml");
  writeFileSync(file, String(at(ofKind("ConfigMap"), "data")?.["config.toml" as never]));
  const variables = { S3_ACCESS_KEY_ID: "k", S3_SECRET_ACCESS_KEY: "s" };
  const loaded = await loadConfig({ file, envFile: null, flags: {}, purpose: "run", variables });
  rmSync(folder, { recursive: true });
  if (!("config" in loaded)) throw new Error(JSON.stringify(loaded.problems));
  const { values } = loaded.config;
  const set = ofKind("StatefulSet");
  expect(values["server.health_address"]).toBe(
    `0.0.0.0:${at(set, `${CONTAINER}.ports.0.containerPort`)}`,
  );
  const graceMs = Number(at(set, `${POD}.terminationGracePeriodSeconds`)) * 1000;
  expect(graceMs).toBeGreaterThan(values["server.shutdown_timeout_ms"]);
  expect(at(ofKind("Service"), "spec.ports.0.port")).toBe(
    at(set, `${CONTAINER}.ports.0.containerPort`),
  );
  const routes = read("src/app/routes.ts");
  for (const probe of ["readinessProbe", "livenessProbe"]) {
    expect(routes).toContain(`path: "${at(set, `${CONTAINER}.${probe}.httpGet.path`)}"`);
  }
  const monitor = Bun.YAML.parse(read("deploy/kubernetes/podMonitor.yaml"));
  expect(routes).toContain(`path: "${at(monitor, "spec.podMetricsEndpoints.0.path")}"`);
});

test("nothing in it is root, writes outside of its volumes, or may become more than it is", () => {
  const set = ofKind("StatefulSet");
  expect(at(set, `${POD}.securityContext.runAsNonRoot`)).toBe(true);
  expect(at(set, `${POD}.automountServiceAccountToken`)).toBe(false);
  expect(at(set, `${CONTAINER}.securityContext`)).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  const file = read("deploy/container/Dockerfile");
  expect(file).toContain("ARG BASE=gcr.io/distroless/cc-debian12:nonroot\n");
  expect(file).toContain("\nUSER 65532:65532\n");
  expect(read("scripts/build.ts")).toContain(`"${/COPY (\S+)/.exec(file)?.[1]}"`);
  const state = /ENV STATE_DIRECTORY=(\S+)/.exec(file)?.[1];
  const mounts = at(set, `${CONTAINER}.volumeMounts`) as readonly {
    mountPath: string;
    name: string;
  }[];
  expect(mounts.find(({ name }) => name === "state")?.mountPath).toBe(String(state));
  const command = JSON.parse(/CMD (\[.*\])/.exec(file)?.[1] ?? "[]") as unknown;
  expect(at(set, `${CONTAINER}.args`)).toEqual(command);
});

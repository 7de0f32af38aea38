/** Prometheus on the loopback address, scraping one address every second and judging alert rules as often. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianFolder } from "./peers.ts";
import { freePort, run, startService, temporaryFolder } from "./process.ts";

/** A running Prometheus. */
export interface Prometheus {
  /** How many series an instant query has. */
  series(query: string): Promise<number>;
  /** Names of the alerts that fire now. */
  firing(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** Starts it. @param rules text of a rule file @param target `host:port` of `/metrics` */
export async function startPrometheus(rules: string, target: string): Promise<Prometheus> {
  const binaries = join(await debianFolder("prometheus", ["prometheus"]), "usr", "bin");
  const folder = await temporaryFolder("prometheus");
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "alerts.yml"), rules);
  writeFileSync(
    join(folder, "prometheus.yml"),
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [alerts.yml]
scrape_configs:
  - job_name: kafka-iceberg
    static_configs: [{ targets: ["${target}"] }]
`,
  );
  await run([join(binaries, "promtool"), "check", "rules", join(folder, "alerts.yml")]);
  const address = `127.0.0.1:${freePort()}`;
  const service = await startService({
    name: "Prometheus",
    command: [
      join(binaries, "prometheus"),
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
    ],
    logFile: join(folder, "prometheus.log"),
    ready: (log) => log.includes("Server is ready to receive web requests"),
  });
  const ask = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://${address}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as {
      readonly status: string;
      readonly data: unknown;
      readonly error?: string;
    };
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data;
  };
  return {
    series: async (query) => {
      const found = (await ask(`query?query=${encodeURIComponent(query)}`)) as {
        readonly result: readonly unknown[];
      };
      return found.result.length;
    },
    firing: async () => {
      const { alerts } = (await ask("alerts")) as {
        readonly alerts: readonly {
          readonly state: string;
          readonly labels: { alertname: string };
        }[];
      };
      return alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels.alertname);
    },
    stop: () => service.stop(),
  };
}

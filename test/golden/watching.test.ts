/** What watches the process asks for metrics that it serves: deploy/prometheus and deploy/grafana. */
import { expect, test } from "bun:test";
import { METRICS } from "#server/metricTable.ts";
import { dashboardJson, dashboardQueries } from "../../scripts/docs/grafana.ts";

const SERVED = new Map(
  METRICS.flatMap((spec) => {
    const ends = spec.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    const names = [spec.name, ...(spec.aliases ?? [])];
    const labels = [...spec.labels, "pipeline", "le"];
    return names.flatMap((name) => ends.map((end) => [name + end, labels] as const));
  }),
);
const KNOWN = ["instance", "job", "severity"];

/** Names in a query that are no metric with these labels, none of Prometheus's words, and no label. */
function unknownIn(query: string): readonly string[] {
  const plain = query.replaceAll(/"[^"]*"/g, '""');
  const metrics = [...plain.matchAll(/\b[a-z]+(?:_[a-z]+)+\b/g)].map(([name]) => name);
  const words = ["histogram_quantile", "min_over_time", "catalog_type"];
  const unknown = metrics.filter((name) => !SERVED.has(name) && !words.includes(name));
  const labels = [...plain.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = ""]) =>
    list.split(/, */),
  );
  const served = metrics.flatMap((name) => SERVED.get(name) ?? []);
  return [...unknown, ...labels.filter((label) => !served.includes(label))];
}

test("the dashboard is current, and asks for metrics that are served, by labels that they have", async () => {
  expect(await Bun.file("deploy/grafana/kafka-iceberg.json").text()).toBe(dashboardJson());
  const queries = dashboardQueries("1m");
  expect(queries.length).toBeGreaterThan(20);
  for (const query of queries) expect([query, unknownIn(query)]).toEqual([query, []]);
});

test("alerts ask for metrics that are served, by labels that they have, and each says what it is", async () => {
  const text = await Bun.file("deploy/prometheus/alerts.yml").text();
  const { groups } = Bun.YAML.parse(text) as {
    groups: { rules: { alert: string; expr: string; annotations: Record<string, string> }[] }[];
  };
  const rules = groups.flatMap(({ rules: some }) => some);
  expect(rules.length).toBe(new Set(rules.map(({ alert }) => alert)).size);
  const types = METRICS.find(({ name }) => name === "errors_total")?.values?.["type"] ?? [];
  for (const { alert, expr, annotations } of rules) {
    expect([alert, unknownIn(expr)]).toEqual([alert, []]);
    expect(Object.keys(annotations)).toEqual(["summary", "description"]);
    for (const [, wanted = ""] of expr.matchAll(/type=~?"([^"]*)"/g)) {
      expect(types).toEqual(expect.arrayContaining(wanted.split("|")));
    }
    const said = `${annotations["summary"]} ${annotations["description"]}`;
    const labels = [...said.matchAll(/\$labels\.(\w+)/g)].map(([, label = ""]) => label);
    const has = [...expr.matchAll(/\w+/g)].flatMap(([name]) => SERVED.get(name) ?? []);
    expect([alert, labels.filter((each) => ![...has, ...KNOWN].includes(each))]).toEqual([
      alert,
      [],
    ]);
  }
});

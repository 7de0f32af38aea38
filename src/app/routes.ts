/**
 * What is served over HTTP: `/health`, `/ready`, `/status`, `/metrics` (SPEC section 7), made from memory,
 * so that nothing waits for a dependency; `/tables/NAME`, which may ask the catalog; and the page at `/`.
 */
import { dashboardRoutes } from "#server/dashboard/dashboard.ts";
import type { Metrics } from "#server/metrics.ts";
import { openapiRoute } from "#server/openapi.ts";
import { type Route, SMALL } from "#server/route.ts";
import { jsonAnswer } from "#server/server.ts";
import type { StatusSource } from "#server/status.ts";
import { type TableReader, tableRoute } from "./tableReport.ts";

/** The routes of a running process. */
export function routesOf(
  status: StatusSource,
  metrics: Metrics,
  readers: () => readonly TableReader[],
): Route[] {
  const onHealth = { method: "GET", listeners: ["health"], limits: SMALL } as const;
  return [
    {
      ...onHealth,
      path: "/health",
      access: "public",
      answer: () => {
        const report = status.health();
        return jsonAnswer(report.status === "failed" ? 503 : 200, report);
      },
    },
    {
      ...onHealth,
      path: "/ready",
      access: "public",
      answer: () => {
        const ready = status.ready();
        return jsonAnswer(ready ? 200 : 503, { ready });
      },
    },
    {
      ...onHealth,
      path: "/status",
      access: "token",
      answer: () => jsonAnswer(200, status.status()),
    },
    tableRoute(readers),
    openapiRoute(() => status.status().version),
    {
      ...onHealth,
      path: "/metrics",
      listeners: ["health", "metrics"],
      access: "public",
      answer: async () => {
        const text = await metrics.text(status.status());
        return new Response(text, { headers: { "content-type": metrics.contentType } });
      },
    },
    ...dashboardRoutes(),
  ];
}

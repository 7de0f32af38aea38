/**
 * Names under which metrics are served.
 */
import { METRICS } from "#server/metricTable.ts";

/** Names of all metrics, aliases included. */
export function metricNames(): string[] {
  return METRICS.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
}

/**
 * The plot of docs/BENCHMARKS.md: rows per CPU-second by side and codec, as SVG.
 */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { type Entry, spreadOf } from "./figures.ts";

/** Draws the ingest entries. */
export async function plotSvg(entries: readonly Entry[]): Promise<string> {
  const values = entries
    .filter((entry) => entry.kind === "ingest")
    .map(({ side, codec, runs }) => ({
      side: side === "ours" ? "kafka-iceberg" : side,
      codec,
      rate: spreadOf(runs.map((run) => run.rowsPerCpuSecond)).median,
    }));
  const specification: TopLevelSpec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: "Rows per CPU-second, 270-byte JSON events into Parquet (more is better)",
    background: "white",
    width: 520,
    height: { step: 16 },
    data: { values },
    mark: "bar",
    encoding: {
      y: { field: "side", type: "nominal", sort: "-x", title: null },
      yOffset: { field: "codec", type: "nominal" },
      x: { field: "rate", type: "quantitative", title: null, axis: { format: "~s" } },
      color: { field: "codec", type: "nominal", title: "Parquet codec" },
    },
  };
  return new View(parse(compile(specification).spec), { renderer: "none" }).toSVG();
}

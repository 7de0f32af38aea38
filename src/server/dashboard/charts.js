/** Five charts of the last ten minutes, drawn by uPlot. */

const POINTS_MAX = 600;
const HEIGHT = 150;
const COLOURS = ["#2f81f7", "#d9822b"];

const CHARTS = [
  {
    title: "Throughput, rows/s",
    series: [
      ["consumed", "read"],
      ["committed", "committed"],
    ],
  },
  {
    title: "Lag",
    series: [
      ["lag", "records"],
      ["lagSeconds", "seconds"],
    ],
    twoScales: true,
  },
  {
    title: "Freshness, s",
    series: [
      ["queryable", "queryable"],
      ["committedAge", "committed"],
    ],
  },
  {
    title: "Buffer",
    series: [
      ["bufferedMb", "MB"],
      ["bufferedRows", "rows"],
    ],
    twoScales: true,
  },
  { title: "Snapshots, since the start", series: [["snapshots", "snapshots"]] },
];

/** Draws empty charts; the answer takes further points, as `pointBetween` makes them. */
export function createCharts(place) {
  const points = [];
  const charts = CHARTS.map((chart) => ({ ...chart, plot: draw(place, chart) }));
  return (point) => {
    points.push(point);
    if (points.length > POINTS_MAX) points.shift();
    const times = points.map(({ time }) => time);
    for (const { plot, series } of charts) {
      plot.setData([times, ...series.map(([key]) => points.map((each) => each[key]))]);
      // The newest values, unless somebody points at others.
      if (plot.cursor.idx == null) plot.setLegend({ idx: times.length - 1 });
    }
  };
}

function draw(place, { title, series, twoScales = false }) {
  const card = document.createElement("div");
  card.className = "card";
  const heading = document.createElement("h2");
  heading.textContent = title;
  card.append(heading);
  place.append(card);
  const style = getComputedStyle(document.documentElement);
  const axis = {
    stroke: style.getPropertyValue("color"),
    grid: { stroke: "rgba(128, 128, 128, 0.15)", width: 1 },
    ticks: { show: false },
    size: 60,
    values: (_plot, values) => values.map(shortNumber),
  };
  const scaleOf = (at) => (twoScales && at === 1 ? "second" : "y");
  const lines = series.map(([, label], at) => ({
    label,
    scale: scaleOf(at),
    stroke: COLOURS[at],
    width: 1.5,
    spanGaps: true,
    points: { show: false },
    value: (_plot, value) => (value === null || value === undefined ? "-" : shortNumber(value)),
  }));
  const second = { ...axis, scale: "second", side: 1, grid: { show: false } };
  const fromZero = { range: (_plot, _least, most) => [0, most > 0 ? most * 1.1 : 1] };
  const width = () => Math.max(200, card.clientWidth - 24);
  const plot = new uPlot(
    {
      width: width(),
      height: HEIGHT,
      scales: { y: fromZero, second: fromZero },
      axes: [
        { ...axis, size: 42, values: undefined },
        { ...axis, scale: "y" },
        ...(twoScales ? [second] : []),
      ],
      series: [{ label: "time", value: "{HH}:{mm}:{ss}" }, ...lines],
      legend: { live: true },
    },
    [[], ...series.map(() => [])],
    card,
  );
  new ResizeObserver(() => plot.setSize({ width: width(), height: HEIGHT })).observe(card);
  return plot;
}

/** `1234567` -> `1.2M`. */
function shortNumber(value) {
  if (value === null) return "";
  return new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(
    value,
  );
}

/** The page: it asks `/status` and `/metrics` again and again, and shows what they say. */
import { ask, setToken } from "./ask.js";
import { fillTable, say } from "./cells.js";
import { createCharts } from "./charts.js";
import { createConsole } from "./console.js";
import { pointBetween, readFigures } from "./figures.js";

const EVERY_MS = 1000;
/** A process with thousands of partitions is asked less often: the page takes a twentieth of its time at most. */
const PAUSE_FACTOR = 20;

const COLUMNS = [
  { name: "pipeline" },
  { name: "table" },
  { name: "state" },
  { name: "committed rows", isNumber: true },
  { name: "buffered rows", isNumber: true },
  { name: "last commit" },
  { name: "snapshot" },
  { name: "last error" },
];

const element = (id) => document.getElementById(id);
const addPoint = createCharts(element("charts"));
createConsole(element("console"));
element("token").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(event.target.querySelector("input").value);
  element("token").hidden = true;
});

let before = null;
for (;;) {
  const beganMs = performance.now();
  try {
    await look();
  } catch (error) {
    say(element("trouble"), `The process does not answer: ${error.message}`);
  }
  const tookMs = performance.now() - beganMs;
  await new Promise((resolve) => setTimeout(resolve, Math.max(EVERY_MS, tookMs * PAUSE_FACTOR)));
}

async function look() {
  const [status, metrics] = await Promise.all([ask("status"), ask("metrics")]);
  say(element("trouble"), status.isOk ? "" : (status.body.error ?? String(status.body)));
  if (status.isRefused) element("token").hidden = false;
  if (!status.isOk || !metrics.isOk) return;
  const after = readFigures(status.body, metrics.body);
  if (before !== null) addPoint(pointBetween(before, after));
  before = after;
  showTables(status.body);
}

function showTables({ version, startedMs, nowMs, pipelines }) {
  say(element("process"), `${version}, up ${duration(nowMs - startedMs)}`);
  const rows = pipelines.flatMap(({ name, tables }) =>
    tables.map((table) => [
      name,
      table.table,
      table.state,
      table.rowsCommitted,
      table.bufferedRows,
      table.lastCommitMs === null ? "" : `${duration(nowMs - table.lastCommitMs)} ago`,
      table.lastSnapshotId ?? "",
      table.lastError ?? "",
    ]),
  );
  fillTable(element("tables"), COLUMNS, rows);
}

/** `3725000` -> `1 h 2 min`. */
function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

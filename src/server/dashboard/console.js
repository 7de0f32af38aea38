/** The SQL console: one statement at a time, its answer as a table, its error as an error. */
import { ask } from "./ask.js";
import { fillTable, say } from "./cells.js";

/** More rows would only slow the page down: the answer says how many there are. */
const ROWS_SHOWN_MAX = 1000;
const NUMBERS = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL)/;

/** Lets people ask. @param place the section of the page */
export function createConsole(place) {
  const of = (selector) => place.querySelector(selector);
  const [form, text, run, cancel] = ["form", "#sql", "#run", "#cancel"].map(of);
  const [failure, answered, table] = ["#failure", "#answered", "#answer"].map(of);
  let asked = null;
  const show = ({ isOk, body }) => {
    const rows = isOk ? body.rows : [];
    const columns = isOk ? body.columns : [];
    say(failure, isOk ? "" : (body.error ?? String(body)));
    say(answered, isOk ? summary(body) : "");
    fillTable(
      table,
      columns.map(({ name, type }) => ({ name, note: type, isNumber: NUMBERS.test(type) })),
      rows.slice(0, ROWS_SHOWN_MAX),
    );
  };
  const submit = async () => {
    if (asked !== null) return;
    asked = new AbortController();
    [run.disabled, cancel.disabled] = [true, false];
    try {
      const body = JSON.stringify({ sql: text.value });
      show(await ask("query", { method: "POST", body, signal: asked.signal }));
    } catch (error) {
      const sentence = asked.signal.aborted ? "Cancelled" : `There is no answer: ${error.message}`;
      show({ isOk: false, body: { error: sentence } });
    } finally {
      asked = null;
      [run.disabled, cancel.disabled] = [false, true];
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void submit();
  });
  cancel.addEventListener("click", () => asked?.abort());
}

function summary({ rows, row_count, elapsed_ms, snapshot_id, hot_partitions }) {
  const shown = rows.length > ROWS_SHOWN_MAX ? `, the first ${ROWS_SHOWN_MAX} are shown` : "";
  const parts = [`${row_count} rows${shown}`, `${elapsed_ms} ms`];
  if (snapshot_id !== null) parts.push(`snapshot ${snapshot_id}`);
  if (hot_partitions.length > 0) parts.push(`with rows in memory of ${hot_partitions.join(", ")}`);
  return parts.join(" · ");
}

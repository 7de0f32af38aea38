/** Tables of text. Nothing that comes from data is read as HTML: it becomes text of a node. */

/** Fills a `<table>`: a head of `{ name, note, isNumber }`, rows of values. */
export function fillTable(table, columns, rows) {
  const isNumber = columns.map((column) => column.isNumber === true);
  table.tHead.replaceChildren(
    rowOf(
      columns.map(({ name, note = "" }) => {
        const cell = document.createElement("th");
        cell.scope = "col";
        cell.textContent = name;
        if (note === "") return cell;
        const small = document.createElement("small");
        small.textContent = ` ${note}`;
        cell.append(small);
        return cell;
      }),
      isNumber,
    ),
  );
  table.tBodies[0].replaceChildren(...rows.map((row) => rowOf(row.map(cellOf), isNumber)));
}

/** Shows a sentence, or hides its place where there is none. */
export function say(element, sentence) {
  element.textContent = sentence;
  element.hidden = sentence === "";
}

function rowOf(cells, isNumber) {
  const row = document.createElement("tr");
  cells.forEach((cell, at) => {
    if (isNumber[at]) cell.classList.add("number");
  });
  row.append(...cells);
  return row;
}

function cellOf(value) {
  const cell = document.createElement("td");
  if (value === null) cell.classList.add("nothing");
  cell.textContent = textOf(value);
  return cell;
}

function textOf(value) {
  if (value === null) return "NULL";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

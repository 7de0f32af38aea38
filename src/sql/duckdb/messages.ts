/** What DuckDB says, as it is passed on. */

/**
 * DuckDB's messages show where in the statement, over several lines, and of its own faults where in its code. An
 * allocation that fails within a function is one of these to it, though it is the statement that wants too much.
 */
export function oneLine(message: string): string {
  if (/^(?:\w+ Error: )?Memory allocation failure/.test(message)) return OUT_OF_MEMORY;
  const [sentence = message] = message.split(/\n\nLINE |\s+Stack Trace:/);
  return sentence.replaceAll(/\s*\n\s*/g, " ").trim();
}

const OUT_OF_MEMORY =
  "Out of Memory Error: a part of the statement takes more than the SQL engine may have";

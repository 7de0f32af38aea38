/**
 * Line numbers of the keys of a TOML text, which Bun's parser does not tell.
 *
 * A small scanner of statements: table headers and `key = value`, values skipped with their strings,
 * brackets and comments. It checks nothing; the parser does. Inside inline tables a key's line is
 * that of the statement.
 */

/** One header or one `key = value`. */
export interface Statement {
  /** 1-based line of its first character. */
  readonly line: number;
  /** Full path; elements of arrays of tables by number: `pipelines`, `0`, `kafka`, `topic`. */
  readonly path: readonly string[];
  /** Offset just behind the statement. */
  readonly end: number;
}

/** The statements of a TOML text in order, as far as it can be followed. */
export function scanStatements(text: string): Statement[] {
  const statements: Statement[] = [];
  /** Current element of each array of tables, by joined path. */
  const elements = new Map<string, number>();
  let table: string[] = [];
  let at = 0;
  for (;;) {
    at = skipBlank(text, at);
    if (at >= text.length) return statements;
    const start = at;
    const line = lineAt(text, start);
    const header = text[at] === "[";
    const isArray = header && text[at + 1] === "[";
    const { keys, next } = readKeys(text, at + (isArray ? 2 : header ? 1 : 0));
    if (header) {
      table = resolveElements(keys, elements, isArray);
      at = skipLine(text, next);
    } else {
      at = skipValue(text, next);
    }
    if (at <= start) at = skipLine(text, start + 1);
    statements.push({ line, path: header ? table : [...table, ...keys], end: at });
  }
}

/** The line of a path, or of its nearest parent that has one; null when there is none. */
export function lineOf(statements: readonly Statement[], path: readonly string[]): number | null {
  for (let length = path.length; length > 0; length--) {
    const wanted = path.slice(0, length).join("\n");
    const found = statements.find((statement) => statement.path.join("\n") === wanted);
    if (found !== undefined) return found.line;
  }
  return null;
}

function resolveElements(
  keys: readonly string[],
  elements: Map<string, number>,
  isArray: boolean,
): string[] {
  const path: string[] = [];
  keys.forEach((key, index) => {
    path.push(key);
    const joined = path.join("\n");
    const last = index === keys.length - 1;
    if (last && isArray) elements.set(joined, (elements.get(joined) ?? -1) + 1);
    const element = elements.get(joined);
    if (element !== undefined) path.push(String(element));
  });
  return path;
}

/** A dotted key from `at`; stops behind the last part. */
function readKeys(text: string, at: number): { keys: string[]; next: number } {
  const keys: string[] = [];
  const part = /[ \t]*(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*(\.)?/y;
  part.lastIndex = at;
  let next = at;
  for (let match = part.exec(text); match !== null; match = part.exec(text)) {
    keys.push(match[1] ?? match[2] ?? match[3] ?? "");
    next = part.lastIndex;
    if (match[4] === undefined) break;
  }
  return { keys, next };
}

/** Skips `= value` up to the end of its line, over strings and brackets that span lines. */
function skipValue(text: string, at: number): number {
  const token = /"""[\s\S]*?"{3,5}|'''[\s\S]*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\s\S]/y;
  token.lastIndex = at;
  let depth = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const found = match[0];
    if (found === "[" || found === "{") depth++;
    else if (found === "]" || found === "}") depth--;
    else if (found === "\n" && depth <= 0) return token.lastIndex;
  }
  return text.length;
}

function skipLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
}

/** Skips white space and comments. */
function skipBlank(text: string, at: number): number {
  const blank = /(?:\s+|#[^\n]*)*/y;
  blank.lastIndex = at;
  blank.exec(text);
  return blank.lastIndex;
}

function lineAt(text: string, at: number): number {
  let line = 1;
  for (let end = text.indexOf("\n"); end >= 0 && end < at; end = text.indexOf("\n", end + 1))
    line++;
  return line;
}

/**
 * The file map of docs/ARCHITECTURE.md: each file of `src/` with the first sentence of its header.
 */

/** The map as a Markdown table, in path order. */
export async function fileMap(): Promise<string> {
  const rows = ["| file | what |", "| --- | --- |"];
  for (const path of [...new Bun.Glob("**/*.ts").scanSync("src")].sort()) {
    rows.push(`| \`${path}\` | ${firstSentence(await Bun.file(`src/${path}`).text())} |`);
  }
  return rows.join("\n");
}

function firstSentence(text: string): string {
  const header = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? "";
  const prose = header
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""))
    .join(" ")
    .replaceAll(/\s+/g, " ")
    .trim();
  const end = prose.search(/\.(\s|$)/);
  return (end < 0 ? prose : prose.slice(0, end)).replaceAll("|", "\\|");
}

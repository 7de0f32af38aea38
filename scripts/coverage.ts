/**
 * Sums an lcov report by folder of `src/` (SPEC section 11: 80 % of lines and functions in each).
 */

/** Coverage of one folder; shares between 0 and 1. */
export interface FolderCoverage {
  readonly folder: string;
  readonly lines: number;
  readonly functions: number;
}

interface Sums {
  linesFound: number;
  linesHit: number;
  functionsFound: number;
  functionsHit: number;
}

/**
 * Coverage by first folder below `src/`, sorted. Of several reports each file counts as the one in
 * which most of it ran: a lower bound of what all of them ran together.
 */
export function folderCoverage(reports: readonly string[]): FolderCoverage[] {
  const files = new Map<string, Sums>();
  for (const record of reports.flatMap((report) => report.split("end_of_record"))) {
    const path = /^SF:.*?src\/(.*)$/m.exec(record)?.[1];
    if (path === undefined) continue;
    const seen = files.get(path);
    files.set(path, {
      linesFound: Math.max(seen?.linesFound ?? 0, tag(record, "LF")),
      linesHit: Math.max(seen?.linesHit ?? 0, tag(record, "LH")),
      functionsFound: Math.max(seen?.functionsFound ?? 0, tag(record, "FNF")),
      functionsHit: Math.max(seen?.functionsHit ?? 0, tag(record, "FNH")),
    });
  }
  const folders = new Map<string, Sums>();
  for (const [path, file] of files) {
    const folder = path.includes("/") ? path.slice(0, path.indexOf("/")) : "(top)";
    const sum = folders.get(folder);
    folders.set(folder, {
      linesFound: (sum?.linesFound ?? 0) + file.linesFound,
      linesHit: (sum?.linesHit ?? 0) + file.linesHit,
      functionsFound: (sum?.functionsFound ?? 0) + file.functionsFound,
      functionsHit: (sum?.functionsHit ?? 0) + file.functionsHit,
    });
  }
  return [...folders].sort().map(([folder, s]) => ({
    folder,
    lines: share(s.linesHit, s.linesFound),
    functions: share(s.functionsHit, s.functionsFound),
  }));
}

function tag(record: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)$`, "m").exec(record)?.[1] ?? 0);
}

function share(hit: number, found: number): number {
  return found === 0 ? 1 : hit / found;
}

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

/** Coverage by first folder below `src/`, sorted. */
export function folderCoverage(lcov: string): FolderCoverage[] {
  const sums = new Map<string, Sums>();
  for (const record of lcov.split("end_of_record")) {
    const path = /^SF:.*?src\/(.*)$/m.exec(record)?.[1];
    if (path === undefined) continue;
    const folder = path.includes("/") ? path.slice(0, path.indexOf("/")) : "(top)";
    const sum = sums.get(folder) ?? {
      linesFound: 0,
      linesHit: 0,
      functionsFound: 0,
      functionsHit: 0,
    };
    sum.linesFound += tag(record, "LF");
    sum.linesHit += tag(record, "LH");
    sum.functionsFound += tag(record, "FNF");
    sum.functionsHit += tag(record, "FNH");
    sums.set(folder, sum);
  }
  return [...sums].sort().map(([folder, s]) => ({
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

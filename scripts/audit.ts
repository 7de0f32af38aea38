/**
 * The audit of what we depend on, `bun scripts/audit.ts`, a step of the gate: every package is pinned by a hash, none
 * runs a script of its own when it is installed but those that package.json allows, and the registry knows of no
 * grave weakness of what travels in the executable.
 *
 * The last needs the network: a registry that is away or keeps no advisories is told, and fails nothing.
 */
import { readFileSync } from "node:fs";

const ASK_MS = 20_000;
const GRAVE = ["high", "critical"];

/** A package of package-lock.json. */
interface Locked {
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly optional?: boolean;
}

/** What of package-lock.json may not be, a sentence for each. */
export function lockProblems(
  packages: Readonly<Record<string, Locked>>,
  allowed: readonly string[],
): readonly string[] {
  return Object.entries(packages).flatMap(([path, { integrity, hasInstallScript, optional }]) => {
    if (path === "") return [];
    const name = path.replace(/^.*node_modules\//, "");
    // A hash of a platform's package that the registry did not have is not known (decision 0080).
    const unpinned = integrity === undefined && optional !== true;
    const runs = hasInstallScript === true && !allowed.includes(name);
    return [
      ...(unpinned ? [`${path} has no hash`] : []),
      ...(runs
        ? [`${path} runs a script when it is installed, which package.json does not allow`]
        : []),
    ];
  });
}

/** What `npm audit --json` says of grave weaknesses, a line for each; null: the registry did not say. */
export function graveWeaknesses(answer: string): readonly string[] | null {
  const { vulnerabilities } = parsed(answer);
  if (vulnerabilities === undefined) return null;
  return Object.values(vulnerabilities)
    .filter(({ severity }) => GRAVE.includes(severity))
    .map(({ name, severity, range }) => `${name} ${range}: ${severity}`);
}

interface Answer {
  readonly vulnerabilities?: Readonly<
    Record<string, { readonly name: string; readonly severity: string; readonly range: string }>
  >;
}

function parsed(answer: string): Answer {
  try {
    return JSON.parse(answer) as Answer;
  } catch {
    return {};
  }
}

if (import.meta.main) {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const { allowScripts } = JSON.parse(readFileSync("package.json", "utf8")) as {
    readonly allowScripts: Readonly<Record<string, boolean>>;
  };
  const problems = lockProblems(lock.packages, Object.keys(allowScripts));
  const child = Bun.spawn(["npm", "audit", "--omit=dev", "--json"], {
    stdout: "pipe",
    stderr: "ignore",
    timeout: ASK_MS,
  });
  const weaknesses = graveWeaknesses(await new Response(child.stdout).text());
  for (const problem of [...problems, ...(weaknesses ?? [])]) console.error(problem);
  if (weaknesses === null) console.log("The registry keeps no advisories, or is away: not asked");
  process.exit(problems.length + (weaknesses?.length ?? 0) === 0 ? 0 : 1);
}

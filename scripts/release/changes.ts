/** What the changelog says about one version. */

/**
 * Its section, without the heading.
 * @throws Error there is none
 */
export function changesOf(changelog: string, version: string): string {
  const heading = new RegExp(`^## ${RegExp.escape(version)}(?=\\s|$).*$`, "m").exec(changelog);
  if (heading === null) throw new Error(`docs/CHANGELOG.md says nothing about ${version}`);
  const rest = changelog.slice(heading.index + heading[0].length);
  const next = rest.search(/^## /m);
  return `${(next < 0 ? rest : rest.slice(0, next)).trim()}\n`;
}

/**
 * Where the code of a Worker is: beside us, or in the executable, where every module has the main file's
 * URL and entry points keep their path below the build's root, `src/`.
 */

/** The URL of an entry point (`scripts/build.ts`). @param path below `src/` */
export function workerUrl(path: string): URL {
  const inExecutable = Bun.embeddedFiles.length > 0;
  return new URL(inExecutable ? `./${path}` : `../${path}`, import.meta.url);
}

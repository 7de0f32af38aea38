/**
 * The process's entry: sets the compiler of what runs for long, then loads the command.
 *
 * The engine reads its options once, before any of our code: a process that wants others executes
 * itself again, under the same process id. What is loaded before that is loaded twice, so this file
 * imports nothing. Decision 0370.
 */

/**
 * Executions after which a function is compiled with most optimisations, and with every one; the engine's own
 * are 1,000 and 100,000. The data path's loops are WASM, so that compiling JavaScript sooner does not pay.
 */
const OPTIMIZE_AFTER = "5000";
const OPTIMIZE_FULLY_AFTER = "1000000";
const OPTIMIZE_VARIABLE = "BUN_JSC_thresholdForOptimizeAfterWarmUp";
const VARIABLE = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
/**
 * Threads of the engine's for files; its own number is that of the cores. They hardly compute: they wait for the
 * disk, which makes durable together what many ask at once. As many as tables of a pipeline are written at once.
 */
const FILE_THREADS = "16";
const FILE_THREADS_VARIABLE = "UV_THREADPOOL_SIZE";
const LONG_RUNNING = ["run", "load-test"];

// In the source tree `execPath` is Bun, which has other words before ours.
if (Bun.main.startsWith("/$bunfs/")) executeAgain(process.argv.slice(2));
// Engines of a process of ours, which starts them by these words (sql/engineProcess.ts, sql/rewrite/rewriteProcess.ts).
if (process.argv[2] === "sql-engine") await import("./sql/child.ts");
else if (process.argv[2] === "rewrite-engine") await import("./sql/rewrite/child.ts");
else await import("./command.ts");

function executeAgain(words: readonly string[]): void {
  const isLong = words.some((word) => LONG_RUNNING.includes(word));
  if (!isLong || process.env[VARIABLE] !== undefined) return;
  try {
    const own = { [FILE_THREADS_VARIABLE]: FILE_THREADS, [OPTIMIZE_VARIABLE]: OPTIMIZE_AFTER };
    const env = { ...own, ...process.env, [VARIABLE]: OPTIMIZE_FULLY_AFTER };
    process.execve?.(process.execPath, [process.execPath, ...words], env);
  } catch {
    // As fast a little later: the process goes on with the engine's own options.
  }
}

export {};

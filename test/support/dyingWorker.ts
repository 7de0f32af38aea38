/** A Worker that exits in the middle of its first job, as after a crash. */
declare const self: Worker;

self.onmessage = (): void => {
  process.exit(3);
};
self.postMessage({ type: "ready" });

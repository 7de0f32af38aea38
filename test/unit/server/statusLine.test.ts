/**
 * The live status line.
 */
import { describe, expect, test } from "bun:test";
import { startStatusLine, statusText } from "#server/statusLine.ts";
import { FakeStatus, pipeline, report, table } from "../../fakes/statusReports.ts";

/** A stream that remembers, and a clock that goes on when told. */
function parts(isTTY: boolean) {
  const written: string[] = [];
  const sleepers: (() => void)[] = [];
  return {
    written,
    tick: async () => {
      for (const wake of sleepers.splice(0)) wake();
      await Promise.resolve();
      await Promise.resolve();
    },
    status: new FakeStatus(),
    clock: { sleep: () => new Promise<void>((resolve) => sleepers.push(resolve)) },
    stream: { isTTY, columns: 60, write: (text: string) => void written.push(text) },
  };
}

describe("the status line", () => {
  test("tells rate, lag, what is buffered and the last commit", () => {
    const before = { ...report, nowMs: 98_000, rowsConsumed: 1_136_067 };
    expect(statusText(before, report)).toBe(
      "running  50.0k rows/s  lag 90  buffered 1.5k (2.0MB)  committed 1.2M  last commit 3 s ago",
    );
  });

  test("tells the states of several pipelines, and an error", () => {
    const failed = { ...pipeline, state: "stopped" as const, lastError: "Topic is gone" };
    const text = statusText(report, {
      ...report,
      pipelines: [{ ...pipeline, tables: [{ ...table, lastCommitMs: null }] }, failed],
    });
    expect(text).toStartWith("1 running, 1 stopped  0 rows/s");
    expect(text).toEndWith("Topic is gone");
  });

  test("says when nothing was committed yet", () => {
    const none = { ...report, pipelines: [{ ...pipeline, tables: [] }] };
    expect(statusText(report, none)).toContain("no commit yet");
  });

  test("fits the terminal and is taken away when stopped", async () => {
    const { written, tick, ...others } = parts(true);
    const line = startStatusLine(others);
    await tick();
    expect(written[0]).toBe("\r\u001B[2K");
    expect(written[1]).toHaveLength(60);
    expect(written[1]).toEndWith("\r");
    line.stop();
    await tick();
    expect(written).toHaveLength(3);
    expect(written[2]).toBe("\r\u001B[2K");
  });

  test("is not shown off a terminal", async () => {
    const { written, tick, ...others } = parts(false);
    const line = startStatusLine(others);
    await tick();
    line.stop();
    expect(written).toEqual([]);
  });
});

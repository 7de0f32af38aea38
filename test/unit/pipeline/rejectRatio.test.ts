import { expect, test } from "bun:test";
import { RejectRatio } from "#pipeline/rejectRatio.ts";

test("of fewer than a thousand records the share says nothing", () => {
  const ratio = new RejectRatio();
  ratio.note(999, 999);
  expect(ratio.share).toBe(0);
  ratio.note(1, 0);
  expect(ratio.share).toBe(0.999);
});

test("the share is that of the last ten thousand records, to a batch", () => {
  const ratio = new RejectRatio();
  for (let batch = 0; batch < 50; batch++) ratio.note(500, 500);
  expect(ratio.share).toBe(1);
  for (let batch = 0; batch < 10; batch++) ratio.note(500, 0);
  expect(ratio.share).toBe(0.5);
  for (let batch = 0; batch < 1000; batch++) ratio.note(500, 1);
  expect([ratio.records, ratio.share]).toEqual([10_000, 1 / 500]);
});

test("one batch that is larger than the window is the whole of it", () => {
  const ratio = new RejectRatio();
  ratio.note(10_000, 10_000);
  ratio.note(30_000, 3000);
  expect(ratio.share).toBe(0.1);
});

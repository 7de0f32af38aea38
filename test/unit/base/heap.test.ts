import { expect, test } from "bun:test";
import fc from "fast-check";
import { Heap } from "#base/heap.ts";

function drain(heap: Heap<number>): [number, number][] {
  const taken: [number, number][] = [];
  for (let top = heap.peek(); top !== undefined; top = heap.peek()) {
    taken.push([top.item, top.key]);
    heap.delete(top.item);
  }
  return taken;
}

test("whatever is set, set again and removed, items come in the order of their numbers", () => {
  const steps = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 20 }), fc.option(fc.integer({ min: 0, max: 9 }))),
  );
  fc.assert(
    fc.property(steps, (all) => {
      const heap = new Heap<number>();
      const model = new Map<number, number>();
      for (const [item, key] of all) {
        if (key === null) {
          expect(heap.delete(item)).toBe(model.delete(item));
        } else {
          heap.set(item, key);
          // The same number keeps its place; another one comes behind those that have it.
          if (model.get(item) !== key) model.delete(item);
          model.set(item, key);
        }
        expect([heap.size, heap.keyOf(item)]).toEqual([model.size, model.get(item)]);
      }
      expect(drain(heap)).toEqual([...model].sort(([, a], [, b]) => a - b));
    }),
  );
});

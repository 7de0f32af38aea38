/**
 * Reads many objects a few at a time, in order: enough to hide the store's answer time, few enough
 * that a maintenance run takes neither memory nor the store away from ingest.
 */

/** Objects read at the same time. */
const READS_MAX = 8;

/** What `read` answers for each item, in order. The first failure ends it. */
export async function* readAhead<Item, Result>(
  items: readonly Item[],
  read: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = [];
  let next = 0;
  const begin = (): void => {
    const item = items[next++];
    if (item === undefined) return;
    const result = read(item);
    // It is awaited in its turn; until then a failure is nobody's.
    result.catch(() => undefined);
    underWay.push(result);
  };
  while (next < Math.min(READS_MAX, items.length)) begin();
  for (let result = underWay.shift(); result !== undefined; result = underWay.shift()) {
    const value = await result;
    begin();
    yield value;
  }
}

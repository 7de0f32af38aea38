/**
 * Items in the order of a number each, e.g. the time at which they are due. Setting, taking and
 * removing cost a few steps for thousands of items, so that nobody has to walk over all of them.
 * Equal numbers come in the order in which they were set.
 */

/** One item with its place in the heap. */
interface Node<T> {
  readonly item: T;
  key: number;
  order: number;
  index: number;
}

/** A binary heap that knows where its items are. */
export class Heap<T> {
  readonly #nodes: Node<T>[] = [];
  readonly #byItem = new Map<T, Node<T>>();
  #orders = 0;

  /** How many items it holds. */
  get size(): number {
    return this.#nodes.length;
  }

  /** The number of an item; undefined when it is not there. */
  keyOf(item: T): number | undefined {
    return this.#byItem.get(item)?.key;
  }

  /** The item with the least number, and that number; undefined when there is none. */
  peek(): { readonly item: T; readonly key: number } | undefined {
    return this.#nodes[0];
  }

  /** Adds an item, or gives it another number; the same number changes nothing. */
  set(item: T, key: number): void {
    const known = this.#byItem.get(item);
    if (known?.key === key) return;
    if (known === undefined) {
      const node = { item, key, order: this.#orders++, index: this.#nodes.length };
      this.#nodes.push(node);
      this.#byItem.set(item, node);
      this.#up(node);
      return;
    }
    known.key = key;
    known.order = this.#orders++;
    this.#up(known);
    this.#down(known);
  }

  /** Removes an item; false when it is not there. */
  delete(item: T): boolean {
    const node = this.#byItem.get(item);
    if (node === undefined) return false;
    this.#byItem.delete(item);
    const last = this.#nodes.pop();
    if (last === undefined || last === node) return true;
    this.#place(last, node.index);
    this.#up(last);
    this.#down(last);
    return true;
  }

  #up(node: Node<T>): void {
    while (node.index > 0) {
      const parent = this.#nodes[(node.index - 1) >> 1];
      if (parent === undefined || !isBefore(node, parent)) return;
      this.#swap(node, parent);
    }
  }

  #down(node: Node<T>): void {
    for (;;) {
      const left = this.#nodes[2 * node.index + 1];
      const right = this.#nodes[2 * node.index + 2];
      const least =
        right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (least === undefined || !isBefore(least, node)) return;
      this.#swap(node, least);
    }
  }

  #swap(one: Node<T>, two: Node<T>): void {
    const index = one.index;
    this.#place(one, two.index);
    this.#place(two, index);
  }

  #place(node: Node<T>, index: number): void {
    node.index = index;
    this.#nodes[index] = node;
  }
}

function isBefore<T>(one: Node<T>, two: Node<T>): boolean {
  return one.key < two.key || (one.key === two.key && one.order < two.order);
}

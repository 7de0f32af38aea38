/**
 * The sticky assignment of partitions to the members of a group: balanced, and with as few moves as
 * balance allows. Pure: the same input gives the same answer on whichever member leads.
 */

/** What a member wants and had. */
export interface MemberView {
  readonly memberId: string;
  readonly topics: readonly string[];
  /** `topic/partition` keys that it owned in its last generation. */
  readonly owned: readonly string[];
  /** That generation, -1 for none: of two claims the later one counts. */
  readonly generation: number;
}

/** A partition to be assigned. */
export interface Assignable {
  readonly key: string;
  readonly topic: string;
}

/** Assigns every partition that at least one member subscribes to. Answers keys per member. */
export function assignSticky(
  members: readonly MemberView[],
  partitions: readonly Assignable[],
): Map<string, string[]> {
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const held = new Map<string, Set<Assignable>>(sorted.map((m) => [m.memberId, new Set()]));
  const subscribers = subscribersByTopic(sorted);
  const claims = strongestClaims(sorted);
  const homeless: Assignable[] = [];
  for (const partition of partitions) {
    const owner = claims.get(partition.key) ?? "";
    const eligible = subscribers.get(partition.topic) ?? [];
    if (eligible.includes(owner)) held.get(owner)?.add(partition);
    else homeless.push(partition);
  }
  for (const partition of homeless) {
    held.get(leastLoaded(subscribers.get(partition.topic) ?? [], held))?.add(partition);
  }
  balance(held, subscribers);
  return new Map([...held].map(([id, items]) => [id, [...items].map((item) => item.key)]));
}

function subscribersByTopic(members: readonly MemberView[]): Map<string, string[]> {
  const subscribers = new Map<string, string[]>();
  for (const { memberId, topics } of members) {
    for (const topic of new Set(topics)) {
      const list = subscribers.get(topic);
      if (list === undefined) subscribers.set(topic, [memberId]);
      else list.push(memberId);
    }
  }
  return subscribers;
}

function strongestClaims(members: readonly MemberView[]): Map<string, string> {
  const claims = new Map<string, { memberId: string; generation: number }>();
  for (const { memberId, owned, generation } of members) {
    for (const key of owned) {
      const other = claims.get(key);
      if (other === undefined || other.generation < generation) {
        claims.set(key, { memberId, generation });
      }
    }
  }
  return new Map([...claims].map(([key, claim]) => [key, claim.memberId]));
}

function leastLoaded(ids: readonly string[], held: Map<string, Set<Assignable>>): string {
  let best = ids[0] ?? "";
  for (const id of ids) {
    if ((held.get(id)?.size ?? 0) < (held.get(best)?.size ?? 0)) best = id;
  }
  return best;
}

/**
 * Moves one partition at a time from a fullest member that can give to one with at least two fewer,
 * until there is no such move. Every move lowers the sum of squared loads, so that it ends.
 */
function balance(held: Map<string, Set<Assignable>>, subscribers: Map<string, string[]>): void {
  while (moveOne(held, subscribers));
}

function moveOne(held: Map<string, Set<Assignable>>, subscribers: Map<string, string[]>): boolean {
  const fullestFirst = [...held.values()].sort((a, b) => b.size - a.size);
  for (const items of fullestFirst) {
    for (const item of [...items].reverse()) {
      const target = held.get(leastLoaded(subscribers.get(item.topic) ?? [], held));
      if (target === undefined || items.size - target.size < 2) continue;
      items.delete(item);
      target.add(item);
      return true;
    }
  }
  return false;
}

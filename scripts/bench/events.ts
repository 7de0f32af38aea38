/** Events of some 270 bytes with ten fields, for measurements of one part alone. */
import type { Random } from "#base/random.ts";

const TYPES = ["view", "click", "purchase", "add_to_cart", "search", "login", "logout", "signup"];
const COUNTRIES = ["US", "DE", "FR", "JP", "BR", "IN", "CN", "GB"];
const SYSTEMS = ["ios", "android", "windows", "macos", "linux"];

/** Event `i` as JSON. */
export function event(random: Random, i: number): string {
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  return JSON.stringify({
    event_id: random.uuid(),
    user_id: below(1e6),
    event_type: TYPES[below(TYPES.length)],
    ts: 1_760_000_000_000 + 3 * i + below(3),
    url: `https://shop.example.com/p/${below(1e5)}?ref=${below(97)}`,
    amount: below(1e5) / 100,
    country: COUNTRIES[below(COUNTRIES.length)],
    device: { os: SYSTEMS[below(5)], version: `${below(17)}.${below(9)}` },
    tags: [`a${below(5)}`, `b${below(7)}`],
    ...(i % 3 === 0 ? { note: `hello world ${i}` } : {}),
  });
}

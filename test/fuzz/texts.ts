/** Makes the texts of values from a seed: numbers, dates, times, uuids, nearly always valid. */
import { Picks } from "./picks.ts";

/** Chooses texts. */
export class Texts extends Picks {
  digits(most: number): string {
    let text = "";
    for (let left = this.below(most + 1); left > 0; left--) text += this.below(10);
    return text;
  }

  /** A number, nearly always valid JSON. */
  number(): string {
    switch (this.below(8)) {
      case 0:
        return String(this.random.unit() * 10 ** (this.below(40) - 20));
      case 1:
        return String(Number(`${this.digits(17) || 0}e${this.below(640) - 330}`));
      case 2:
        return `${this.oneOf(["", "-"])}${this.digits(20)}`;
      case 3:
        return this.oneOf(["9223372036854775807", "9223372036854775808", "-9223372036854775808"]);
      case 4:
        return this.oneOf(["2147483647", "2147483648", "-2147483648", "-0", "0", "1.0", "1e3"]);
      case 5:
        return `${this.below(1000)}.${this.digits(19)}`;
      case 6:
        return `${this.oneOf(["", "-"])}0.${this.digits(22)}${this.oneOf(["", "e5", "E-7"])}`;
      default:
        return `${this.digits(19)}${this.oneOf(["", "."])}${this.digits(6)}${this.oneOf(["", "e", "e+", "E-"])}${this.digits(3)}`;
    }
  }

  two(bound: number): string {
    return String(this.below(bound)).padStart(2, "0");
  }

  date(): string {
    return `${this.two(100)}${this.two(100)}-${this.two(14)}-${this.two(33)}`;
  }

  time(): string {
    const seconds = this.oneOf(["", `:${this.two(61)}`, `:${this.two(60)}`]);
    const fraction = seconds === "" ? "" : this.oneOf(["", ".", `.${this.digits(10)}`]);
    return `${this.two(25)}:${this.two(61)}${seconds}${fraction}`;
  }

  zone(): string {
    const named = `${this.oneOf(["+", "-"])}${this.two(20)}`;
    return this.oneOf(["", "Z", "z", named, `${named}:${this.two(61)}`, `${named}${this.two(60)}`]);
  }

  timestamp(): string {
    return `${this.date()}${this.oneOf(["T", " ", "t"])}${this.time()}${this.zone()}`;
  }

  uuid(): string {
    const uuid = this.random.uuid();
    return this.oneOf([uuid, uuid.toUpperCase(), uuid.slice(1), `${uuid}0`, uuid.replace("-", "")]);
  }

  /** A JSON string, now and then with an escape, a damaged end or one character too many. */
  quoted(text: string): string {
    const cut = this.below(text.length + 1);
    const changed = this.below(40);
    if (changed === 0) return `"${text.slice(0, cut)}"`;
    if (changed === 1) return `"${text.slice(0, cut)}\\u0030${text.slice(cut)}"`;
    if (changed === 2) return `"${text.slice(0, cut)}x${text.slice(cut)}"`;
    return `"${text}"`;
  }
}

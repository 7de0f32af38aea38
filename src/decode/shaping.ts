/**
 * What the configuration makes of a record's fields before they are columns (SPEC section 4,
 * `[source.transform]`): which are left out, what their columns are called, and what stands in them
 * instead of their values.
 *
 * Fields are named by their paths in the record. Below a renamed one the path of a column is another.
 */
import { fail } from "#base/errors.ts";
import { joinPath, spelledPath } from "#columns/paths.ts";
import {
  childFields,
  type Field,
  isPrimitive,
  type Type,
  withChildFields,
} from "#columns/schema.ts";
import { type Cover, hashCover, MASKING } from "./covers.ts";

/** The settings; paths with dots. */
export interface ShapingOptions {
  /** Only these fields, with all that is inside them; empty: all. */
  readonly select: readonly string[];
  readonly exclude: readonly string[];
  /** New names by path: a field's own name, or, flattened, the whole column's. */
  readonly rename: Readonly<Record<string, string>>;
  readonly mask: readonly string[];
  readonly hash: readonly string[];
  /** The key of the hashes. */
  readonly hashSalt: string;
  /** What joins the names of a column's path: a dot, or the flatten separator. */
  readonly separator: string;
  /** True: all records are of one topic, so that a path which none of them has is a mistake. */
  readonly isStrict: boolean;
  /** True: a field whose name differs by case only is meant, too, as it finds its column (`source.match_columns`). */
  readonly ignoresCase: boolean;
}

/** The shape that records are given. */
export class Shaping {
  readonly isStrict: boolean;
  /** Every path with the key that names it. */
  readonly paths: readonly (readonly [key: string, path: string])[];
  /** Paths of fields whose columns hold text in place of their values. */
  readonly covered: readonly string[];
  readonly #options: ShapingOptions;
  readonly #separator: string;
  readonly #excluded: ReadonlySet<string>;
  readonly #selected: ReadonlySet<string>;
  /** Everything above something that is selected. */
  readonly #parents: ReadonlySet<string>;
  /** Everything above something that is left out, covered or selected. */
  readonly #leading: ReadonlySet<string>;
  /** Fields in which there is such a thing for certain: flattened, `a_b` may be a field's own name. */
  readonly #holders: ReadonlySet<string>;
  /** Own names of fields by the path of their parent and the name of their column. */
  readonly #sources: ReadonlyMap<string, string>;
  readonly #covers: ReadonlyMap<string, Cover>;
  readonly #names: ReadonlyMap<string, string>;
  /** The same for fields of any case; made when it is asked for. */
  #anyCase: Shaping | null = null;

  /** @param hidden further fields that make no column, whether records have them or not */
  constructor(given: ShapingOptions = NO_SHAPING, hidden: readonly string[] = []) {
    const options = flattened(given);
    this.#options = options;
    this.isStrict = options.isStrict;
    this.#separator = this.#spoken(options.separator);
    this.#excluded = new Set([...options.exclude, ...hidden].map((path) => this.#spoken(path)));
    this.#selected = new Set(options.select.map((path) => this.#spoken(path)));
    this.#parents = new Set([...this.#selected].flatMap((path) => this.#above(path)));
    const leading = leadingIn(options, options.separator);
    this.#leading = new Set(leading.map((path) => this.#spoken(path)));
    const holders = leadingIn(given, ".").map((path) => joined(path, options));
    this.#holders = new Set(holders.map((path) => this.#spoken(path)));
    const names = Object.entries(options.rename);
    this.#names = new Map(names.map(([path, name]) => [this.#spoken(path), name]));
    const sources = names.map(([path, name]) => {
      const at = this.#lastSeparator(path);
      const parent = path.slice(0, Math.max(0, at));
      return [this.#spoken(placeOf(parent, name)), path.slice(parent === "" ? 0 : at + 1)] as const;
    });
    this.#sources = new Map(sources);
    const hashing = hashCover(options.hashSalt);
    this.#covers = new Map<string, Cover>([
      ...options.mask.map((path) => [this.#spoken(path), MASKING] as const),
      ...options.hash.map((path) => [this.#spoken(path), hashing] as const),
    ]);
    this.covered = [...options.mask, ...options.hash];
    const { select, exclude, rename, mask: masked, hash } = options;
    const all = { select, exclude, rename: Object.keys(rename), mask: masked, hash };
    this.paths = Object.entries(all).flatMap(([key, paths]) =>
      paths.map((path) => [key, path] as const),
    );
  }

  /** True for a field that makes no column; what is inside it is not asked for. */
  ignores(field: string): boolean {
    const path = this.#spoken(field);
    if (this.#excluded.has(path)) return true;
    if (this.#selected.size === 0 || this.#selected.has(path) || this.#parents.has(path)) {
      return false;
    }
    return !this.#above(path).some((each) => this.#selected.has(each));
  }

  /** The name of the column of a field: by its path, and its own name where nothing is said. */
  columnName(path: string, own: string): string {
    return this.#names.get(this.#spoken(path)) ?? own;
  }

  /** The own name of the field that fills a column below the field at `parent`, "" for the row. */
  fieldName(parent: string, column: string): string {
    return this.#sources.get(this.#spoken(placeOf(parent, column))) ?? column;
  }

  /**
   * The name by which a field of several is spoken of: the first that is left out or covered, or has such
   * inside; else one that is a slip of such a name; else the first of which the settings say anything; else its
   * own, the first of all.
   * @param parent path of the field that it is in, "" for the row
   */
  nameAmong(parent: string, names: readonly [string, ...string[]]): string {
    if (this.#isPlain) return names[0];
    const hidden = names.find((name) => this.#hidden(joinPath(parent, name)).length > 0);
    const named =
      hidden ??
      names.find((name) => this.isSlip(joinPath(parent, name))) ??
      names.find((name) => this.mentions(joinPath(parent, name)));
    return named ?? names[0];
  }

  /** The path by which the settings speak of what is inside a union's member, `saidOfUnion`. */
  memberPath(union: string, name: string, names: readonly string[]): string {
    return this.saidOfUnion(union, name, names) ? union : joinPath(union, name);
  }

  /**
   * True where the settings leave out or cover fields that were in a union before it was one, and say
   * nothing of its member `name`: they mean that one, too. @param names of all its members
   */
  saidOfUnion(union: string, name: string, names: readonly string[]): boolean {
    if (this.#isPlain || this.#hidden(this.inside(union, name)).length > 0) return false;
    const members = names.map((each) => this.#spoken(this.inside(union, each)));
    const isOfMember = (path: string): boolean =>
      members.some((each) => path === each || path.startsWith(each + this.#separator));
    const around = this.#spoken(union);
    return this.#hidden(union).some((path) => path !== around && !isOfMember(path));
  }

  /** What is left out or covered of a field: it, or paths inside it. */
  #hidden(field: string): string[] {
    const path = this.#spoken(field);
    const inside = path + this.#separator;
    const all = [...this.#excluded, ...this.#covers.keys()];
    return all.filter((each) => each === path || each.startsWith(inside));
  }

  /** True: no field is anything but what it is. */
  get #isPlain(): boolean {
    return this.paths.length === 0 && this.#excluded.size === 0;
  }

  /** True for a field of which the settings say something, or of what is in it or around it. */
  mentions(field: string): boolean {
    const path = this.#spoken(field);
    const separator = this.#separator;
    const leads = (each: string): boolean =>
      each === path || each.startsWith(path + separator) || path.startsWith(each + separator);
    return this.#excluded.has(path) || this.paths.some(([, each]) => leads(this.#spoken(each)));
  }

  /** A path as those of the settings are compared with it. */
  #spoken(path: string): string {
    return this.#options.ignoresCase ? path.toLowerCase() : path;
  }

  /** The path of the field that fills a column. */
  fieldPath(column: string): string {
    if (this.#sources.size === 0) return column;
    if (this.#options.separator !== ".") return this.fieldName("", column);
    return column
      .split(".")
      .reduce((parent, name) => joinPath(parent, this.fieldName(parent, name)), "");
  }

  /**
   * True for a field that is never shown as it came: it is left out or covered, or something inside or around
   * it, or it differs from such a field by case only. That is another field, and may be a slip of a producer.
   */
  hides(path: string): boolean {
    if (this.#isPlain) return false;
    return this.protects(path) || this.inAnyCase.protects(path);
  }

  /** The same settings for fields of any case. */
  get inAnyCase(): Shaping {
    this.#anyCase ??= new Shaping({ ...this.#options, ignoresCase: true });
    return this.#anyCase;
  }

  /** True for a field that is hidden (`hides`) for its case only: it never becomes a column by itself. */
  isSlip(path: string): boolean {
    return this.hides(path) && !this.protects(path);
  }

  /** True when this field, or one inside or around it, is left out or covered, or only some inside it is selected. */
  protects(field: string): boolean {
    const path = this.#spoken(field);
    const inside = path + this.#separator;
    const isHere = (each: string): boolean => each === path || each.startsWith(inside);
    const isAround = this.#above(path).some(
      (each) => this.#covers.has(each) || this.#excluded.has(each),
    );
    const named = [...this.#options.exclude, ...this.covered].map((each) => this.#spoken(each));
    return isAround || this.ignores(path) || this.leadsInside(path) || named.some(isHere);
  }

  /** True when only some of what is inside this field may be left out, covered or selected. */
  leadsInside(path: string): boolean {
    return this.#leading.has(this.#spoken(path));
  }

  /**
   * Whether a value of this kind may stand at a path. Where the settings name something inside, a text may
   * be what they would leave out or cover: only what has that inside may stand there.
   */
  admits(path: string, kind: Type["kind"]): boolean {
    if (!this.#holders.has(this.#spoken(path)) || this.coverOf(path) !== null) return true;
    if (kind === "list") return this.#isNamed(joinPath(path, "element"));
    return kind === "map" ? this.#isNamed(joinPath(path, "value")) : kind === "struct";
  }

  /** Why a field of this type never becomes a column: what is hidden may be in it; null: it may become one. */
  refusalOf(type: Type, path: string): "type_conflict" | "ambiguous_field" | null {
    if (!this.admits(path, type.kind)) return "type_conflict";
    return this.#holdsSlip(type, path) ? "ambiguous_field" : null;
  }

  /** True when a field of this type is a slip, or has one inside. */
  #holdsSlip(type: Type, path: string): boolean {
    if (this.isSlip(path)) return true;
    const inner = isPrimitive(type) || !this.leadsInside(path) ? [] : childFields(type);
    return inner.some((each) => this.#holdsSlip(each.type, joinPath(path, each.name)));
  }

  /** True when all that a field of this type holds is left out. */
  leavesNothing(type: Type, path: string): boolean {
    if (this.ignores(path)) return true;
    if (isPrimitive(type) || !this.leadsInside(path) || this.coverOf(path) !== null) return false;
    const inner = childFields(type).filter((each) => type.kind !== "map" || each !== type.key);
    return inner.every((each) => this.leavesNothing(each.type, joinPath(path, each.name)));
  }

  /** True when the settings name this field or something inside it. */
  #isNamed(field: string): boolean {
    const path = this.#spoken(field);
    return this.#holders.has(path) || this.paths.some(([, each]) => this.#spoken(each) === path);
  }

  /** The path of a field inside another, both as the settings name them. */
  inside(path: string, name: string): string {
    return path + this.#options.separator + name;
  }

  /** The path of a field's column. */
  columnPath(path: string): string {
    const parts = this.#options.separator === "." ? [...this.#above(path), path] : [path];
    const own = parts.map((each) => {
      return this.columnName(each, each.slice(this.#lastSeparator(each) + 1));
    });
    return own.join(".");
  }

  /** The same as columns spell it that are there, where the case of names says nothing. */
  columnPathIn(columns: readonly Field[], path: string): string {
    const column = this.columnPath(path);
    return this.#options.ignoresCase ? spelledPath(columns, column) : column;
  }

  /**
   * The columns of a schema's fields: without what is left out or a slip of it, by their new names, text where the values
   * are covered.
   * @param parent path of the field that they are in, "" for the row
   * @param inside the path of what is in a field: by that of its parent, and its name
   */
  columns(
    fields: readonly Field[],
    parent = "",
    inside: typeof joinPath = joinPath,
  ): readonly Field[] {
    if (this.#isPlain) return fields;
    return fields.flatMap((field) => {
      const path = joinPath(parent, field.name);
      if (this.ignores(path) || this.isSlip(path)) return [];
      const name = this.columnName(path, field.name);
      if (this.coverOf(path) !== null) return [{ ...field, name, type: { kind: "string" } }];
      const within = inside(parent, field.name);
      if (!this.admits(within, field.type.kind)) return [];
      const type = this.#shaped(field.type, within, inside);
      return type === null ? [] : [{ ...field, name, type }];
    });
  }

  /** Null: nothing of it is left. */
  #shaped(type: Type, path: string, inside: typeof joinPath): Type | null {
    if (isPrimitive(type)) return type;
    // A map's key is no field of its own: who takes the map takes its keys.
    const [key] = type.kind === "map" ? [type.key] : [];
    const inner = childFields(type).filter((each) => each !== key);
    const columns = this.columns(inner, path, inside);
    if (columns.length === 0) return null;
    return withChildFields(type, key === undefined ? columns : [key, ...columns]);
  }

  /** What stands for the values of a field; null: they themselves. */
  coverOf(path: string): Cover | null {
    return this.#covers.get(this.#spoken(path)) ?? null;
  }

  /** @throws AppError `usage` for the first path that is not `known` */
  checkPaths(known: (path: string) => boolean): void {
    if (!this.isStrict) return;
    for (const [key, path] of this.paths) {
      if (known(path)) continue;
      const sentence =
        `source.transform.${key} names ${path}, which none of the first records has. Correct it, ` +
        "or declare its column in schema.fields";
      throw fail("usage", sentence);
    }
  }

  #above(path: string): string[] {
    const own = above(path, this.#separator);
    // Flattened, a list and what is inside it keep their dots.
    return this.#separator === "." ? own : [...own, ...above(path, ".")];
  }

  /** Flattened columns have no parents: their names are whole. */
  #lastSeparator(path: string): number {
    return this.#options.separator === "." ? path.lastIndexOf(".") : -1;
  }
}

/** The settings with paths of columns in place of those of fields. */
function flattened(options: ShapingOptions): ShapingOptions {
  if (options.separator === ".") return options;
  const all = (paths: readonly string[]): string[] => paths.map((path) => joined(path, options));
  const { select, exclude, rename, mask, hash } = options;
  return {
    ...options,
    select: all(select),
    exclude: all(exclude),
    rename: Object.fromEntries(
      Object.entries(rename).map(([path, name]) => [joined(path, options), name]),
    ),
    mask: all(mask),
    hash: all(hash),
  };
}

function joined(path: string, { separator }: ShapingOptions): string {
  return path.replaceAll(".", separator);
}

/** The paths above those of the settings; what is selected whole is not led into by what else is selected. */
function leadingIn(options: ShapingOptions, separator: string): readonly string[] {
  const { select, exclude, mask, hash } = options;
  const parts = select.filter((path) => {
    return !above(path, separator).some((each) => select.includes(each));
  });
  const paths = [...parts, ...exclude, ...mask, ...hash];
  return paths.flatMap((path) => above(path, separator));
}

function above(path: string, separator: string): string[] {
  const found: string[] = [];
  for (let at = path.indexOf(separator); at > 0; at = path.indexOf(separator, at + 1)) {
    found.push(path.slice(0, at));
  }
  return found;
}

/** Fields are what they are. */
export const NO_SHAPING: ShapingOptions = {
  select: [],
  exclude: [],
  rename: {},
  mask: [],
  hash: [],
  hashSalt: "",
  separator: ".",
  isStrict: false,
  ignoresCase: false,
};

/** A zero byte is in no field's name that a column can have. */
function placeOf(parent: string, name: string): string {
  return `${parent}\u0000${name}`;
}

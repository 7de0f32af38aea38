"""
Generated Parquet files for `pages.ts`, and the judge of what it makes of them: pyarrow writes groups of files of one
schema, reads the file that was put together from their pages and the one that was decoded, and compares both with the rows that it wrote.

Lines of JSON on stdin and stdout: {"dir", "files", "rows", "fields", ...} out, {"copied", "decoded", "reason"} in.
"""
import json, math, os, random, shutil, struct, sys
import pyarrow as pa
import pyarrow.parquet as pq

folder, seed, groups = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]
# Column chunks by type and the encoding that was asked for.
written = {}

PRIMITIVES = ["boolean", "int", "long", "float", "double", "decimal9", "decimal18", "decimal38", "date", "time",
              "timestamp", "timestamptz", "timestamp_ns", "string", "binary", "fixed", "uuid"]


class Ids:
    def __init__(self):
        self.next = 1

    def take(self):
        self.next += 1
        return self.next - 1


def iceberg(kind):
    """The type as the program has it, and pyarrow's."""
    return {
        "boolean": ({"kind": "boolean"}, pa.bool_()), "int": ({"kind": "int"}, pa.int32()),
        "long": ({"kind": "long"}, pa.int64()), "float": ({"kind": "float"}, pa.float32()),
        "double": ({"kind": "double"}, pa.float64()),
        "decimal9": ({"kind": "decimal", "precision": 9, "scale": 2}, pa.decimal128(9, 2)),
        "decimal18": ({"kind": "decimal", "precision": 18, "scale": 3}, pa.decimal128(18, 3)),
        "decimal38": ({"kind": "decimal", "precision": 38, "scale": 4}, pa.decimal128(38, 4)),
        "date": ({"kind": "date"}, pa.date32()), "time": ({"kind": "time"}, pa.time64("us")),
        "timestamp": ({"kind": "timestamp", "zone": False}, pa.timestamp("us")),
        "timestamptz": ({"kind": "timestamp", "zone": True}, pa.timestamp("us", "UTC")),
        "timestamp_ns": ({"kind": "timestamp_ns", "zone": False}, pa.timestamp("ns")),
        "string": ({"kind": "string"}, pa.string()), "binary": ({"kind": "binary"}, pa.binary()),
        "fixed": ({"kind": "fixed", "length": 5}, pa.binary(5)), "uuid": ({"kind": "uuid"}, pa.uuid()),
    }[kind]


def field_of(name, ids, depth):
    """A field of both worlds: (program's, pyarrow's)."""
    number, required = ids.take(), rng.random() < 0.25
    draw = rng.random() if depth < 2 else 1.0
    if draw < 0.07:
        members = [field_of(f"m{at}", ids, depth + 1) for at in range(rng.randint(1, 3))]
        own, arrow = {"kind": "struct", "fields": [own for own, _ in members]}, pa.struct([each for _, each in members])
    elif draw < 0.14:
        own, arrow = field_of("element", ids, depth + 1)
        own, arrow = {"kind": "list", "element": own}, pa.list_(arrow)
    elif draw < 0.19:
        key, value = ids.take(), field_of("value", ids, depth + 1)
        text = pa.field("key", pa.string(), False, {"PARQUET:field_id": str(key)})
        own = {"kind": "map", "key": {"id": key, "name": "key", "required": True, "type": {"kind": "string"}}, "value": value[0]}
        arrow = pa.map_(text, value[1])
    else:
        own, arrow = iceberg(rng.choice(PRIMITIVES))
    return ({"id": number, "name": name, "required": required, "type": own},
            pa.field(name, arrow, not required, {"PARQUET:field_id": str(number)}))


def values_of(own, count, style):
    """Values of a type: few distinct ones, many, runs, or only nulls; NaN, zeros of both signs and extremes among them."""
    kind = own["type"]["kind"]
    nulls = 0.0 if own["required"] else style["nulls"]
    distinct = style["distinct"]

    def one(n):
        if kind == "boolean": return n % 2 == 0
        if kind == "int": return [n, -n, 2**31 - 1, -2**31][n % 4] if n < 8 else n * 7919 % 2**31
        if kind == "long": return [n, -n, 2**63 - 1, -2**63][n % 4] if n < 8 else n * 7919
        if kind in ("float", "double"):
            return [math.nan, 0.0, -0.0, math.inf, -math.inf, 1.5][n] if n < 6 and style["odd"] else n / 8
        if kind == "decimal": return n * 7 - 50
        if kind == "date": return n - 20
        if kind == "time": return n * 1000 + 1
        if kind in ("timestamp", "timestamp_ns"): return 1767225600000000 + n * 1001
        if kind == "string": return "é" * (n % 30) + f"v{n}" + ("x" * 90 if n % 17 == 3 else "")
        if kind == "binary": return bytes([n % 256, 255, n // 256 % 256]) * (n % 9)
        if kind == "fixed": return bytes([n % 256, n // 256 % 256, 0, 255, 1])
        if kind == "uuid": return (n * 2**100 // 7 % 2**128).to_bytes(16, "big")
        if kind == "struct": return {each["name"]: None for each in own["type"]["fields"]}
        return None

    base = style["base"]
    return [None if rng.random() < nulls else one((base + rng.randrange(distinct)) if style["random"] else base + at % distinct)
            for at in range(count)]


def array_of(own, arrow, count, style):
    kind = own["type"]["kind"]
    nulls = 0.0 if own["required"] else style["nulls"]
    if kind == "struct":
        children = [array_of(each, arrow.type.field(at), count, style) for at, each in enumerate(own["type"]["fields"])]
        mask = pa.array([rng.random() < nulls for _ in range(count)], pa.bool_())
        return pa.StructArray.from_arrays(children, fields=list(arrow.type), mask=mask)
    if kind in ("list", "map"):
        lengths = [None if rng.random() < nulls else rng.choice([0, 1, 1, 2, 5]) for _ in range(count)]
        offsets, at = [], 0
        for length in lengths:
            offsets.append(None if length is None else at)
            at += length or 0
        offsets = pa.array(offsets + [at], pa.int32())
        if kind == "list":
            child = array_of(own["type"]["element"], arrow.type.value_field, at, style)
            return pa.ListArray.from_arrays(offsets, child, type=arrow.type)
        keys = pa.array([f"k{n}" for n in range(at)], pa.string())
        items = array_of(own["type"]["value"], arrow.type.item_field, at, style)
        return pa.MapArray.from_arrays(offsets, keys, items, type=arrow.type)
    values = values_of(own, count, style)
    if kind == "decimal":
        import decimal
        scale = own["type"]["scale"]
        values = [None if value is None else decimal.Decimal(value).scaleb(-scale) for value in values]
    if kind == "uuid": return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16)))
    if kind == "timestamp_ns": values = [None if value is None else value * 1000 for value in values]
    if kind in ("date", "time", "timestamp", "timestamp_ns"):
        width = pa.int32() if kind == "date" else pa.int64()
        return pa.array(values, width).cast(arrow.type)
    return pa.array(values, arrow.type)


def options_of(odd):
    """How a writer writes: pages of a few rows or one, dictionaries that are cut off, codecs (the costly ones seldom)."""
    options = {"use_dictionary": rng.random() < 0.65, "compression": rng.choices(CODECS, [5, 8, 1, 1, 4, 4])[0],
               "data_page_size": rng.choice([64, 1024, 1024 * 1024]), "write_batch_size": rng.choice([5, 64, 1024]),
               "dictionary_pagesize_limit": rng.choice([60, 1024 * 1024]), "row_group_size": rng.choice([7, 1000, 1000]),
               "write_page_index": rng.random() < 0.3, "write_statistics": True}
    return {**options, **odd}


def write_group(at):
    """Files of one schema, of some writers one after the other; and the rows of all, as they went in."""
    ids = Ids()
    fields = [field_of(f"c{n}", ids, 0) for n in range(rng.randint(1, 4))]
    directory = os.path.join(folder, str(at))
    os.mkdir(directory)
    odd = {"data_page_version": "2.0"} if rng.random() < 0.06 else {}
    common, writers, count = options_of(odd), rng.randint(1, 5), rng.choice([2, 60, 300, 800])
    later = fields[-1] if rng.random() < 0.15 and len(fields) > 1 and not fields[-1][0]["required"] else None
    files, parts, rows = [], [], []
    for writer in range(writers):
        style = {"nulls": rng.choice([0, 0, 0.2, 1.0]), "distinct": rng.choice([1, 3, 40, 5000]), "random": rng.random() < 0.5,
                 "base": rng.choice([0, 0, 100]), "odd": rng.random() < 0.5}
        sizes = [rng.choice([1, 4, 10, 25]) for _ in range(max(1, count // writers))]
        there = [each for each in fields if each is not later or writer > 0]
        if rng.random() < 0.3: rng.shuffle(there)
        arrays = {own["id"]: array_of(own, arrow, sum(sizes), style) for own, arrow in there}
        parts.append([arrays.get(own["id"], pa.nulls(sum(sizes), arrow.type)) for own, arrow in fields])
        # Names are the table's business: another one is no other column.
        schema = pa.schema([arrow.with_name(arrow.name + ("_old" if rng.random() < 0.1 else "")) for _, arrow in there])
        table = pa.Table.from_arrays([arrays[own["id"]] for own, _ in there], schema=schema)
        options = dict(common)
        if rng.random() < 0.3: options = options_of(odd)
        first = 0
        for size in sizes:
            path = os.path.join(directory, f"{len(files)}.parquet")
            pq.write_table(table.slice(first, size), path, store_decimal_as_integer=True, store_schema=False, **options)
            files.append(path)
            rows.append(size)
            first += size
        for own, _ in there:
            for kind in kinds_of(own["type"]):
                encoding = "dictionary" if options["use_dictionary"] else "plain"
                key = f"{kind} {encoding}{' v2' if odd else ''}"
                written[key] = written.get(key, 0) + len(sizes)
    expected = [pa.chunked_array([part[number] for part in parts]).combine_chunks() for number in range(len(fields))]
    case = {"dir": directory, "files": files, "rows": rows, "fields": [own for own, _ in fields], "odd": bool(odd),
            "codec": rng.choice(["none", "snappy", "zstd"]), "rowGroupBytes": rng.choices([1, 3000, 64 * 2**20], [1, 4, 20])[0],
            "dictionaryEntries": rng.choice([2, 30, 32768])}
    return case, expected


def kinds_of(kind):
    if kind["kind"] == "struct": return [each for member in kind["fields"] for each in kinds_of(member["type"])]
    if kind["kind"] == "list": return kinds_of(kind["element"]["type"])
    if kind["kind"] == "map": return ["string"] + kinds_of(kind["value"]["type"])
    return [f"decimal{kind['precision']}" if kind["kind"] == "decimal" else kind["kind"]]


def canonical(value, zero):
    """With floats by their bits; adding a zero of +0 makes both zeros one, adding -0 leaves them."""
    if isinstance(value, float): return struct.pack("<d", value + zero)
    if isinstance(value, (list, tuple)): return [canonical(each, zero) for each in value]
    if isinstance(value, dict): return {key: canonical(each, zero) for key, each in value.items()}
    return value


def is_same(found, expected, is_copy):
    """By bits. Only an engine that decodes may hold both zeros for one: DuckDB's dictionaries do."""
    kind = expected.type
    if len(found) != len(expected): return False
    if pa.types.is_nested(kind) or pa.types.is_floating(kind):
        zero = -0.0 if is_copy else 0.0
        return canonical(found.to_pylist(), zero) == canonical(expected.to_pylist(), zero)
    return found.equals(expected)


def row_numbers(case, places):
    """Of each row that went in, its number in the file."""
    numbers = []
    for place, count in zip(places, case["rows"]): numbers += range(place, place + count) if isinstance(place, int) else place
    return pa.array(numbers, pa.int64())


def judge(path, case, expected, said, is_copy):
    """What is wrong with a file that holds the rows of all; None: nothing."""
    out = pq.ParquetFile(path, page_checksum_verification=True)
    read = out.read(use_threads=False)
    fields = case["fields"]
    if [each.name for each in read.schema] != [own["name"] for own in fields]: return "names differ"
    if [each.metadata[b"PARQUET:field_id"] for each in read.schema] != [b"%d" % own["id"] for own in fields]: return "ids differ"
    columns = [column.combine_chunks() for column in read.columns]
    places = None if said["places"] is None else row_numbers(case, said["places"])
    for own, column, rows in zip(fields, columns, expected):
        if not is_same(column if places is None else column.take(places), rows, is_copy): return f"{own['name']}: values differ"
    nans, first = {}, 0
    for group in range(out.metadata.num_row_groups):
        meta, leaf = out.metadata.row_group(group), 0
        for own, column in zip(fields, columns):
            if own["type"]["kind"] not in ("struct", "list", "map"):
                reason = statistics(own, column.slice(first, meta.num_rows), meta.column(leaf), nans, is_copy)
                if reason is not None: return f"{own['name']}: {reason}"
            leaf += leaves(own["type"])
        first += meta.num_rows
    if first != read.num_rows: return "rows of row groups differ"
    for own in fields:
        if own["type"]["kind"] in ("float", "double") and said["nans"].get(str(own["id"]), 0) != nans.get(own["id"], 0):
            return f"{own['name']}: NaN counted wrong"
    return None


def leaves(kind):
    if kind["kind"] == "struct": return sum(leaves(each["type"]) for each in kind["fields"])
    if kind["kind"] == "list": return leaves(kind["element"]["type"])
    if kind["kind"] == "map": return 1 + leaves(kind["value"]["type"])
    return 1


def statistics(own, column, meta, nans, is_copy):
    """Whether a chunk's statistics are those of its values. An engine that decodes may leave bounds out."""
    kind = own["type"]["kind"]
    stats = meta.statistics
    if meta.num_values != len(column): return "number of values"
    if stats is None: return "no statistics" if is_copy else None
    if stats.null_count != column.null_count: return "number of nulls"
    values = [value for value in (column.storage if kind == "uuid" else column).to_pylist() if value is not None]
    if kind in ("float", "double"):
        nans[own["id"]] = nans.get(own["id"], 0) + sum(math.isnan(value) for value in values)
        values = [value for value in values if not math.isnan(value)]
    if not stats.has_min_max:
        # Nothing shorter lies above some texts.
        return "bounds are missing" if is_copy and values and kind not in ("string", "binary") else None
    if not values: return "bounds without a value" if is_copy else None
    if kind == "timestamp_ns": return None
    low, high = stats.min, stats.max
    if kind == "decimal" and not is_copy: return None if low <= min(values) and high >= max(values) else "bounds"
    if kind in ("string", "binary"): return None if low <= min(values) and high >= max(values) else "bounds"
    return None if (low, high) == (min(values), max(values)) else f"bounds {low} {high} instead of {min(values)} {max(values)}"


def verdict(case, expected, answer):
    """Of the copied file and the decoded one; `odd` files are none that may be copied."""
    if answer["copied"] is not None:
        reason = judge(os.path.join(case["dir"], "copied.parquet"), case, expected, answer["copied"], True)
        if reason is not None: return f"copied: {reason}"
    elif not case["odd"]: return f"refused: {answer['reason']}"
    if answer["decoded"] is None: return None
    reason = judge(os.path.join(case["dir"], "decoded.parquet"), case, expected, answer["decoded"], False)
    return None if reason is None else f"decoded: {reason}"


for number in range(groups):
    case, expected = write_group(number)
    print(json.dumps(case), flush=True)
    answer = json.loads(sys.stdin.readline())
    fault = verdict(case, expected, answer)
    if fault is not None:
        print(json.dumps({"fault": fault, "seed": seed, "group": number, "dir": case["dir"]}), flush=True)
        sys.exit(1)
    shutil.rmtree(case["dir"])
print(json.dumps({"written": written}), flush=True)

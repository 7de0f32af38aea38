"""
Generated Parquet files for `pages.ts`, and the judge of what it makes of them: pyarrow writes groups of files of one
schema, reads the file that was put together from their pages, and compares values and statistics.

Lines of JSON on stdin and stdout: {"dir", "files", "fields", ...} out, {"ok", "reason", "floats"} in.
"""
import json, math, os, random, shutil, struct, sys
import pyarrow as pa
import pyarrow.parquet as pq

folder, seed, groups = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]

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


def write_group(at):
    ids = Ids()
    fields = [field_of(f"c{n}", ids, 0) for n in range(rng.randint(1, 5))]
    directory = os.path.join(folder, str(at))
    os.mkdir(directory)
    odd = rng.random() < 0.06
    common = {"use_dictionary": rng.choice([True, True, False]), "compression": rng.choice(CODECS)}
    files = []
    later = fields[-1] if rng.random() < 0.15 and len(fields) > 1 and not fields[-1][0]["required"] else None
    for file in range(rng.randint(1, 6)):
        count = rng.choice([1, 7, 100, 300])
        style = {"nulls": rng.choice([0, 0, 0.2, 1.0]), "distinct": rng.choice([1, 3, 40, 5000]), "random": rng.random() < 0.5,
                 "base": rng.choice([0, 0, 100]), "odd": rng.random() < 0.5}
        there = [each for each in fields if each is not later or file > 0]
        if rng.random() < 0.3: rng.shuffle(there)
        arrays = [array_of(own, arrow, count, style) for own, arrow in there]
        # Names are the table's business: another one is no other column.
        schema = pa.schema([arrow.with_name(arrow.name + ("_old" if rng.random() < 0.1 else "")) for _, arrow in there])
        options = dict(common)
        if rng.random() < 0.2: options["compression"] = rng.choice(CODECS)
        if rng.random() < 0.2: options["use_dictionary"] = not options["use_dictionary"]
        options["write_statistics"] = True
        options["data_page_size"] = rng.choice([64, 1024, 1024 * 1024])
        options["write_batch_size"] = rng.choice([10, 64, 1024])
        options["dictionary_pagesize_limit"] = rng.choice([200, 1024 * 1024])
        options["row_group_size"] = rng.choice([50, 1000])
        options["write_page_index"] = rng.random() < 0.3
        if odd: options["data_page_version"] = "2.0"
        path = os.path.join(directory, f"{file}.parquet")
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, store_decimal_as_integer=True, store_schema=False, **options)
        files.append(path)
    return {"dir": directory, "files": files, "fields": [own for own, _ in fields], "odd": odd,
            "codec": rng.choice(["none", "snappy", "zstd"]), "rowGroupBytes": rng.choice([1, 2000, 64 * 2**20]),
            "dictionaryEntries": rng.choice([2, 30, 32768]), "seed": seed, "group": at}, [arrow for _, arrow in fields]


def storage(array):
    """Bits instead of numbers where numbers have several forms."""
    if isinstance(array, pa.ChunkedArray): array = array.combine_chunks()
    return array


def by_id(table, arrows):
    """The columns of a table in the order of fields, found by id; null where the table lacks one."""
    ids = {each.metadata[b"PARQUET:field_id"]: at for at, each in enumerate(table.schema)}
    columns = []
    for arrow in arrows:
        at = ids.get(arrow.metadata[b"PARQUET:field_id"])
        columns.append(pa.nulls(table.num_rows, table_type(arrow)) if at is None else table.column(at).combine_chunks())
    return columns


def table_type(arrow):
    return arrow.type


def canonical(value):
    if isinstance(value, float): return struct.pack("<d", value)
    if isinstance(value, list): return [canonical(each) for each in value]
    if isinstance(value, tuple): return tuple(canonical(each) for each in value)
    if isinstance(value, dict): return {key: canonical(each) for key, each in value.items()}
    return value


def rows_of(columns):
    return [[canonical(value) for value in column.to_pylist()] for column in columns]


def judge(case, arrows, answer):
    expected = None
    for path in case["files"]:
        columns = rows_of(by_id(pq.read_table(path), arrows))
        expected = columns if expected is None else [a + b for a, b in zip(expected, columns)]
    out = pq.ParquetFile(os.path.join(case["dir"], "out.parquet"), page_checksum_verification=True)
    read = out.read()
    found = rows_of(by_id(read, arrows))
    if found != expected: return "values differ"
    if [each.name for each in read.schema] != [own["name"] for own in case["fields"]]: return "names differ"
    nans = {}
    for group in range(out.metadata.num_row_groups):
        meta, table = out.metadata.row_group(group), out.read_row_group(group)
        if meta.num_rows != table.num_rows: return "rows of a group differ"
        leaf = 0
        for at, own in enumerate(case["fields"]):
            if own["type"]["kind"] in ("struct", "list", "map"):
                leaf += leaves(own["type"])
                continue
            reason = statistics(own, table.column(at), meta.column(leaf), nans)
            if reason is not None: return f"{own['name']}: {reason}"
            leaf += 1
    for own in case["fields"]:
        if own["type"]["kind"] in ("float", "double") and answer["floats"].get(str(own["id"]), 0) != nans.get(own["id"], 0):
            return f"{own['name']}: NaN counted wrong"
    return None


def leaves(kind):
    if kind["kind"] == "struct": return sum(leaves(each["type"]) for each in kind["fields"])
    if kind["kind"] == "list": return leaves(kind["element"]["type"])
    if kind["kind"] == "map": return 1 + leaves(kind["value"]["type"])
    return 1


def statistics(own, column, meta, nans):
    kind = own["type"]["kind"]
    stats = meta.statistics
    if meta.num_values != len(column): return "number of values"
    if stats is None or stats.null_count != column.null_count: return "number of nulls"
    if kind in ("uuid", "boolean", "time", "timestamp_ns", "fixed", "decimal", "binary"):
        values = [value for value in (column.combine_chunks().storage if kind == "uuid" else column).to_pylist() if value is not None]
    else: values = [value for value in column.to_pylist() if value is not None]
    if kind in ("float", "double"):
        nans[own["id"]] = nans.get(own["id"], 0) + sum(math.isnan(value) for value in values)
        values = [value for value in values if not math.isnan(value)]
    if not values: return "bounds without a value" if stats.has_min_max else None
    if not stats.has_min_max:
        # Nothing shorter lies above some texts.
        return None if kind in ("string", "binary") else "bounds are missing"
    if kind in ("timestamp_ns",): return None
    low, high = stats.min, stats.max
    if kind in ("string", "binary"): return None if low <= min(values) and high >= max(values) else "bounds"
    return None if (low, high) == (min(values), max(values)) else f"bounds {low} {high} instead of {min(values)} {max(values)}"


for number in range(groups):
    case, arrows = write_group(number)
    print(json.dumps(case), flush=True)
    answer = json.loads(sys.stdin.readline())
    verdict = None
    if answer["ok"]: verdict = judge(case, arrows, answer)
    elif not case["odd"]: verdict = f"refused: {answer['reason']}"
    if verdict is not None:
        print(json.dumps({"fault": verdict, "seed": seed, "group": number, "dir": case["dir"]}), flush=True)
        sys.exit(1)
    shutil.rmtree(case["dir"])

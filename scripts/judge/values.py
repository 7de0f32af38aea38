"""The head's rows against the topic's records, value by value, whoever read the table.

Expected columns come from DuckDB's JSON functions over the records' bytes, typed by the reader's own schema.
"""

import json

import pyarrow as pa

SAMPLES = 5


def compare(con, relation, bounds, prefix, fmt):
    """Compares `relation` with the records inside `bounds` (table topic, p, lo, hi); returns differences."""
    schema = con.sql(f"select * from {relation} limit 0").to_arrow_table().schema
    names = [f.name for f in schema]
    expected, problems = expected_columns(con, schema, prefix, fmt, bounds)
    # Without a topic column there is one topic; a condition on it would forbid a hash join.
    topic = f' and e.topic = g."{prefix}topic"' if f"{prefix}topic" in names else ""
    con.execute(
        f"""create or replace view expected as select topic, p, o, {", ".join(f'{sql} as "{n}"' for n, sql in expected.items())}
        from (select t.*{", " + transform(schema, prefix) + " as j" if fmt == "json" else ""}
              from record t join {bounds} b using (topic, p) where o >= lo and o < hi)"""
    )
    join = f"""expected e full join {relation} g
        on e.p = g."{prefix}partition" and e.o = g."{prefix}offset"{topic}"""
    checks = [
        f"""count(*) filter (where e.o is not null and g."{prefix}offset" is not null
        and e."{n}" is distinct from {got(schema.field(n), prefix)}) as "c_{i}" """
        for i, n in enumerate(expected)
    ]
    row = con.sql(
        f"""select count(*) filter (where e.o is null), count(*) filter (where g."{prefix}offset" is null),
        count(g."{prefix}offset"), {", ".join(checks)} from {join}"""
    ).fetchone()
    extra, missing, rows, *wrong = row
    keys = ", ".join(f'"{prefix}{c}"' for c in ("topic", "partition", "offset") if f"{prefix}{c}" in names)
    # Joined rows say nothing of a row that is there twice.
    (total, distinct) = con.sql(
        f"select count(*), (select count(*) from (select distinct {keys} from {relation})) from {relation}"
    ).fetchone()
    if extra:
        problems.append({"kind": "rows that are not expected", "rows": extra})
    if missing:
        problems.append({"kind": "lost rows", "rows": missing})
    if total != distinct:
        problems.append({"kind": "doubled rows", "rows": total - distinct})
    for n, bad in zip(expected, wrong):
        if bad:
            problems.append(wrong_values(con, join, n, got(schema.field(n), prefix), prefix, bad))
    return {"rows": total, "columns": names, "problems": problems}


def wrong_values(con, join, name, actual, prefix, bad):
    sample = con.sql(
        f"""select e.p, e.o, cast(e."{name}" as varchar), cast({actual} as varchar) from {join}
        where e.o is not null and g."{prefix}offset" is not null and e."{name}" is distinct from {actual}
        order by 1, 2 limit {SAMPLES}"""
    ).fetchall()
    keys = ("partition", "offset", "expected", "found")
    return {"kind": "wrong values", "column": name, "rows": bad, "sample": [dict(zip(keys, s)) for s in sample]}


def got(field, prefix):
    """The reader's column, in the form in which it is compared."""
    column = f'g."{field.name}"'
    if field.name == f"{prefix}timestamp" and pa.types.is_timestamp(field.type):
        return f"epoch_ms({column})"
    return column


def expected_columns(con, schema, prefix, fmt, bounds):
    columns, problems = {}, []
    for field in schema:
        if field.name.startswith(prefix):
            meta = field.name[len(prefix) :]
            if meta == "timestamp":
                columns[field.name] = "ts"
            elif meta == "key":
                columns[field.name] = "key" if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type) else "decode(key)"
        elif fmt == "json":
            columns[field.name] = f'j."{field.name}"'
        else:
            columns[field.name] = "value" if fmt == "bytes" else "decode(value)"
    if fmt == "json":
        # Distinct shapes first: few, whatever the number of records.
        shapes = con.sql(
            f"""select distinct json_structure(decode(value)) from record t join {bounds} b using (topic, p)
            where o >= lo and o < hi and value is not null"""
        ).fetchall()
        lost = (at for (shape,) in shapes for at in lost_fields(json.loads(shape), pa.struct(list(schema)), ""))
        problems.extend({"kind": "lost field", "column": at} for at in sorted(set(lost)))
    return columns, problems


def lost_fields(structure, type_, path):
    """Paths of the fields that a record of this shape has and the table's schema has not."""
    if isinstance(structure, dict) and pa.types.is_struct(type_):
        known = {type_.field(i).name: type_.field(i).type for i in range(type_.num_fields)}
        for name, inner in structure.items():
            at = f"{path}.{name}" if path else name
            if name not in known:
                if inner != "NULL":
                    yield at
            else:
                yield from lost_fields(inner, known[name], at)
    elif isinstance(structure, list) and pa.types.is_list(type_) and structure:
        yield from lost_fields(structure[0], type_.value_type, f"{path}[]")


def transform(schema, prefix):
    wanted = {f.name: json_type(f.type) for f in schema if not f.name.startswith(prefix)}
    text = json.dumps(wanted).replace("'", "''")
    return f"json_transform(decode(t.value)::json, '{text}')"


def json_type(t):
    if pa.types.is_struct(t):
        return {t.field(i).name: json_type(t.field(i).type) for i in range(t.num_fields)}
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        return [json_type(t.value_type)]
    if pa.types.is_timestamp(t):
        return "TIMESTAMPTZ" if t.tz else "TIMESTAMP"
    if pa.types.is_decimal(t):
        return f"DECIMAL({t.precision},{t.scale})"
    simple = (
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_int32, "INTEGER"),
        (pa.types.is_int64, "BIGINT"),
        (pa.types.is_float32, "FLOAT"),
        (pa.types.is_float64, "DOUBLE"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_time, "TIME"),
        (pa.types.is_binary, "BLOB"),
        (pa.types.is_large_binary, "BLOB"),
    )
    return next((name for test, name in simple if test(t)), "VARCHAR")

#!/usr/bin/env python3
"""Makes the files in tests/files, and beside each its rows as JSON lines, by which the reader is checked.

Made once with pyarrow 26.0.1, polars 2.1.0, duckdb 2.0.1 and fastparquet 2026.9.0; what stands in the lines is
what pyarrow reads from the files, not what this program wrote into them.
"""
import datetime as dt
import decimal
import json
import math
import os
import random
import sys
import uuid

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
chance = random.Random(1)


def cell(value, kind):
    """What the reader is to say of a value of the type `kind`: None, or its sort and its text."""
    if value is None:
        return None
    if pa.types.is_dictionary(kind):
        return cell(value, kind.value_type)
    if pa.types.is_boolean(kind):
        return ["json", "true" if value else "false"]
    if pa.types.is_integer(kind):
        return ["number", str(value)]
    if pa.types.is_floating(kind):
        return ["number", floating(value, kind)]
    if pa.types.is_decimal(kind):
        text = format(value, "f")
        digits = text.replace("-", "").replace(".", "").lstrip("0")
        return ["number" if len(digits) <= 15 else "word", text]
    if pa.types.is_date(kind):
        return ["word", value.isoformat()]
    if pa.types.is_timestamp(kind):
        return ["word", timestamp(value, kind)]
    if pa.types.is_time(kind):
        text = value.isoformat()
        return ["word", text.rstrip("0") if "." in text else text]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return ["word", value]
    if isinstance(kind, pa.UuidType):
        return ["word", str(value)]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        try:
            return ["word", value.decode()]
        except UnicodeDecodeError:
            return ["bytes", value.hex()]
    return ["json", nested(value, kind)]


def floating(value, kind):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    # As a float of its own width, read back; compared by value.
    return repr(float(value)) if pa.types.is_float64(kind) else "single " + repr(float(value))


def timestamp(value, kind):
    # Of pyarrow's own integers, since Python's times have no nanoseconds.
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    seconds, rest = divmod(value, per)
    text = (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)).isoformat()
    if rest:
        text += "." + str(rest * (10**9 // per)).zfill(9).rstrip("0")
    return text + ("Z" if kind.tz else "")


def nested(value, kind):
    """JSON without blanks, as the reader writes it."""
    if value is None:
        return "null"
    if pa.types.is_map(kind):
        def key(k):
            inner = cell(k, kind.key_type)[1]
            return json.dumps(inner, ensure_ascii=False)
        return "{" + ",".join(key(k) + ":" + nested(v, kind.item_type) for k, v in value) + "}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "[" + ",".join(nested(v, kind.value_type) for v in value) + "]"
    if pa.types.is_struct(kind):
        parts = (json.dumps(f.name) + ":" + nested(value[f.name], f.type) for f in kind)
        return "{" + ",".join(parts) + "}"
    sort, text = cell(value, kind)
    if sort == "bytes":
        return json.dumps("0x" + text)
    if sort == "word":
        return json.dumps(text, ensure_ascii=False)
    if sort == "number" and text.startswith("single "):
        # Those of nested columns are chosen so that their digits are the same.
        text = text[len("single "):]
    if sort == "number" and text.endswith(".0"):
        text = text[:-2]
    return text


def told(path):
    """Writes the rows of a file beside it."""
    table = pq.ParquetFile(path).read()
    columns = []
    for name in table.column_names:
        column = table.column(name)
        kind = column.type
        if pa.types.is_timestamp(kind):
            values = column.cast(pa.int64()).to_pylist()
        else:
            values = column.to_pylist()
        columns.append([cell(value, kind) for value in values])
    with open(path.removesuffix(".parquet") + ".jsonl", "w") as out:
        out.write(json.dumps(table.column_names) + "\n")
        for row in zip(*columns):
            out.write(json.dumps(list(row), ensure_ascii=False) + "\n")


def write(name, table, **options):
    path = os.path.join(HERE, name + ".parquet")
    options.setdefault("compression", "none")
    pq.write_table(table, path, **options)
    told(path)


def flat(rows):
    def some(make):
        return [make(i) if chance.random() > 0.2 else None for i in range(rows)]
    day = dt.date(2024, 1, 1)
    return pa.table({
        "id": pa.array(range(rows), pa.int64()),
        "small": pa.array(some(lambda i: i % 7 - 3), pa.int8()),
        "unsigned": pa.array(some(lambda i: 2**32 - 1 - i), pa.uint32()),
        "long": pa.array(some(lambda i: 2**64 - 1 - i), pa.uint64()),
        "truth": pa.array(some(lambda i: i % 3 == 0), pa.bool_()),
        "single": pa.array(some(lambda i: i / 10), pa.float32()),
        "double": pa.array(some(lambda i: chance.choice([i / 10, math.nan, math.inf, -0.0, 1e300])), pa.float64()),
        "half": pa.array(some(lambda i: i / 8), pa.float16()),
        "word": pa.array(some(lambda i: chance.choice(["", "a", "ü", "a longer text, with a comma"])), pa.string()),
        "like": pa.array([f"sample-{i:05}" for i in range(rows)], pa.string()),
        "bytes": pa.array(some(lambda i: bytes([255, i % 256])), pa.binary()),
        "fixed": pa.array(some(lambda i: i.to_bytes(5, "big")), pa.binary(5)),
        "price": pa.array(some(lambda i: decimal.Decimal(i - 20) / 100), pa.decimal128(9, 2)),
        "exact": pa.array(some(lambda i: decimal.Decimal(10**20 + i) / 1000), pa.decimal128(30, 3)),
        "day": pa.array(some(lambda i: day + dt.timedelta(i)), pa.date32()),
        "at": pa.array(some(lambda i: i * 1234567), pa.timestamp("ms", "UTC")),
        "nanos": pa.array(some(lambda i: i * 1234567 - 5), pa.timestamp("ns")),
        "clock": pa.array(some(lambda i: i * 1234567), pa.time64("us")),
        "same": pa.array(["constant"] * rows).dictionary_encode(),
        "nothing": pa.nulls(rows),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array(some(lambda i: uuid.UUID(int=i).bytes), pa.binary(16))),
    })


def deep(rows):
    """Lists, structures, maps, and all of them in each other."""
    message = pa.struct([("role", pa.string()), ("text", pa.string()), ("tokens", pa.list_(pa.int32()))])

    def say(i):
        if i % 5 == 4:
            return None
        many = chance.randrange(3)
        make = lambda j: None if chance.random() < 0.2 else {
            "role": chance.choice(["user", None, "model"]), "text": f"t{i}\n\"{j}\"",
            "tokens": chance.choice([None, [], [1, None, j]])}
        return [make(j) for j in range(many)]

    def lists(i):
        return chance.choice([None, [], [[]], [None], [[1, 2], None, []], [[i], [None, i, 3]]])

    return pa.table({
        "id": pa.array(range(rows), pa.int32()),
        "vector": pa.array([[i / 2, -i / 4, 0.25] for i in range(rows)], pa.list_(pa.float32())),
        "fixed": pa.array([[i, i + 1] for i in range(rows)], pa.list_(pa.int16(), 2)),
        "messages": pa.array([say(i) for i in range(rows)], pa.list_(message)),
        "lists": pa.array([lists(i) for i in range(rows)], pa.list_(pa.list_(pa.int64()))),
        "one": pa.array([None if i % 4 == 1 else {"x": i, "y": {"z": None if i % 3 else "w"}} for i in range(rows)],
                        pa.struct([("x", pa.int64()), ("y", pa.struct([("z", pa.string())]))])),
        "map": pa.array([chance.choice([None, [], [("a", i)], [("b", None), ("c", 1)]]) for i in range(rows)],
                        pa.map_(pa.string(), pa.int64())),
        "numbers": pa.array([[(i, [True, None])] for i in range(rows)], pa.map_(pa.int32(), pa.list_(pa.bool_()))),
        "image": pa.array([{"bytes": bytes([137, i]), "path": None} for i in range(rows)],
                          pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    })


def main():
    os.makedirs(HERE, exist_ok=True)
    table = flat(60)
    write("plain", table, use_dictionary=False)
    write("dictionary", table, row_group_size=17, data_page_size=64)
    write("pages2", table, data_page_version="2.0", data_page_size=100, compression="snappy")
    for codec in ["snappy", "gzip", "zstd"]:
        write(codec, table.select(["id", "word", "double"]), compression=codec)
    for codec in ["lz4", "brotli"]:
        pq.write_table(table.select(["id"]), os.path.join(HERE, codec + ".parquet"), compression=codec)
    delta = ["id", "unsigned", "word", "like", "long", "fixed"]
    write("delta", table.select(delta), use_dictionary=False, column_encoding={
        "id": "DELTA_BINARY_PACKED", "unsigned": "DELTA_BINARY_PACKED", "long": "DELTA_BINARY_PACKED",
        "word": "DELTA_LENGTH_BYTE_ARRAY", "like": "DELTA_BYTE_ARRAY", "fixed": "DELTA_BYTE_ARRAY"})
    split = ["id", "single", "double", "half", "fixed", "small"]
    write("split", table.select(split), use_dictionary=False, column_encoding={
        name: "BYTE_STREAM_SPLIT" for name in split})
    write("truths", table.select(["truth"]), data_page_version="2.0", use_dictionary=False,
          column_encoding={"truth": "RLE"})
    write("old_times", table.select(["id", "nanos"]), use_deprecated_int96_timestamps=True)
    write("deep", deep(40), data_page_size=60, row_group_size=13)
    write("deep2", deep(40), data_page_version="2.0", compression="zstd")
    write("old_lists", deep(40), use_compliant_nested_type=False)
    write("empty", table.slice(0, 0))

    import duckdb
    import polars
    path = os.path.join(HERE, "polars.parquet")
    columns = ["id", "word", "double", "at", "truth", "single"]
    polars.from_arrow(table.select(columns)).with_columns(
        polars.Series("lists", [None if i % 6 == 0 else list(range(i % 4)) for i in range(60)])
    ).write_parquet(path, row_group_size=25)
    told(path)
    path = os.path.join(HERE, "duckdb.parquet")
    view = table.select(["id", "word", "double", "price", "day", "at"])
    duckdb.sql(f"copy (select *, [id, null] as pair, {{'a': word}} as one from view) to '{path}' (format parquet)")
    told(path)
    # fastparquet writes pages of its own.
    import fastparquet
    path = os.path.join(HERE, "fastparquet.parquet")
    frame = table.select(["id", "word", "double", "truth"]).to_pandas()
    fastparquet.write(path, frame, compression="GZIP")
    told(path)
    # Real rows, to be held against the CSV file that they are from.
    real = os.path.join(HERE, "../../../../tests/data/penguins.csv")
    penguins = pa.csv.read_csv(real, convert_options=pa.csv.ConvertOptions(strings_can_be_null=True))
    pq.write_table(penguins, os.path.join(HERE, "penguins.parquet"))


if __name__ == "__main__":
    sys.exit(main())

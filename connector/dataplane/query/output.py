"""The file that leaves: written, made durable, counted, and named by two digests.

The digest of a file's rows does not depend on their order, nor on the format, so that it can be made again of what has landed:
``digest_of_file`` says how. It tells accidents apart, not forgers: against those there is the SHA-256 of the file.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from connector.dataplane.plan.model import Format
from connector.dataplane.query.engine import batches, quoted, text

BATCH_ROWS: Final = 32_768
READ_BYTES: Final = 1024 * 1024
HEADER_BYTES: Final = 1024 * 1024
DIGEST_MEMORY: Final = "128MB"
ISO: Final = "%Y-%m-%dT%H:%M:%SZ"
NAMES: Final = frozenset({"pseudonym", "reference", "trip", "cell", "month"})
"""Columns that are text, whatever their values look like. Of other columns a text that reads as a number counts as that number:
CSV cannot tell them apart."""
NULL: Final = 0x6E756C6C
_CSV: Final = "header=true, auto_detect=false, delim=',', quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false"
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_FIRST, _SECOND, _THIRD = (numpy.uint64(n) for n in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0x9E3779B97F4A7C15))
_SHIFTS: Final = tuple(numpy.uint64(n) for n in (30, 27, 31))
_HALF: Final = numpy.uint64(32)


def write(backend: Any, sql: str, columns: Sequence[str], path: str, kind: Format) -> None:
    """The result as a file of that format at ``path``. Times are UTC: timestamps in Parquet and Arrow, else ISO 8601."""
    if kind in ("csv", "ndjson") and "time" in columns:
        names = ", ".join(f"strftime(time, '{ISO}') AS time" if name == "time" else quoted(name) for name in columns)
        sql = f"SELECT {names} FROM ({sql})"  # noqa: S608 - names are quoted
    if kind == "arrow":
        _arrow(batches(backend, sql, BATCH_ROWS), path)
    else:
        options = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER", "ndjson": "FORMAT json"}[kind]
        backend.con.execute(f"COPY ({sql}) TO {text(path)} ({options}, USE_TMP_FILE false)")
    with open(path, "rb") as made:
        os.fsync(made.fileno())


def _arrow(reader: Any, path: str) -> None:
    with pyarrow.OSFile(path, "wb") as sink, pyarrow.ipc.new_file(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def sha256_of(path: str) -> str:
    """SHA-256 of a file, in hex."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(READ_BYTES):
            found.update(block)
    return found.hexdigest()


def digest_of_file(path: str | Path, kind: Format) -> tuple[int, str]:
    """The number of rows of a file of ours, and their digest in hex; the same for the same rows in each format and order.

    1. A value is 64 bits: of a number those of its IEEE 754 double (-0 as 0), of a null ``NULL``, of a text the first 8 bytes
       of its SHA-256 (UTF-8) as a little-endian integer, of an instant its seconds since 1970 as a double. Truth is the text
       ``true`` or ``false``. See ``NAMES`` for texts that look like numbers.
    2. The values of a row are folded, in order of columns, into two words, which are then mixed (``_folded``, ``_mixed``).
    3. The words of all rows are added modulo 2**64. The digest is the SHA-256 of the text
       ``carnet-rows-1|<rows>|<first sum>|<second sum>|<names of columns, as a JSON array>``, cut to 32 hex digits; of no rows
       without the names, since NDJSON has none then.

    Blocks; reads in batches. Raises duckdb.Error, OSError or pyarrow.ArrowInvalid for a file that is not of the format.
    """
    connection = duckdb.connect(":memory:", config={"memory_limit": DIGEST_MEMORY, "threads": "2"})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        return digest(connection, str(path), kind)
    finally:
        connection.close()


Seen = Callable[[Any], None]


def digest(connection: Any, path: str, kind: Format, seen: Seen | None = None, key: str | None = None) -> tuple[int, str]:
    """As ``digest_of_file``, on an engine that may read the file; ``seen`` gets the texts of the column ``key``, as arrays that
    have each once."""
    names, stream = _opened(connection, path, kind)
    rows, first, second = 0, numpy.uint64(0), numpy.uint64(0)
    texts: dict[str, int] = {}
    with numpy.errstate(over="ignore"):
        for batch in stream:
            if seen is not None and key in names:
                seen(_coded(batch.column(names.index(key))).dictionary)
            one, other = _folded([_bits(name, column, texts) for name, column in zip(names, batch.columns, strict=True)])
            first, second, rows = first + one, second + other, rows + len(batch)
    said = json.dumps(names, ensure_ascii=False, separators=(",", ":")) if rows else "[]"
    whole = f"carnet-rows-1|{rows}|{first}|{second}|{said}"
    return rows, hashlib.sha256(whole.encode()).hexdigest()[:32]


def _folded(columns: list[Any]) -> tuple[Any, Any]:
    size = len(columns[0]) if columns else 0
    words = []
    for factor in (_FIRST, _SECOND):
        word = numpy.full(size, _THIRD)
        for bits in columns:
            word ^= bits
            word *= factor
            word ^= word >> _HALF
        words.append(_mixed(word).sum(dtype=numpy.uint64))
    return words[0], words[1]


def _mixed(word: Any) -> Any:
    """The finaliser of SplitMix64, in place."""
    word ^= word >> _SHIFTS[0]
    word *= _FIRST
    word ^= word >> _SHIFTS[1]
    word *= _SECOND
    word ^= word >> _SHIFTS[2]
    return word


def _bits(name: str, column: Any, texts: dict[str, int]) -> Any:
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_dictionary(column.type):
        return _text_bits(column, texts, numbers=name not in NAMES)
    found = (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)
    bits = (found.astype(numpy.float64, copy=False) + 0.0).view(numpy.uint64)
    if column.null_count:
        bits[~column.is_valid().to_numpy(zero_copy_only=False)] = NULL
    return bits


def _text_bits(column: Any, texts: dict[str, int], *, numbers: bool) -> Any:
    coded = _coded(column)
    words = coded.dictionary.to_pylist()
    if len(texts) > BATCH_ROWS * 4:
        texts.clear()
    table = numpy.array([_word(word, texts, numbers=numbers) for word in words] or [NULL], numpy.uint64)
    bits = table[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    if column.null_count:
        bits[~column.is_valid().to_numpy(zero_copy_only=False)] = NULL
    return bits


def _coded(column: Any) -> Any:
    """With a dictionary; that of a file is of a whole row group, and is made anew where it has more than the batch can use."""
    if not pyarrow.types.is_dictionary(column.type):
        return column.dictionary_encode()
    return column if len(column.dictionary) <= len(column) else column.dictionary_decode().dictionary_encode()


def _word(word: str, texts: dict[str, int], *, numbers: bool) -> int:
    if numbers and _NUMBER.fullmatch(word):
        return int(numpy.float64(float(word) + 0.0).view(numpy.uint64))
    found = texts.get(word)
    if found is None:
        found = texts[word] = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    return found


def _opened(connection: Any, path: str, kind: Format) -> tuple[list[str], Iterator[Any]]:
    """The names of the columns, and record batches of doubles and texts."""
    if kind == "arrow":
        return _opened_arrow(path)
    if kind == "parquet":
        return _opened_parquet(path)
    if kind == "csv":
        with open(path, newline="", encoding="utf-8") as file:
            names = next(csv.reader([file.readline(HEADER_BYTES)]), [])
        types = dict.fromkeys(names, "VARCHAR")
        source = f"read_csv({text(path)}, columns={_struct(names, 'VARCHAR')}, {_CSV})"
        columns = [_of_text(name) for name in names]
    else:
        with open(path, encoding="utf-8") as file:
            line = file.readline(HEADER_BYTES)
        types = dict.fromkeys(json.loads(line) if line else (), "JSON")
        if not types:
            return [], iter(())
        source = f"read_json({text(path)}, format='newline_delimited', columns={_struct(list(types), 'JSON')})"
        columns = [_of_json(name) for name in types]
    reader = connection.sql(f"SELECT {', '.join(columns)} FROM {source}").to_arrow_reader(BATCH_ROWS)  # noqa: S608
    return list(types), iter(reader)


def _struct(names: list[str], type_: str) -> str:
    return "{" + ", ".join(f"{text(name)}: '{type_}'" for name in names) + "}"


def _opened_parquet(path: str) -> tuple[list[str], Iterator[Any]]:
    found = pyarrow.parquet.read_metadata(path)
    schema = found.schema.to_arrow_schema()
    # A dictionary made of a column that has none in the file would grow with all its row groups.
    coded = found.num_row_groups and found.row_group(0)
    texts = [
        field.name
        for place, field in enumerate(schema)
        if coded and pyarrow.types.is_string(field.type) and coded.column(place).has_dictionary_page
    ]

    def stream() -> Iterator[Any]:
        with pyarrow.parquet.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
            for group in range(found.num_row_groups):
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False):
                    yield pyarrow.record_batch([_plain(column) for column in batch.columns], names=batch.schema.names)

    return list(schema.names), stream()


def _opened_arrow(path: str) -> tuple[list[str], Iterator[Any]]:
    def stream() -> Iterator[Any]:
        with pyarrow.OSFile(path, "rb") as source:
            reader = pyarrow.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                yield pyarrow.record_batch([_plain(column) for column in batch.columns], names=batch.schema.names)

    with pyarrow.OSFile(path, "rb") as source:
        names = list(pyarrow.ipc.open_file(source).schema.names)
    return names, stream()


def _plain(column: Any) -> Any:
    if pyarrow.types.is_timestamp(column.type):
        return column.cast(pyarrow.timestamp("s", "UTC")).cast(pyarrow.int64())
    return column.cast(pyarrow.string()) if pyarrow.types.is_boolean(column.type) else column


def _of_text(name: str) -> str:
    return f"epoch({quoted(name)}::TIMESTAMPTZ)" if name == "time" else quoted(name)


def _of_json(name: str) -> str:
    value = f"({quoted(name)} ->> '$')"
    return f"epoch({value}::TIMESTAMPTZ)" if name == "time" else value

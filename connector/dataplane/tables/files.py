"""The files of a table: which they are, what stands at their head, and what tells one state of them from another. Blocking.

Whoever wrote the files is not trusted: what is read here is bounded, and the texts of errors hold nothing of a file but column
names. Rows are read elsewhere (``read``), under the limits of the engine.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from connector.dataplane.sources import identity_of, open_file
from connector.dataplane.tables.recognise import MAX_NAME
from connector.dataplane.tables.refused import TableRefused

MAX_FILES: Final = 10_000
MAX_COLUMNS: Final = 500
MAX_HEAD_BYTES: Final = 256 * 1024
"""The first line of a CSV file ends within so many bytes."""
MAX_FOOTER_BYTES: Final = 8 * 1024 * 1024
"""What stands at the end of a Parquet file is not longer."""
MAX_CHUNK_BYTES: Final = 2 * 1024 * 1024 * 1024
"""No column of one row group of Parquet says that it is larger, unpacked."""
MAX_ROWS_PER_BYTE: Final = 100
"""A Parquet file that says it holds more rows is not what somebody measured."""
READ_BYTES: Final = 1024 * 1024
_DELIMITERS: Final = (",", ";", "\t", "|")
_MANY: Final = frozenset("*?[]{}")

Kind = Literal["csv", "parquet"]
Headers = tuple[tuple[str, str], ...]


class Dialect(NamedTuple):
    """How a CSV file is written."""

    encoding: str = "utf-8"
    delimiter: str = ","


def files_of(path: Path) -> tuple[tuple[str, ...], Kind]:
    """The real paths of a table's files: of one file, or of all CSV or all Parquet files that lie in a folder; and their format.

    Hidden files, links and other endings are passed over in a folder. Raises TableRefused.
    """
    try:
        real = path.resolve(strict=True)
        if real.is_dir():
            found = sorted(_entries(real))
        elif real.is_file():
            found = [str(real)]
        else:
            raise TableRefused("file-unreadable", "this is neither a file nor a folder")
    except (OSError, RuntimeError, ValueError):
        raise TableRefused("file-unreadable", "there is no such file or folder") from None
    if not found:
        raise TableRefused("table-empty", "the folder holds no CSV or Parquet file")
    if any(_MANY & set(name) for name in found):
        raise TableRefused("file-name", "no name of a file or folder may have one of * ? [ ] { }")
    if any("\udc80" <= sign <= "\udcff" for name in found for sign in name):
        raise TableRefused("file-name", "the name of a file or folder is not UTF-8")
    kinds = {_kind(name) for name in found}
    if len(kinds) > 1:
        raise TableRefused("table-formats-differ", "the folder holds CSV beside Parquet files")
    return tuple(found), kinds.pop()


def _entries(folder: Path) -> list[str]:
    found: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.lower()
            if name.startswith(".") or not name.endswith((".csv", ".parquet")) or not entry.is_file(follow_symlinks=False):
                continue
            found.append(entry.path)
            if len(found) > MAX_FILES:
                raise TableRefused("table-too-large", f"the folder holds more than {MAX_FILES} files")
    return found


def _kind(path: str) -> Kind:
    if path.lower().endswith((".csv", ".parquet")):
        return "parquet" if path.lower().endswith(".parquet") else "csv"
    try:
        with _opened(path) as file:
            return "parquet" if file.read(4) == b"PAR1" else "csv"
    except OSError:
        raise TableRefused("file-unreadable", "the file cannot be opened") from None


def _opened(path: str) -> BinaryIO:
    return os.fdopen(open_file(Path(path)), "rb")


def snapshot_of(files: Sequence[str]) -> str:
    """Digest of the state of every file, in hex. Raises OSError."""
    states = (f"{name}\0{identity_of(os.stat(name))}" for name in files)
    return hashlib.sha256("\n".join(states).encode("utf-8", "surrogateescape")).hexdigest()


def id_of(path: Path) -> str:
    """What names the raw table: digest of the real path it was published by, in hex."""
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()


def headers_of(path: str, kind: Kind, dialect: Dialect = Dialect()) -> Headers:  # noqa: B008  # a NamedTuple does not change
    """Names and types of a file's columns: of CSV all are ``string``, of Parquet they are named as Arrow does.

    Raises TableRefused.
    """
    try:
        with _opened(path) as file:
            return _parquet(file) if kind == "parquet" else _named(_csv(_head(file), dialect))
    except OSError:
        raise TableRefused("file-unreadable", "the file cannot be opened") from None


def dialect_of(files: Sequence[str]) -> Dialect:
    """How CSV files are written: by all their bytes and the first line of the first one. Raises TableRefused."""
    found: set[str] = set()
    try:
        for path in files:
            with _opened(path) as file:
                found.add(_encoding(file))
        with _opened(files[0]) as file:
            head = _head(file)
    except OSError:
        raise TableRefused("file-unreadable", "a file cannot be opened") from None
    if found >= {"utf-8", "latin-1"}:
        raise TableRefused("encoding-unknown", "some files of the folder are UTF-8, others are not")
    encoding = "latin-1" if "latin-1" in found else "utf-8"
    widths = [(len(_csv(head, Dialect(encoding, delimiter))), delimiter) for delimiter in _DELIMITERS]
    return Dialect(encoding, max(widths, key=lambda each: each[0])[1])


def _encoding(file: BinaryIO) -> Literal["ascii", "utf-8", "latin-1"]:
    """Whether all of a file is ASCII, UTF-8, or neither; a mark of UTF-16 or a NUL is refused."""
    decoder, kind = codecs.getincrementaldecoder("utf-8")(), "ascii"
    first = True
    while block := file.read(READ_BYTES):
        if first and block.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise TableRefused("encoding-unknown", "the file is neither UTF-8 nor Latin-1")
        if b"\0" in block:
            raise TableRefused("file-unreadable", "the file holds NUL bytes, and is no CSV")
        first = False
        if kind != "latin-1" and (kind == "utf-8" or not block.isascii()):
            try:
                decoder.decode(block)
                kind = "utf-8"
            except UnicodeDecodeError:
                kind = "latin-1"
    if kind == "utf-8":
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
        return "utf-8"
    return "ascii" if kind == "ascii" else "latin-1"


def _head(file: BinaryIO) -> bytes:
    """The first line of a file."""
    start = file.read(MAX_HEAD_BYTES).removeprefix(codecs.BOM_UTF8)
    ends = [at for at in (start.find(b"\n"), start.find(b"\r")) if at >= 0]
    if not ends and len(start) >= MAX_HEAD_BYTES - len(codecs.BOM_UTF8):
        raise TableRefused("header-unreadable", f"the first line is longer than {MAX_HEAD_BYTES} bytes")
    return start[: min(ends)] if ends else start


def _csv(head: bytes, dialect: Dialect) -> list[str]:
    """The fields of a first line."""
    if head.count(dialect.delimiter.encode()) > 4 * MAX_COLUMNS:
        raise TableRefused("too-many-columns", f"the table has more than {MAX_COLUMNS} columns")
    try:
        rows = list(csv.reader(io.StringIO(head.decode(dialect.encoding), newline=""), delimiter=dialect.delimiter, strict=True))
    except (csv.Error, UnicodeDecodeError):
        raise TableRefused("header-unreadable", "the first line cannot be read as names of columns") from None
    if len(rows) != 1:
        raise TableRefused("header-unreadable", "the first line has no names of columns")
    return rows[0]


def _named(names: Sequence[str]) -> Headers:
    return _sound(tuple((name, "string") for name in names))


def _sound(headers: Headers) -> Headers:
    """``headers``, if they can be told apart and shown to a reader. Raises TableRefused."""
    if len(headers) > MAX_COLUMNS:
        raise TableRefused("too-many-columns", f"the table has {len(headers)} columns, and {MAX_COLUMNS} are read at most")
    seen: set[str] = set()
    for name, _ in headers:
        if len(name) > MAX_NAME:
            raise TableRefused("header-unreadable", f"a header is longer than {MAX_NAME} characters", name[:40])
        if not all(sign.isprintable() or sign == "\ufeff" or "\x80" <= sign <= "\xa0" for sign in name):
            raise TableRefused("header-unreadable", "a header holds characters that cannot be shown", ascii(name)[:40])
        if name.lower() in seen:
            raise TableRefused("header-double", "two columns have one name, or differ in capitals only", name)
        seen.add(name.lower())
    return headers


def _parquet(file: BinaryIO) -> Headers:
    """Names and types of a Parquet file, after what it says of itself was found plausible."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    tail = file.read(8)
    footer = int.from_bytes(tail[:4], "little")
    if size < 12 or tail[4:] != b"PAR1" or footer > size - 12:
        raise TableRefused("file-unreadable", "the file is no complete Parquet file")
    if footer > MAX_FOOTER_BYTES:
        raise TableRefused("too-many-columns", "the file says more of its columns and row groups than can be read")
    file.seek(0)
    try:
        opened = pq.ParquetFile(
            file,
            thrift_string_size_limit=MAX_FOOTER_BYTES,
            thrift_container_size_limit=MAX_FOOTER_BYTES // 8,
            page_checksum_verification=False,
        )
        found = opened.metadata
        if found.num_columns > 4 * MAX_COLUMNS:
            raise TableRefused("too-many-columns", f"the table has more than {MAX_COLUMNS} columns")
        _plausible(found, size)
        fields = [(field.name, str(field.type)) for field in found.schema.to_arrow_schema()]
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError):
        raise TableRefused("file-unreadable", "the file is damaged, or no Parquet file") from None
    if any(not name for name, _ in fields):
        raise TableRefused("header-unreadable", "a column has no name")
    return _sound(tuple(fields))


def _plausible(found: pq.FileMetaData, size: int) -> None:
    """That no more rows and bytes are announced than a file of that size can hold. Raises TableRefused."""
    groups = [found.row_group(index) for index in range(found.num_row_groups)]
    if found.num_rows != sum(group.num_rows for group in groups) or any(group.num_rows < 0 for group in groups):
        raise TableRefused("file-unreadable", "the file contradicts itself about its rows")
    if found.num_rows > MAX_ROWS_PER_BYTE * size:
        raise TableRefused("table-too-large", "the file announces more rows than its bytes can hold")
    for group in groups:
        for index in range(group.num_columns):
            chunk = group.column(index)
            if not 0 <= chunk.total_uncompressed_size <= MAX_CHUNK_BYTES or not 0 <= chunk.total_compressed_size <= size:
                name = chunk.path_in_schema.split(".")[0][:MAX_NAME]
                raise TableRefused("table-too-large", "a column announces more bytes than can be read at once", ascii(name)[1:-1])

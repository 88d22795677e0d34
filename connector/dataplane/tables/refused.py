"""Why a table is not taken, and how it differs from what was looked at. No I/O.

The texts name columns, never a value, a vehicle or a file.
"""

from __future__ import annotations

from typing import Literal

from connector.dataplane.sources import SourceChanged

Code = Literal[
    "table-empty",  # no rows, or no files
    "table-too-large",  # more files, or more rows than its bytes can hold
    "table-formats-differ",  # CSV beside Parquet
    "table-headers-differ",  # files of one folder with other columns
    "file-unreadable",  # not what it says it is, or damaged
    "file-name",  # a name with a character that stands for several files
    "encoding-unknown",  # neither UTF-8 nor Latin-1
    "header-unreadable",  # none, too long, or with control characters
    "header-double",  # two columns of one name
    "too-many-columns",
    "column-missing",  # a column that is needed or mapped is not there
    "column-double",  # two columns of one path, or one column for two things
    "column-path",  # not a path that a column may have
    "column-type",  # a type that cannot be read as said
    "column-unit",  # another unit than that of the signal
    "vehicle-unreadable",
    "time-unreadable",
    "time-zone",
]


class TableRefused(Exception):
    """A table cannot be read. ``code`` is stable; ``reason`` is a sentence; ``column`` the header or path it is about."""

    def __init__(self, code: Code, reason: str, column: str | None = None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code: Code = code
        self.reason = reason
        self.column = column


class SchemaChanged(SourceChanged):
    """The files are not of the schema that was looked at; ``column`` is the one added, removed, retyped or moved.

    None where a file is gone or cannot be read any more.
    """

    def __init__(self, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.column = column

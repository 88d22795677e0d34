"""The engine that runs a query: DuckDB behind Ibis, held to limits, to its own files, and to a disk that keeps some room.

An engine belongs to one job. It reads the files it was given and writes into its scratch folder and the named outputs; it
installs and loads nothing, and its settings cannot be changed by what it reads. Its errors become codes: their texts may quote
data, so they go nowhere. The one module that knows DuckDB's settings and errors.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
import pyarrow

from connector.dataplane.query.job import TOO_LARGE, Failed, Job, Limits

COUNTED: Final = 0.75
"""The engine counts its buffers; states of aggregates and results on their way come on top, by about a third."""
WATCH_S: Final = 0.25
"""How often the room on the disk and the size of the file are looked at while a query runs."""


class Refused(Exception):
    """A job cannot be done: the answer says why."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.code)
        self.failed = failed


DISK_FULL: Final = Failed("disk-full", "there is too little room on the disk of the spool")
OUT_OF_MEMORY: Final = Failed("out-of-memory", "the query needs more memory than it may use")
UNREADABLE: Final = Failed("source-unreadable", "a file of the source cannot be read as what it was when it was looked at")
CHANGED: Final = Failed("source-changed", "the source has not the columns it had when it was looked at")
INTERNAL: Final = Failed("internal", "the query failed")


def impossible(reason: str) -> Refused:
    """A plan that asks for what this table or engine cannot give."""
    return Refused(Failed("plan-impossible", reason))


def failure(error: BaseException) -> Failed:
    """What an error of the engine means. Its text is not kept: engines quote the values that they stumble over."""
    if isinstance(error, Refused):
        return error.failed
    if isinstance(error, duckdb.OutOfMemoryException):
        return DISK_FULL if "max_temp_directory_size" in str(error) else OUT_OF_MEMORY
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    if isinstance(error, duckdb.IOException):
        return DISK_FULL if "No space left" in str(error) else UNREADABLE
    if isinstance(error, (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.SerializationException)):
        return UNREADABLE
    if isinstance(error, duckdb.BinderException):
        return CHANGED
    return INTERNAL


def warm() -> None:
    """Load what the first engine of a process would have to wait for, some tenths of a second."""
    sql_of(ibis.literal(True))


def free_bytes(folder: str) -> int:
    """How much room an ordinary user has on the disk of a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def open_engine(limits: Limits, scratch: str, readable: Sequence[str], writable: Sequence[str] = ()) -> Any:
    """An Ibis backend over a DuckDB of its own. ``readable`` are files and folders, ``writable`` the files that it may make
    outside ``scratch``. Raises ``Refused`` where the disk has too little room already."""
    spill = free_bytes(scratch) - limits.free_bytes
    if spill <= 0:
        raise Refused(DISK_FULL)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{int(limits.memory_bytes * COUNTED)}B",
        "threads": str(limits.threads),
        "temp_directory": os.path.join(scratch, "spill"),
        "max_temp_directory_size": f"{spill}B",
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
    }
    raw = duckdb.connect(":memory:", config=config)
    backend = ibis.duckdb.from_connection(raw)
    raw.execute("SET TimeZone = 'UTC'")
    raw.execute("SET enable_progress_bar = false")
    folders = [scratch, *(path for path in readable if Path(path).is_dir())]
    files = [*(path for path in readable if not Path(path).is_dir()), *writable]
    raw.execute("SET allowed_directories = ?", [[os.path.join(folder, "") for folder in folders]])
    raw.execute("SET allowed_paths = ?", [files])
    raw.execute("SET enable_external_access = false")
    raw.execute("SET lock_configuration = true")
    return backend


@contextmanager
def watched(backend: Any, job: Job) -> Iterator[None]:
    """While it is open the room on the disk and the size of the output are looked at; the query is broken off when too little
    is left, or when the file has become too large. Raises ``Refused`` then."""
    over = threading.Event()
    found: list[Failed] = []

    def watch() -> None:
        while not over.wait(WATCH_S):
            wrong = _wrong(job)
            if wrong is not None:
                found.append(wrong)
                backend.con.interrupt()

    watcher = threading.Thread(target=watch, name="disk", daemon=True)
    watcher.start()
    try:
        yield
    except (duckdb.Error, pyarrow.ArrowException, OSError):
        # A stream of batches that is broken off says so in other words than a query.
        if found:
            raise Refused(found[0]) from None
        raise
    finally:
        over.set()
        watcher.join()
    wrong = _wrong(job)
    if wrong is TOO_LARGE:
        raise Refused(wrong)


def _wrong(job: Job) -> Failed | None:
    if free_bytes(job.scratch) < job.limits.free_bytes:
        return DISK_FULL
    most = job.limits.output_bytes
    try:
        return TOO_LARGE if most is not None and os.path.getsize(job.output) > most else None
    except FileNotFoundError:
        return None


def sql_of(expression: Any) -> str:
    """The expression in the engine's language."""
    return str(ibis.to_sql(expression, dialect="duckdb"))


def quoted(name: str) -> str:
    """A name as an identifier of the engine's language."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as a literal of the engine's language; for paths of our own, where no parameter can stand."""
    return "'" + value.replace("'", "''") + "'"


def batches(backend: Any, sql: str, rows: int = 32_768) -> Any:
    """The result as a stream of Arrow record batches that is never whole in memory."""
    return backend.con.sql(sql).to_arrow_reader(rows)


def rows_of(backend: Any, sql: str) -> list[tuple[Any, ...]]:
    """A small result as Python values."""
    found: list[tuple[Any, ...]] = backend.con.sql(sql).fetchall()
    return found


def write_parquet(backend: Any, sql: str, path: str) -> None:
    """The result as a Parquet file of our own at ``path``."""
    backend.con.execute(f"COPY ({sql}) TO {text(path)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)")

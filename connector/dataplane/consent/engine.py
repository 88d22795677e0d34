"""A DuckDB connection for files of the ledger: bounded memory, spill in a folder of ours, no extensions. Blocks; for threads.

Errors of the engine quote the rows that it read, so none of them leaves this package: ``guarded`` makes refusals of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import duckdb

from connector.dataplane.problems import Refusal

MEMORY_BYTES: Final = 160 * 1024 * 1024
THREADS: Final = 2
OWN: Final = "the ledger's own files"
P = ParamSpec("P")
T = TypeVar("T")
_LINE: Final = re.compile(r"\bLine: (\d{1,18})\b")


@contextmanager
def opened(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills to ``scratch``."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{MEMORY_BYTES}B",
        "threads": str(THREADS),
        "temp_directory": str(scratch),
        "preserve_insertion_order": "true",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(config=config) as connection:
        # It would be drawn on standard output.
        connection.execute("SET enable_progress_bar = false")
        yield connection


def guarded(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Makes every error of the engine in a function a Refusal that says ``what`` was read and quotes nothing of it."""

    def guard(work: Callable[P, T]) -> Callable[P, T]:
        @wraps(work)
        def guarded_work(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return work(*args, **kwargs)
            except duckdb.Error as error:
                refusal = _refusal(what, error)
            # Outside of the handler: the engine's words must not hang on as a context either.
            raise refusal

        return guarded_work

    return guard


def _refusal(what: str, error: duckdb.Error) -> Refusal:
    if isinstance(error, duckdb.OutOfMemoryException):
        return Refusal(409, "out-of-memory", f"{what}: it takes more memory and scratch space than there is; free some disk")
    if isinstance(error, duckdb.IOException | duckdb.FatalException):
        return Refusal(409, "disk-failed", f"{what}: a file cannot be read or written; look at the disk and its free space")
    if what == OWN:
        return Refusal(503, "ledger-files", f"{what} cannot be read; restore the ledger's folder from a backup")
    line = _LINE.search(str(error))
    where = f" at line {line.group(1)}" if line else ""
    return Refusal(400, "consents-file", f"{what} cannot be read{where}; write it anew, as UTF-8 and with all columns")


def literal(path: Path) -> str:
    """A path of ours as a literal of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def exact(paths: Sequence[Path]) -> list[str]:
    """Paths that mean themselves where a pattern may stand."""
    return [re.sub(r"([\[*?])", r"[\1]", str(path)) for path in paths]


def settle_file(path: Path) -> None:
    """What the engine wrote is ours alone and on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

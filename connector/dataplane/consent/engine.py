"""A DuckDB connection for files of the ledger: bounded memory, spill in a folder of ours, no extensions. Blocks; for threads.

Errors of the engine quote the rows that it read, so none of them leaves this package: ``guarded`` makes refusals of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from connector.dataplane.problems import Refusal

MEMORY_BYTES: Final = 256 * 1024 * 1024
THREADS: Final = 2
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
    with guarded("the ledger's own files"), duckdb.connect(config=config) as connection:
        yield connection


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Makes every error of the engine a Refusal that says ``what`` was read and quotes nothing of it."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        refusal = Refusal(409, "out-of-memory", f"{what}: it takes more memory and scratch space than there is; free some disk")
    except (duckdb.IOException, duckdb.FatalException):
        refusal = Refusal(409, "disk-failed", f"{what}: a file cannot be read or written; look at the disk and its free space")
    except duckdb.Error as error:
        line = _LINE.search(str(error))
        where = f" at line {line.group(1)}" if line else ""
        refusal = Refusal(400, "consents-file", f"{what} cannot be read{where}; write it anew, as UTF-8 and with all columns")
    else:
        return
    # Outside of the handlers: the engine's words must not hang on as a context either.
    raise refusal


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

"""Files of who may wish us ill, read with bounds: never more than was asked for, and never waiting for one that is none.

Imports the standard library and the ceremony.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from connector.audit.ceremony import Flaw, Place


def regular(path: Path) -> int:
    """A descriptor to read a plain file with, which the caller closes. Raises OSError, FileNotFoundError among it."""
    # A pipe in the place of a file would wait for its writer for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "this is no file")
    return descriptor


def read_file(path: Path, name: str, most: int) -> bytes:
    """The bytes of a file that is called ``name`` in what is said of it. Raises FileNotFoundError, and Flaw for what cannot be
    read or has more than ``most`` bytes."""
    try:
        with os.fdopen(regular(path), "rb") as opened:
            raw = opened.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Flaw("file-unreadable", error.strerror or "cannot be read", Place(name)) from error
    if len(raw) > most:
        raise Flaw("file-too-large", f"it has more than {most} bytes", Place(name))
    return raw

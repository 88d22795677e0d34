"""``python -m connector.dataplane.landing.worker``: one piece of work on a received file, from standard input to standard output.

The work is one JSON object with ``do``; the answer is one JSON object, with ``code`` and ``reason`` if it could not be done.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from connector.dataplane.landing import disk

MEMORY_BYTES: Final = 1024 * 1024 * 1024
"""A file may say that a page of it is larger than any memory: its reader gets no more than this."""

Work = dict[str, Any]


def _check(work: Work) -> Work:
    # Imported here: the other kinds of work do without the engine's imports.
    from connector.dataplane.query.output import digest_of_file

    rows, digest = digest_of_file(Path(work["file"]), work["format"])
    return {"rows": rows, "digest": digest}


def _insert(work: Work) -> Work:
    database = Path(work["database"])
    return {"rows": disk.insert(Path(work["file"]), work["format"], database, work["table"], work["transfer"])}


def _erase(work: Work) -> Work:
    named = work["named"]
    if work.get("database"):
        database = Path(work["database"])
        rows = disk.erase_in_table(database, work["table"], work["transfer"], named, whole=work["whole"])
        return {"rows": rows}
    rows, before, after = disk.erase_rows(Path(work["file"]), work["format"], named)
    return {"rows": rows, "before": before, "after": after}


_WORK: dict[str, Callable[[Work], Work]] = {"check": _check, "insert": _insert, "erase": _erase}


def main() -> int:
    """Do the work. Exit code 0 with an answer, 1 without one."""
    work = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        answer = _WORK[work["do"]](work)
    except disk.Unusable as error:
        answer = {"code": error.code, "reason": str(error)}
    except disk.UNREADABLE as error:
        answer = {"code": "file-unreadable", "reason": f"the file cannot be read ({type(error).__name__})"}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())

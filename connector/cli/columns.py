"""Lists for people: one row a line, columns one under the other, the first of them (the id) whole and with a space after it.

On a terminal that is too narrow, long names lose their middle; a file or pipe always gets everything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

GAP: Final = "  "
SHORTEST: Final = 16
CUT: Final = "..."


def columns(rows: Sequence[Sequence[str]], shrink: Sequence[int] = (), most: int | None = None) -> list[str]:
    """A line for each row. ``shrink``: numbers of the columns that may lose their middle, one after the other, so that a line has
    ``most`` characters; None for the width of the terminal, or without end where there is none."""
    if not rows:
        return []
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    limit = _terminal_width() if most is None else most
    for number in shrink if limit is not None else ():
        over = sum(widths) + len(GAP) * (len(widths) - 1) - (limit or 0)
        widths[number] = min(widths[number], max(SHORTEST, widths[number] - max(0, over)))
    return [_line(row, widths) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(_shortened(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shortened(cell: str, width: int) -> str:
    if len(cell) <= width:
        return cell
    kept = width - len(CUT)
    return f"{cell[: kept // 2]}{CUT}{cell[len(cell) - (kept - kept // 2) :]}"


def _terminal_width() -> int | None:
    if not sys.stdout.isatty():
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except OSError:
        return None

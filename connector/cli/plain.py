"""What others wrote, as it can be shown: titles, reasons and names of peers, headers of files, never a command to the terminal.

A character that moves the cursor, turns the order of writing or begins a line is written as JSON escapes it, so that it is seen
and does nothing. All that the commands say goes through here. Imports click alone.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Final

import click

_ACTING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of controls, of marks such as those of direction, of halves of characters, and of separators of lines."""


def plain(text: str) -> str:
    """One line with nothing in it that acts: also a line's end is escaped. Text that is only read stays as it is."""
    if text.isprintable():
        return text
    return "".join(json.dumps(sign)[1:-1] if unicodedata.category(sign) in _ACTING else sign for sign in text)


def plain_lines(text: str) -> str:
    """The same for text of our own making that may have several lines."""
    return "\n".join(map(plain, text.split("\n")))


def plain_json(document: Any, *, indent: int | None = None) -> str:
    """A JSON document with letters as they are, and all that acts escaped: read back it is the same."""
    return plain_lines(json.dumps(document, indent=indent, ensure_ascii=False))


def say(text: str, *, err: bool = False) -> None:
    """Print text of one or more lines."""
    click.echo(plain_lines(text), err=err)

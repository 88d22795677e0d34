"""How a test plays a story of ``examples/``: once, in a folder of its own; and how it holds the page to what was said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

Result = TypeVar("Result")
EXAMPLES: Final = Path(__file__).parents[2] / "examples"
_SHOWN: Final = re.compile(r"^```text\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Played(Generic[Result]):
    """A story that was played: what it gave, and every line that it said."""

    result: Result
    said: list[str]


def played(play: Callable[[Path, Callable[[str], None]], Awaitable[Result]], folder: Path) -> Played[Result]:
    """Play a story to its end in ``folder``. For a fixture of module scope: it has an event loop of its own."""
    said: list[str] = []

    async def whole() -> Result:
        return await play(folder, lambda text: said.extend(text.splitlines()))

    return Played(asyncio.run(whole()), said)


def quoted(story: str) -> list[str]:
    """The lines of the ``text`` blocks in the README of a story."""
    page = (EXAMPLES / story / "README.md").read_text()
    return [line for block in _SHOWN.findall(page) for line in block.splitlines() if line.strip()]


def quotes_hold(story: str, said: list[str]) -> None:
    """Every line that the page quotes was said, in that order; in a quoted line, ``…`` stands for anything.

    Raises AssertionError with the first that was not.
    """
    lines = quoted(story)
    assert lines, f"the page of {story} quotes nothing: where are its figures?"
    left = iter(said)
    for line in lines:
        shown = ".*".join(re.escape(part) for part in line.split("…"))
        assert any(re.fullmatch(shown, one) for one in left), f"the page says, but the story did not (in this place): {line}"

"""Verification as a numbered ceremony: what was looked at, in which order, with which result, and the place where it ended.

A step passes, fails, or could not be done because something was not given. The first that fails ends the ceremony: nothing after
it can be believed. Used for logs, bundles and views alike. Pure. Imports nothing of the connector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

Result = Literal["passed", "failed", "not-done"]
MAX_NOTES: Final = 100
"""Remarks to one step; what is beyond is counted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is wrong: a file, relative to what is verified; the number of an entry, node or row in it, from 0, of the
    whole log where it is an entry; and the member or line."""

    file: str
    index: int | None = None
    member: str = ""

    def __str__(self) -> str:
        index = "" if self.index is None else f", index {self.index}"
        return f"{self.file}{index}{f', {self.member}' if self.member else ''}"

    def document(self) -> dict[str, Any]:
        """For programs: without what is not known."""
        more = {"index": self.index} if self.index is not None else {}
        return {"file": self.file, **more, **({"member": self.member} if self.member else {})}


class Flaw(Exception):
    """What is verified does not hold: a stable ``code`` (kebab-case), a sentence without personal data, and the place."""

    def __init__(self, code: str, reason: str, place: Place) -> None:
        super().__init__(f"{place}: {reason} [{code}]")
        self.code = code
        self.reason = reason
        self.place = place


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it went. ``name`` is stable, ``title`` says what must hold, ``said`` what was found. ``notes`` are remarks that
    do not end it. ``code`` and ``place`` are there if it failed."""

    number: int
    name: str
    title: str
    result: Result
    said: str
    notes: tuple[str, ...] = ()
    code: str = ""
    place: Place | None = None

    def document(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {"step": self.number, "name": self.name, "title": self.title, "result": self.result}
        found |= {"said": self.said, "notes": list(self.notes)}
        return found | ({"code": self.code, "place": self.place.document()} if self.place is not None else {})


class NotProven(Exception):
    """The ceremony ended at its last step, which failed. ``steps`` are all that were made."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        super().__init__(f"step {steps[-1].number}, {steps[-1].name}: {steps[-1].said} [{steps[-1].code}]")
        self.steps = steps

    @property
    def failed(self) -> Step:
        """The step at which it ended."""
        return self.steps[-1]


class Remarks:
    """What a step has to say beside its result."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._more = 0

    def add(self, remark: str) -> None:
        """Keep it; beyond MAX_NOTES only how many there were."""
        if len(self._kept) < MAX_NOTES:
            self._kept.append(remark)
        else:
            self._more += 1

    def all(self) -> tuple[str, ...]:
        """In the order in which they came."""
        return (*self._kept, *((f"and {self._more} more of this kind",) if self._more else ()))


class NotDone(Exception):
    """Raised by the work of a step that cannot be done; the text says what was not given."""


class Ceremony:
    """The steps so far. ``told`` hears of each when it is done."""

    def __init__(self, told: Callable[[Step], None] = lambda _: None) -> None:
        self._steps: list[Step] = []
        self._told = told

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was done so far."""
        return tuple(self._steps)

    def step(self, name: str, title: str, work: Callable[[Remarks], str]) -> None:
        """Do ``work``, which gives what was found. Raises NotProven if it raises a Flaw; NotDone is noted and does not end it."""
        remarks = Remarks()
        number = len(self._steps) + 1
        try:
            self._add(Step(number, name, title, "passed", work(remarks), remarks.all()))
        except NotDone as reason:
            self._add(Step(number, name, title, "not-done", str(reason), remarks.all()))
        except Flaw as flaw:
            self._add(Step(number, name, title, "failed", flaw.reason, remarks.all(), flaw.code, flaw.place))
            raise NotProven(self.steps) from flaw

    def include(self, steps: tuple[Step, ...]) -> None:
        """Steps of a ceremony within this one, numbered on and told."""
        for step in steps:
            self._add(replace(step, number=len(self._steps) + 1))

    def _add(self, step: Step) -> None:
        self._steps.append(step)
        self._told(step)

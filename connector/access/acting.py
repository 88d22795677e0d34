"""What somebody is doing right now, for the transaction that does it: its line of the contract log goes along.

One context variable, set around a handler by the router and read by `Context.commit`; between them nobody has to pass it on.
Pure; may import the form of a leaf.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from connector.log.leaf import Draft


@dataclass(slots=True)
class Act:
    """Something that is being done. ``told``: a transaction that was committed has its draft. ``over``: what is committed from
    now on, by a task that was begun meanwhile, is not this."""

    draft: Draft
    told: bool = False
    over: bool = False


_current: Final[ContextVar[Act | None]] = ContextVar("carnet_act", default=None)


@contextmanager
def acting(draft: Draft) -> Iterator[Act]:
    """What is committed inside is this act."""
    act = Act(draft)
    token = _current.set(act)
    try:
        yield act
    finally:
        act.over = True
        _current.reset(token)


def only_looks() -> None:
    """What is being done turns out to change nothing: there is nothing to tell."""
    act = _current.get()
    if act is not None:
        act.told = True


@contextmanager
def carried() -> Iterator[list[Draft]]:
    """What a transaction that is committed inside has to tell beside its own: at most one draft, and once. After an error nothing
    was committed, so that the next transaction has it."""
    act = _current.get()
    if act is None or act.told or act.over:
        yield []
        return
    act.told = True
    try:
        yield [act.draft]
    except BaseException:
        act.told = False
        raise

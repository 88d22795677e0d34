"""What governed deliveries need of the other rooms of the data plane: workers and the ledger of consents. No I/O.

Each is given when the process is put together, so that a delivery can be tested without any of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

import numpy as np
import numpy.typing as npt

from connector.dataplane.plan.model import Consent
from connector.dataplane.query.job import Failed, Job, Made, Population
from connector.store.engine import Statement


class Workers(Protocol):
    """Processes that run queries, each under the name of what it works for."""

    async def make(self, job: Job, key: str) -> Made | Failed:
        """Make the job's file. When cancelled, the process is dead before this returns."""

    async def kill(self, key: str) -> None:
        """End what runs under a name; returns when it is dead, and writes nothing any more."""


class Ledger(Protocol):
    """Who agreed to what, by number of the ledger."""

    async def number(self) -> int:
        """The number of its last entry."""

    async def population(self, consent: Consent | None, number: int) -> Population:
        """The vehicles it knows and the sets of those that agreed, as of a number; without the key and who is left out."""

    async def references(self, recipient: str, number: int) -> tuple[tuple[int, str], ...]:
        """The buyer's own reference of each enrolled vehicle."""

    async def pseudonym_key(self, recipient: str, agreement: str) -> str:
        """Of a buyer and an agreement: 32 bytes in hex, made at the first time."""

    async def vehicles(self, ordinals: Collection[int]) -> dict[int, str]:
        """The names of vehicles; never logged."""

    async def withdrawn_since(self, number: int) -> list[tuple[int, int]]:
        """Number and vehicle (ordinal) of the withdrawals with a higher number, oldest first."""


class Naming(Protocol):
    """Which vehicles something is about, for the index of the contract log."""

    async def concerned(self, number: int) -> npt.NDArray[np.uint32]:
        """The vehicles (ordinals, ascending) that a commit of the ledger is about."""

    async def vehicles(self, ordinals: Collection[int]) -> dict[int, str]:
        """The names of vehicles; never logged."""


class Telling(Protocol):
    """What tells the contract log of the commits of the ledger."""

    def consents(self, change: str, number: int) -> Statement:
        """The write that tells of a commit, to be made with it."""

    def wake(self) -> None:
        """It was committed."""


Clock = Callable[[], int]
OnChanged = Callable[[str, str, str | None], Awaitable[None]]

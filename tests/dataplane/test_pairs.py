"""The table of pairs as a machine: answers that are lost, requests that come twice, pairs that are used in any order."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connector.dataplane.pairs import MAX_OFFERED, Made
from connector.dataplane.problems import Refusal
from connector.dataplane.states import State
from tests.dataplane.shelves import FLOW, LIFE_S, Shelf, shelf


@dataclass
class Known:
    """What is expected of a pair. ``phase``: offered, used, dead, or dropped to make room for newer offers."""

    made: Made
    phase: str


class Renewals(RuleBasedStateMachine):
    """A consumer that loses answers and repeats itself, against a provider that it expects to behave as the profile says.

    ``kept`` is the pair that the consumer has stored: the last one whose answer came.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory(prefix="carnet-pairs-")
        self.here: Shelf = self.runner.run(self.stack.enter_async_context(shelf(Path(self.folder.name) / "data.db")))
        first = self.runner.run(self.here.begin())
        self.all = [Known(first, "used")]
        self.kept = self.all[0]
        self.runs = True

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def _use(self, known: Known) -> None:
        """Either token of an offered pair came: all others are dead."""
        if known.phase == "offered":
            for other in self.all:
                if other is not known and other.phase in ("offered", "used"):
                    other.phase = "dead"
            known.phase = "used"

    def _expected(self, known: Known, dead: str, unknown: str) -> str | None:
        if known.phase == "dropped":
            return unknown
        if not self.runs:
            return "flow_suspended"
        return dead if known.phase == "dead" else None

    def _read(self, known: Known) -> str | None:
        try:
            self.runner.run(self.here.tokens.admitted(FLOW, known.made.access))
        except Refusal as refusal:
            return refusal.code
        return None

    def _renew(self, known: Known) -> tuple[str | None, Known | None]:
        self.here.clock.ms += 1
        try:
            made = self.runner.run(self.here.renew(known.made))
        except Refusal as refusal:
            return refusal.code, None
        self._use(known)
        fresh = Known(made, "offered")
        offered = [each for each in self.all if each.phase == "offered"]
        if len(offered) >= MAX_OFFERED:
            offered[0].phase = "dropped"
        self.all.append(fresh)
        return None, fresh

    @rule(data=st.data())
    def read_with_any(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(self.all))
        expected = self._expected(known, "token_revoked", "token_unknown")
        if expected is None and self.here.clock.ms >= known.made.now_ms + LIFE_S * 1000:
            expected = "token_expired"
        assert self._read(known) == expected
        if expected is None:
            self._use(known)

    @rule(data=st.data(), lost=st.booleans())
    def renew_with_any(self, data: st.DataObject, lost: bool) -> None:
        known = data.draw(st.sampled_from(self.all))
        expected = self._expected(known, "refresh_retired", "refresh_unknown")
        code, fresh = self._renew(known)
        assert code == expected
        if fresh is not None and not lost:
            self.kept = fresh

    @rule(times=st.integers(1, MAX_OFFERED - 1))
    @precondition(lambda self: self.runs and self.kept.phase == "used")
    def lose_answers(self, times: int) -> None:
        for _ in range(times):
            assert self._renew(self.kept)[0] is None
        assert self._read(self.kept) in (None, "token_expired")

    @rule(ms=st.sampled_from([1, 1000, LIFE_S * 1000]))
    def wait(self, ms: int) -> None:
        self.here.clock.ms += ms

    @rule()
    @precondition(lambda self: self.runs)
    def suspend(self) -> None:
        self.runner.run(self.here.move(State.SUSPENDED))
        self.runs = False
        for each in self.all:
            if each.phase in ("offered", "used"):
                each.phase = "dead"

    @rule()
    @precondition(lambda self: not self.runs)
    def resume(self) -> None:
        self.kept = Known(self.runner.run(self.here.again()), "used")
        self.all.append(self.kept)
        self.runs = True

    @invariant()
    def one_pair_is_in_use(self) -> None:
        assert sum(each.phase == "used" for each in self.all) == int(self.runs)


Renewals.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRenewals = Renewals.TestCase

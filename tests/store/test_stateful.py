"""Both engines against a dictionary: any sequence of commits leaves the same rows and fails in the same way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from connector.store.engine import LostRace, Statement
from tests.store.conftest import create_item_table, open_engine

KEYS = st.sampled_from(["a", "b", "c"])
TAGS = st.none() | st.sampled_from(["x", "y"])
Item = tuple[int, str | None]
Change = tuple[str, str, int, str | None]
CHANGES = st.tuples(st.sampled_from(["insert", "update", "delete"]), KEYS, st.integers(0, 2), TAGS)


def statement(change: Change) -> Statement:
    kind, key, version, tag = change
    if kind == "insert":
        return Statement("INSERT INTO item (id, version, tag) VALUES (?, ?, ?)", (key, version, tag))
    if kind == "delete":
        return Statement("DELETE FROM item WHERE id = ? AND version = ?", (key, version))
    sql = "UPDATE item SET version = version + 1, tag = ? WHERE id = ? AND version = ?"
    return Statement(sql, (tag, key, version))


def expected(items: dict[str, Item], changes: Sequence[Change]) -> dict[str, Item] | None:
    """The items after the changes, or None if a guard or a unique column stops them."""
    after = dict(items)
    for kind, key, version, tag in changes:
        taken = {used for other, (_, used) in after.items() if other != key and used is not None}
        if kind == "insert":
            if key in after or tag in taken:
                return None
            after[key] = (version, tag)
        elif key not in after or after[key][0] != version:
            return None
        elif kind == "delete":
            del after[key]
        elif tag in taken:
            return None
        else:
            after[key] = (version + 1, tag)
    return after


def test_engine_behaves_like_a_dictionary(database: str) -> None:
    with asyncio.Runner() as runner:
        engine = runner.run(open_engine(database))
        runner.run(create_item_table(engine))

        class Machine(RuleBasedStateMachine):
            def __init__(self) -> None:
                super().__init__()
                self.items: dict[str, Item] = {}
                runner.run(engine.commit([Statement("DELETE FROM item", (), None)]))

            @rule(changes=st.lists(CHANGES, max_size=4))
            def commit(self, changes: list[Change]) -> None:
                after = expected(self.items, changes)
                won = True
                try:
                    runner.run(engine.commit([statement(change) for change in changes]))
                except LostRace:
                    won = False
                assert won == (after is not None)
                self.items = self.items if after is None else after

            @rule(changes=st.lists(CHANGES, min_size=1, max_size=3))
            def give_up(self, changes: list[Change]) -> None:
                async def commit_and_cancel() -> None:
                    task = asyncio.create_task(engine.commit([statement(change) for change in changes]))
                    await asyncio.sleep(0)
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, LostRace):
                        await task
                    # The queue is served in order, so after this the cancelled one is decided too.
                    await engine.commit([Statement("DELETE FROM item WHERE id = 'nobody'", (), None)])

                runner.run(commit_and_cancel())
                found = self.stored()
                assert found in (self.items, expected(self.items, changes))
                self.items = found

            @invariant()
            def holds_what_it_should(self) -> None:
                assert self.stored() == self.items

            @staticmethod
            def stored() -> dict[str, Item]:
                rows = runner.run(engine.fetch("SELECT id, version, tag FROM item"))
                return {str(key): (int(str(version)), None if tag is None else str(tag)) for key, version, tag in rows}

        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=25,
                    stateful_step_count=15,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(engine.close())

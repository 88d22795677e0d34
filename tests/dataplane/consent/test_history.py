"""Whatever is decided, imported and withdrawn, in whatever order: read at each number the ledger says what a dictionary says."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import Key
from tests.dataplane.consent.ledgers import (
    CITY,
    CONSENT,
    INSURER,
    NOW,
    TEXT,
    UBI,
    asked,
    entry,
    ledger_in,
    let_through,
    row,
    write_csv,
)

VEHICLES = ("A", "B", "C", "Ü 1")
KEYS = (Key("driving-behaviour", UBI, INSURER, CONSENT), Key("location", UBI, CITY, CONSENT))
Pair = tuple[str, Key]
pairs = st.tuples(st.sampled_from(VEHICLES), st.sampled_from(KEYS))
decided = st.dictionaries(pairs, st.booleans(), min_size=1, max_size=5)
imported = st.lists(st.tuples(pairs, st.booleans(), st.integers(NOW - 2, NOW + 2)), min_size=1, max_size=8)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), decided),
        st.tuples(st.just("import"), imported),
        st.tuples(st.just("withdraw"), st.tuples(st.sampled_from(VEHICLES), st.sampled_from([None, INSURER, CITY]))),
        st.tuples(st.just("reopen"), st.none()),
    ),
    min_size=1,
    max_size=9,
)


class Model:
    """The slow and obvious ledger."""

    def __init__(self) -> None:
        self.states: list[dict[Pair, bool]] = [{}]
        self.taken: dict[Pair, int] = {}
        self.vehicles: set[str] = set()

    def decide(self, answers: dict[Pair, bool]) -> None:
        self.states.append({**self.states[-1], **answers})
        self.vehicles |= {vehicle for vehicle, _ in answers}
        self.taken |= {pair: max(NOW, self.taken.get(pair, NOW)) for pair, answer in answers.items() if not answer}

    def import_file(self, rows: list[tuple[Pair, bool, int]]) -> None:
        state = dict(self.states[-1])
        for pair in {each[0] for each in rows}:
            at, withdrawn = max((at, not answer) for other, answer, at in rows if other == pair)
            if withdrawn:
                state[pair] = False
            elif at > self.taken.get(pair, -1):
                state[pair] = True
        for pair, answer, at in rows:
            if not answer:
                self.taken[pair] = max(at, self.taken.get(pair, at))
        self.states.append(state)
        self.vehicles |= {each[0][0] for each in rows}

    def withdraw(self, vehicle: str, recipient: str | None) -> None:
        held = {pair for pair, answer in self.states[-1].items() if answer and pair[0] == vehicle}
        gone = {pair: False for pair in held if recipient in (None, pair[1].recipient)}
        if gone:
            self.decide(gone)


def about(pair: Pair) -> dict[str, Any]:
    return {"category": pair[1].category, "purpose": pair[1].purpose, "recipient": pair[1].recipient}


async def step(ledger: Ledger, model: Model, name: str, what: Any, folder: Path) -> None:
    if name == "decide":
        await ledger.decide([entry(pair[0], given=answer, **about(pair)) for pair, answer in what.items()])
        model.decide(what)
    elif name == "import":
        texts = {True: TEXT, False: ""}
        rows = [row(pair[0], **about(pair), given=answer, at_ms=at, text_sha256=texts[answer]) for pair, answer, at in what]
        await ledger.import_file(write_csv(folder / "in.csv", rows))
        model.import_file(what)
    elif what[0] in model.vehicles:
        await ledger.withdraw(what[0], recipient=what[1])
        model.withdraw(*what)


async def play(story: list[tuple[str, Any]], folder: Path) -> None:
    model = Model()
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(ledger_in(folder, tail=2, recent=1))
        for name, what in story:
            if name == "reopen":
                await stack.aclose()
                ledger = await stack.enter_async_context(ledger_in(folder, tail=2, recent=1))
            else:
                await step(ledger, model, name, what, folder)
        assert await ledger.number() == len(model.states) - 1
        for number, state in enumerate(model.states):
            for key in KEYS:
                chosen = asked(key.category, recipient=key.recipient)
                expected = {vehicle for vehicle in VEHICLES if state.get((vehicle, key))}
                assert await let_through(ledger, chosen, VEHICLES, number, folder) == expected
            counted = {
                Key(each.category, each.purpose, each.recipient, each.basis): each.vehicles
                for each in await ledger.counts(number)
            }
            held = [pair[1] for pair, answer in state.items() if answer]
            assert counted == {key: held.count(key) for key in KEYS if key in held}
        for vehicle in model.vehicles:
            assert await ledger.held(vehicle) == sorted(key for key in KEYS if model.states[-1].get((vehicle, key)))
        names = await ledger.vehicles(range(10))
        assert sorted(names) == list(range(len(model.vehicles)))
        told = {(number, names[ordinal]) for number, ordinal in await ledger.withdrawn_since(0)}
        for number, (before, after) in enumerate(zip(model.states, model.states[1:], strict=False), 1):
            lost = {pair[0] for pair, answer in before.items() if answer and not after.get(pair)}
            assert lost <= {vehicle for at, vehicle in told if at == number}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_the_ledger_is_a_dictionary_with_a_memory(story: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(story, Path(folder)))

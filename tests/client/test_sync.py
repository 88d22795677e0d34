"""The client for programs without an event loop: the same methods, each of which waits; iterators; interruption."""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from connector.client import Carnet as Async
from connector.client import Refused
from connector.client.local import LocalClient
from connector.client.sync import Carnet, gone_through
from tests.client.speaking import Said, listening, process


@pytest.fixture
def said() -> Said:
    return Said((200, process(1, "FINALIZED")))


@pytest.fixture
def carnet(said: Said) -> Iterator[Carnet]:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Async]:
        async with listening(said.handle) as url, Async.over(LocalClient(url=url)) as client:
            yield client

    with Carnet.opened_by(opening()) as opened:
        yield opened


def test_every_method_has_its_twin_with_the_same_parameters() -> None:
    own = {"over", "local"}
    for name, method in inspect.getmembers(Async, inspect.isfunction):
        if name.startswith("_") or name in own:
            continue
        twin = getattr(Carnet, name)
        assert list(inspect.signature(twin).parameters) == list(inspect.signature(method).parameters), name
        assert twin.__doc__, name


def test_calls_return_when_they_are_done(carnet: Carnet, said: Said) -> None:
    assert carnet.wait("urn:uuid:1").state == "FINALIZED"
    assert carnet.until(lambda: carnet.process("urn:uuid:1"), lambda now: now.over).over
    assert said.asked[0] == "GET /carnet/v1/processes/urn%3Auuid%3A1"


def test_iterators_read_as_they_are_gone_through(carnet: Carnet, said: Said) -> None:
    said.answers = [(200, [process(1), process(2)]), (200, [])]
    rows = carnet.negotiations("REQUESTED")
    assert next(rows).version == 1
    assert len(said.asked) == 1
    assert [row.version for row in rows] == [2]
    said.answers = [(200, [process(1), process(2)])]
    for _ in carnet.transfers():
        break


def test_an_iterator_may_outlive_its_block(said: Said) -> None:
    async def rows(self: Async) -> AsyncIterator[int]:
        yield 1
        yield 2

    with Carnet("http://127.0.0.1:1") as opened:
        left = gone_through(rows)(opened)
        assert next(left) == 1
    with pytest.raises(RuntimeError, match="in its block"):
        next(left)


def test_what_is_refused_is_raised_here(carnet: Carnet, said: Said) -> None:
    said.answers = [(409, {"code": "nothing-pending", "detail": "nothing waits"})]
    with pytest.raises(Refused, match="nothing-pending"):
        carnet.approve("urn:uuid:1")


def test_outside_of_its_block_and_within_its_loop_it_says_what_is_wrong(said: Said) -> None:
    closed = Carnet("http://127.0.0.1:1")
    with pytest.raises(RuntimeError, match="with Carnet"):
        closed.status()
    assert not [each for each in threading.enumerate() if each.name == "carnet client"]
    with closed as opened:

        async def within() -> None:
            opened.status()

        with pytest.raises(RuntimeError, match="not in what it calls"):
            opened.run(within())
    assert not closed.entered


def test_a_block_that_cannot_be_entered_leaves_no_thread() -> None:
    class Closed(AbstractAsyncContextManager[Async]):
        async def __aenter__(self) -> Async:
            raise Refused(403, "no", "not you")

        async def __aexit__(self, *_: object) -> None:
            """Never entered."""

    with pytest.raises(Refused), Carnet.opened_by(Closed()):
        pytest.fail("it was entered")
    assert not [each for each in threading.enumerate() if each.name == "carnet client"]

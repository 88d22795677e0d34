"""The Python client for programs without an event loop: the same ``Carnet``, each call of which returns when it is done.

A thread of its own runs the loop for as long as the ``with`` block; ``progress`` and ``seen`` are called in that thread.
Iterators read page by page as they are gone through. May import this package.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from connector.client import starting
from connector.client.carnet import Carnet as Async
from connector.client.local import LocalClient
from connector.client.trade import WAIT_S
from connector.settings import Settings

P = ParamSpec("P")
Found = TypeVar("Found")
_OUTSIDE: Final = "use it in its block, and not in what it calls: with Carnet(...) as carnet"


def waited(method: Callable[Concatenate[Async, P], Awaitable[Found]]) -> Callable[Concatenate[Carnet, P], Found]:
    """The method that waits for this one."""

    @functools.wraps(method)
    def call(self: Carnet, /, *args: P.args, **kwargs: P.kwargs) -> Found:
        self.check_entered()
        return self.run(method(self.client, *args, **kwargs))

    return call


def gone_through(
    method: Callable[Concatenate[Async, P], AsyncIterator[Found]],
) -> Callable[Concatenate[Carnet, P], Generator[Found, None, None]]:
    """The iterator that goes through this one; it may be closed before its end."""

    @functools.wraps(method)
    def each(self: Carnet, /, *args: P.args, **kwargs: P.kwargs) -> Generator[Found, None, None]:
        rows = method(self.client, *args, **kwargs)
        try:
            while True:
                self.check_entered()
                try:
                    row = self.run(anext(rows))
                except StopAsyncIteration:
                    return
                yield row
        finally:
            # Of a block that was left, nothing of it is left either.
            if isinstance(rows, AsyncGenerator) and self.entered:
                self.run(rows.aclose())

    return each


class Carnet:
    """One connector; a context manager. What each method does, gives and raises stands at ``connector.client.Carnet``."""

    def __init__(self, url: str, *, key: str | None = None, ca_file: str | Path | None = None, allow: Iterable[str] = ()) -> None:
        """As ``connector.client.Carnet``."""
        self._use(Async(url, key=key, ca_file=ca_file, allow=allow))

    @classmethod
    def local(cls, settings: Settings | str | Path = "carnet.toml") -> Self:
        """The connector of these settings, or of this settings file, on its owner's channel."""
        made = cls.__new__(cls)
        made._use(Async.local(settings))
        return made

    @classmethod
    def opened_by(cls, opening: AbstractAsyncContextManager[Async]) -> Self:
        """The one that a block of another kind gives, which is entered and left with this one."""
        made = cls.__new__(cls)
        made._use(opening)
        return made

    def _use(self, opening: AbstractAsyncContextManager[Async]) -> None:
        self._opening = opening
        self._client: Async | None = opening if isinstance(opening, Async) else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def client(self) -> Async:
        """The same without a thread of its own: for use in its loop alone."""
        if self._client is None:
            raise RuntimeError(_OUTSIDE)
        return self._client

    @property
    def documents(self) -> LocalClient:
        """The same connector in plain JSON documents, to be used with ``run``."""
        return self.client.documents

    @property
    def entered(self) -> bool:
        """Whether the block goes on."""
        return self._loop is not None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="carnet client", daemon=True)
        self._thread.start()
        try:
            self._client = self.run(self._opening.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.run(self._opening.__aexit__(kind, error, trace))
        finally:
            self._stop()

    def _stop(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def run(self, work: Awaitable[Found]) -> Found:
        """What something gives that is to be awaited. Who is interrupted meanwhile (Ctrl-C) cancels it.

        Raises RuntimeError outside of the ``with`` block, and in the thread of the loop itself, where it would wait for ever.
        """
        loop = self.check_entered()
        future: Future[Found] = asyncio.run_coroutine_threadsafe(_awaited(work), loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def check_entered(self) -> asyncio.AbstractEventLoop:
        """The loop of the block. Raises RuntimeError outside of it, and in the thread of the loop itself."""
        if self._loop is None or threading.current_thread() is self._thread:
            raise RuntimeError(_OUTSIDE)
        return self._loop

    def until(self, question: Callable[[], Found], holds: Callable[[Found], bool], *, within_s: float = WAIT_S) -> Found:
        """What ``question`` gives once ``holds`` is true of it. It is asked again when something has happened."""

        async def ask() -> Found:
            # The question is asked of this client, whose loop must go on meanwhile.
            return await asyncio.to_thread(question)

        return self.run(self.client.until(ask, holds, within_s=within_s))

    status = waited(Async.status)
    whoami = waited(Async.whoami)
    events = gone_through(Async.events)

    publish = waited(Async.publish)
    withdraw = waited(Async.withdraw)
    datasets = gone_through(Async.datasets)
    offers = gone_through(Async.offers)
    templates = waited(Async.templates)
    browse = waited(Async.browse)
    dataset = waited(Async.dataset)
    offered = waited(Async.offered)
    negotiate = waited(Async.negotiate)
    contract = waited(Async.contract)
    negotiations = gone_through(Async.negotiations)
    transfers = gone_through(Async.transfers)
    process = waited(Async.process)
    timeline = waited(Async.timeline)
    act = waited(Async.act)
    suspend = waited(Async.suspend)
    terminate = waited(Async.terminate)
    wait = waited(Async.wait)
    agreements = gone_through(Async.agreements)
    agreement = waited(Async.agreement)

    transfer = waited(Async.transfer)
    data_address = waited(Async.data_address)
    fetch = waited(Async.fetch)
    download = waited(Async.download)
    pandas = waited(Async.pandas)
    polars = waited(Async.polars)
    duckdb = waited(Async.duckdb)

    peers = gone_through(Async.peers)
    peer = waited(Async.peer)
    hello = waited(Async.hello)
    admit = waited(Async.admit)
    shut_out = waited(Async.shut_out)
    consents = waited(Async.consents)
    decide_consents = waited(Async.decide_consents)
    import_consents = waited(Async.import_consents)
    withdraw_consents = waited(Async.withdraw_consents)
    own_consents = waited(Async.own_consents)
    decide_own_consents = waited(Async.decide_own_consents)
    enrol = waited(Async.enrol)
    request_share = waited(Async.request_share)
    user_requests = waited(Async.user_requests)
    withdraw_request = waited(Async.withdraw_request)
    approvals = gone_through(Async.approvals)
    review = waited(Async.review)
    approve = waited(Async.approve)
    reject = waited(Async.reject)
    counter = waited(Async.counter)
    explain = waited(Async.explain)
    simulate = waited(Async.simulate)
    receipts = gone_through(Async.receipts)
    statement = waited(Async.statement)
    meters = waited(Async.meters)
    duties = gone_through(Async.duties)
    happened = waited(Async.happened)
    evidence = waited(Async.evidence)
    letters = waited(Async.letters)
    retry = waited(Async.retry)
    give_up = waited(Async.give_up)


def init(
    folder: str | Path,
    participant_id: str | None = None,
    *,
    loopback: int | None = None,
    beside: Iterable[int] = (),
    settings: Mapping[str, str] | None = None,
) -> Path:
    """Make the folder of a new connector: its settings file. As ``connector.client.starting.init``."""
    return asyncio.run(starting.init(folder, participant_id, loopback=loopback, beside=beside, settings=settings))


def serving(settings: str | Path, log: str | Path | None = None) -> Carnet:
    """The connector of this settings file, running for as long as the block. As ``connector.client.starting.serving``."""
    return Carnet.opened_by(starting.serving(settings, log))


async def _awaited(work: Awaitable[Found]) -> Found:
    return await work

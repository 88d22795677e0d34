"""The Python client of a connector, with types: ``Carnet``. What it can do is in its three parts; here is whom it speaks to.

May import this package, settings and the guarded client's policy.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

from connector.client.delivering import Delivering
from connector.client.following import events
from connector.client.local import LocalClient
from connector.client.oversight import Oversight
from connector.client.processes import Event
from connector.client.results import Status, Who
from connector.client.trade import ProcessId, Trade, id_of
from connector.http.client import EgressPolicy
from connector.settings import Settings, load


class Carnet(Trade, Delivering, Oversight):
    """One connector; an async context manager. ``connector.client.sync.Carnet`` is the same for programs without a loop.

    Every call raises Refused with the connector's own code and what to do, or Away where nobody answers. ``documents`` is the
    same connector in plain JSON documents.
    """

    def __init__(self, url: str, *, key: str | None = None, ca_file: str | Path | None = None, allow: Iterable[str] = ()) -> None:
        """The management listener at ``url`` (scheme, host and port), with an API key or access token.

        ``ca_file``: certificates of further authorities. ``allow``: ``host:port`` of providers' data that are not on public https
        addresses. Raises Away for a key that would travel openly.
        """
        client = LocalClient(url=url, token=key, ca_file=None if ca_file is None else Path(ca_file))
        self._use(client, frozenset(allow))

    def _use(self, client: LocalClient, allow: frozenset[str]) -> None:
        self.documents = client
        self.egress = EgressPolicy(allow=allow)

    @classmethod
    def local(cls, settings: Settings | str | Path = "carnet.toml") -> Self:
        """The connector of these settings, or of this settings file, on its owner's channel. Raises SettingsError or Away."""
        chosen = settings if isinstance(settings, Settings) else load(Path(settings), os.environ)
        return cls.over(LocalClient.of(chosen), chosen.client.allow)

    @classmethod
    def over(cls, client: LocalClient, allow: Iterable[str] = ()) -> Self:
        """The same over a client that is there already, and is entered with this one."""
        made = cls.__new__(cls)
        made._use(client, frozenset(allow))
        return made

    async def __aenter__(self) -> Self:
        await self.documents.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.documents.__aexit__(kind, error, trace)

    async def status(self) -> Status:
        """Who the connector is, how many messages wait, whether its data plane is there."""
        return Status.of(await self.documents.status())

    async def whoami(self) -> Who:
        """Who we are to the connector: roles and scopes."""
        return Who.of(await self.documents.whoami())

    async def events(self, after: int | None = None, *, process: ProcessId = "") -> AsyncGenerator[Event, None]:
        """What happens in negotiations and transfers, or in one, as it happens, without end; ``after``: from which number on."""
        async with aclosing(events(self.documents, after, id_of(process))) as happenings:
            async for event in happenings:
                yield event

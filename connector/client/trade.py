"""The Python client, trade: what is on offer, negotiations, contracts, transfers as processes, and how one waits for them.

May import this package, and the reading and narrowing of policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from connector.client import deals
from connector.client.calls import safe
from connector.client.decisions import Waiting
from connector.client.following import Following
from connector.client.local import LocalClient, standing
from connector.client.processes import Happening, Process
from connector.client.refusals import Document, Waited
from connector.client.results import Agreement, Dataset, Offer, OurOffer, Published, Template

Found = TypeVar("Found")
WAIT_S: Final = 60.0
ProcessId = str | Process | Waiting
"""A negotiation or transfer, as it was seen or as it waits, or its id."""
AgreementId = str | Agreement
"""A contract, or its id."""


class Trade:
    """Offers, negotiations and contracts of one connector."""

    documents: LocalClient

    # -- offers -------------------------------------------------------------------------------------------------------

    async def publish(
        self,
        /,
        dataset: str,
        file: str | Path,
        *,
        title: str = "",
        offers: Iterable[Document | Offer] = (),
        table: Document | bool = False,
        dry_run: bool = False,
        once: str | None = None,
        **more: Any,
    ) -> Published:
        """Offer a file on these terms (none: free use). ``file``: its absolute path, where the connector runs.

        ``table``: the rows of it, shaped by the contract; True, or what is known of it (mapping, personal, sensitive, bases).
        With ``dry_run`` nothing is published: the answer says what would leave, and what is wrong. ``more``: media_type, open_to,
        record, template and answers, approval. Of several with the same ``once`` one is done.

        Raises Refused with all findings where the terms could not be kept.
        """
        more |= {"title": title, "offers": [document_of(each) for each in offers], "dry_run": dry_run, "once": once}
        if table is not False:
            more["table"] = {} if table is True else table
        return Published.of(await self.documents.publish(dataset, str(file), **more))

    async def withdraw(self, dataset: str) -> None:
        """Offer a dataset no more; contracts stay. Raises Refused."""
        await self.documents.withdraw(dataset)

    async def datasets(self) -> AsyncIterator[Dataset]:
        """What we offer, in the order of ids."""
        async for row in self.documents.each_named("/datasets", name="@id"):
            yield Dataset.of(row)

    async def offers(self, dataset: str = "") -> AsyncIterator[OurOffer]:
        """Our offers, or those of one dataset, in the order of datasets."""
        async for row in self.documents.each_linked("/offers" + (f"?dataset={safe(dataset)}" if dataset else "")):
            yield OurOffer.of(row)

    async def templates(self) -> list[Template]:
        """What a record and an offer can be made of with a few answers, and what each asks."""
        return [Template.of(each) for each in await self.documents.templates()]

    async def browse(self, participant: str, *, address: str | None = None) -> list[Dataset]:
        """What a participant offers us. Raises Refused where it does not answer, or as it says."""
        return [Dataset.of(each) for each in await self.documents.catalog(participant, address)]

    async def dataset(self, participant: str, dataset: str, *, address: str | None = None) -> Dataset:
        """One dataset of a participant."""
        return Dataset.of(await self.documents.dataset(participant, dataset, address))

    async def offered(self, participant: str, dataset: str) -> Offer:
        """The one offer of a participant's dataset that we see. Raises Declined where there is none, or a choice."""
        return Offer.of(await deals.offered(self.documents, participant, dataset))

    # -- negotiations -------------------------------------------------------------------------------------------------

    async def negotiate(
        self,
        participant: str,
        dataset: str,
        offer: Document | Offer,
        *,
        role: str = "consumer",
        address: str | None = None,
        once: str | None = None,
    ) -> Process:
        """Begin a negotiation on the terms of ``offer``, as it was seen or changed; as provider offer our own dataset.

        Of several with the same ``once`` one is begun, and all get its answer.
        """
        more = {"role": role, "address": address, "once": once}
        return Process.of(await self.documents.negotiate(participant, dataset, document_of(offer), **more))

    async def contract(
        self,
        participant: str,
        dataset: str,
        *,
        purpose: str | None = None,
        offer: Document | Offer | None = None,
        within_s: float = WAIT_S,
    ) -> Agreement:
        """A contract for a dataset on the terms of its only offer, narrowed to ``purpose`` (an IRI), or of ``offer``.

        Raises Declined with the provider's reason, or, code ``pending``, when the negotiation waits for a person of ours; Waited
        when it has not ended within ``within_s`` seconds.
        """
        terms = None if offer is None else document_of(offer)
        made = await deals.contract(self.documents, participant, dataset, purpose=purpose, offer=terms, within_s=within_s)
        return await self.agreement(made)

    async def negotiations(self, state: str | None = None) -> AsyncIterator[Process]:
        """Every negotiation, or those in this state, the oldest first."""
        async for row in self.documents.each("/negotiations", standing(state)):
            yield Process.of(row)

    async def transfers(self, state: str | None = None) -> AsyncIterator[Process]:
        """Every transfer, or those in this state, the oldest first."""
        async for row in self.documents.each("/transfers", standing(state)):
            yield Process.of(row)

    async def process(self, process: ProcessId) -> Process:
        """A negotiation or transfer as it is now."""
        return Process.of(await self.documents.process(id_of(process)))

    async def timeline(self, process: ProcessId) -> list[Happening]:
        """What happened in a negotiation or transfer, in order."""
        return [Happening.of(each) for each in await self.documents.timeline(id_of(process))]

    async def act(self, /, process: ProcessId, name: str, **content: Any) -> Process:
        """An act of the protocol: accept, agree, verify, finalize, start, resume, complete."""
        return Process.of(await self.documents.act(id_of(process), name, **content))

    async def suspend(self, process: ProcessId, *reasons: str, code: str | None = None) -> Process:
        """Pause a transfer: data stop at once, and the counterparty reads why."""
        return await self.act(process, "suspend", reason=list(reasons), code=code)

    async def terminate(self, process: ProcessId, *reasons: str, code: str | None = None) -> Process:
        """End a negotiation or transfer; the counterparty reads why."""
        return await self.act(process, "terminate", reason=list(reasons), code=code)

    # -- waiting ------------------------------------------------------------------------------------------------------

    async def wait(
        self,
        process: ProcessId,
        until: Callable[[Process], bool] = lambda now: now.settled,
        *,
        within_s: float = WAIT_S,
        seen: Callable[[Process], None] = lambda _: None,
    ) -> Process:
        """A negotiation or transfer once ``until`` holds: the connector answers when it has moved. ``seen`` gets each version.

        Raises Waited when that has not come within ``within_s`` seconds.
        """
        last = await self.documents.wait(
            id_of(process), lambda now: until(Process.of(now)), within_s, lambda now: seen(Process.of(now))
        )
        found = Process.of(last)
        if not until(found):
            raise Waited(f"the {found.kind} {found.id} is still {found.state} after {within_s:g} s")
        return found

    async def until(
        self, question: Callable[[], Awaitable[Found]], holds: Callable[[Found], bool], *, within_s: float = WAIT_S
    ) -> Found:
        """What ``question`` gives once ``holds`` is true of it. It is asked again when something has happened in the connector.

        Raises Waited when that has not come within ``within_s`` seconds, and what ``question`` raises.
        """
        try:
            async with asyncio.timeout(within_s), Following(self.documents) as following:
                while not holds(found := await question()):
                    await following.moved()
        except TimeoutError:
            raise Waited(f"what was waited for has not come within {within_s:g} s") from None
        return found

    # -- contracts ----------------------------------------------------------------------------------------------------

    async def agreements(self) -> AsyncIterator[Agreement]:
        """Every contract, in order of their making."""
        async for row in self.documents.each("/agreements"):
            yield Agreement.of(row)

    async def agreement(self, agreement: AgreementId) -> Agreement:
        """One contract with its exact terms."""
        return Agreement.of(await self.documents.agreement(id_of(agreement)))


def id_of(named: ProcessId | AgreementId) -> str:
    """The id of something that may be given as a whole."""
    return named if isinstance(named, str) else named.id


def document_of(given: Document | Offer) -> Document:
    """An ODRL offer as a document."""
    return given.document if isinstance(given, Offer) else given

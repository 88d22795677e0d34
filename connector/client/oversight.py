"""The Python client, oversight: participants and people, decisions, what terms mean, and what proves what happened.

May import this package.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from connector.client.calls import safe
from connector.client.decisions import Review, Waiting
from connector.client.local import LocalClient, standing
from connector.client.processes import Process
from connector.client.refusals import Document
from connector.client.results import Duty, Explanation, Letter, Meters, Offer, Peer, Receipt, Simulation, Statement
from connector.client.trade import AgreementId, ProcessId, document_of, id_of


class Oversight:
    """Who, what and why, at one connector."""

    documents: LocalClient

    # -- participants -------------------------------------------------------------------------------------------------

    async def peers(self, state: str | None = None) -> AsyncIterator[Peer]:
        """Every participant that is known, or those that stand at ``state``, in the order of ids."""
        async for row in self.documents.each_named("/peers", standing(state)):
            yield Peer.of(row)

    async def peer(self, participant: str) -> Peer:
        """One participant."""
        return Peer.of(await self.documents.peer(participant))

    async def hello(self, participant: str, *, within_s: float = 10.0) -> Document | None:
        """Greet a participant; what it says of itself, None if nothing came back in time."""
        return await self.documents.hello(participant, within_s)

    async def admit(self, participant: str, vouched_by: str, *, claims: Document | None = None, again: bool = False) -> Peer:
        """Vouch for a participant; ``claims``: what was verified (kind, sector, country, ...); ``again`` for an expelled one."""
        return Peer.of(await self.documents.admit_peer(participant, vouched_by, claims=claims, again=again))

    async def shut_out(self, participant: str, reason: str, *, for_good: bool = False) -> Peer:
        """Suspend a participant, or expel it: what is open with it ends, and it reads the reason."""
        shut_out = self.documents.expel_peer if for_good else self.documents.suspend_peer
        return Peer.of(await shut_out(participant, reason))

    # -- people -------------------------------------------------------------------------------------------------------

    async def consents(self, vehicle: str) -> Document:
        """What a vehicle agrees to (``held``), and every decision about it (``entries``)."""
        return await self.documents.vehicle_consents(vehicle)

    async def decide_consents(self, entries: Iterable[Document]) -> int:
        """Write grants and withdrawals, all or none; the number of the ledger."""
        return int((await self.documents.decide_consents(list(entries)))["number"])

    async def import_consents(self, file: str | Path) -> int:
        """Write a CSV or Parquet file of decisions that the connector can read, all or nothing; the number of the ledger."""
        return int((await self.documents.import_consents(str(file)))["number"])

    async def withdraw_consents(self, /, vehicle: str, **narrower: str) -> Document:
        """Withdraw what a vehicle agreed to; ``category``, ``purpose``, ``recipient`` narrow it. When this returns, nothing more
        leaves by what was withdrawn."""
        return await self.documents.withdraw_consents({"vehicle": vehicle, **narrower})

    async def own_consents(self) -> Document:
        """For a driver: what one's own vehicle agrees to (``held``), and every decision about it (``entries``)."""
        return await self.documents.own_consents()

    async def decide_own_consents(self, entries: Iterable[Document]) -> int:
        """For a driver: grants and withdrawals for one's own vehicle, all or none; the number of the ledger."""
        return int((await self.documents.decide_own_consents(list(entries)))["number"])

    async def enrol(self, enrolments: Iterable[Document]) -> Document:
        """Note a buyer's own references of vehicles, all or none."""
        return await self.documents.enrol(list(enrolments))

    async def request_share(self, /, vehicle: str, recipient: str, purpose: str, **more: Any) -> str:
        """Put on record that the user of a vehicle asks for its data to go to a participant; the id of the request."""
        return str((await self.documents.request_share(vehicle, recipient, purpose, **more))["id"])

    async def user_requests(self) -> list[Document]:
        """The newest requests of users, without their vehicles."""
        return await self.documents.user_requests()

    async def withdraw_request(self, request: str) -> Document:
        """End a request of a user; when this returns, nothing more leaves under it."""
        return await self.documents.withdraw_request(request)

    # -- decisions ----------------------------------------------------------------------------------------------------

    async def approvals(self) -> AsyncIterator[Waiting]:
        """What waits for people, the newest first: what, who is asked, until when, and whether we may decide it."""
        async for row in self.documents.each_linked("/approvals"):
            yield Waiting.of(row)

    async def review(self, process: ProcessId, *, language: str = "en") -> Review:
        """What somebody sees who decides: the redline, what the terms would release, what the linter finds, what they say."""
        return Review.of(await self.documents.review(id_of(process), language))

    async def approve(self, process: ProcessId, comment: str | None = None, *, version: int | None = None) -> Process:
        """Yes to what waits for a person; with ``version`` only if the process still is as it was seen.

        Raises Refused where the terms do not allow it, nothing waits, or somebody else has to decide.
        """
        return Process.of(await self.documents.decide(id_of(process), "approve", comment=comment, version=version))

    async def reject(self, process: ProcessId, reason: str, *, version: int | None = None) -> Process:
        """No to what waits for a person: the process ends, and the counterparty reads the reason."""
        return Process.of(await self.documents.decide(id_of(process), "reject", reason=reason, version=version))

    async def counter(
        self, process: ProcessId, offer: Document | Offer, comment: str | None = None, *, version: int | None = None
    ) -> Process:
        """Answer what waits for a person with other terms; who does so approves nothing that comes of it."""
        said = {"offer": document_of(offer), "comment": comment, "version": version}
        return Process.of(await self.documents.decide(id_of(process), "counter", **said))

    # -- terms --------------------------------------------------------------------------------------------------------

    async def explain(self, what: str | AgreementId, *, language: str = "en", redacted: bool = False) -> Explanation:
        """What an offer of ours, or a contract, says in sentences, and how its terms are kept."""
        return Explanation.of(await self.documents.explain(id_of(what), language=language, redacted=redacted))

    async def simulate(self, /, what: str, **case: Any) -> list[Simulation]:
        """What a participant would get of an offer, or of each offer of a dataset, that we published.

        ``case`` holds participant, claims, purpose (an IRI), at and agreed (ms since the epoch), language.
        """
        return [Simulation.of(each) for each in await self.documents.simulate(what, **case)]

    # -- evidence -----------------------------------------------------------------------------------------------------

    async def receipts(self, agreement: AgreementId = "") -> AsyncIterator[Receipt]:
        """Every receipt, or those of one contract, in order of their making."""
        async for row in self.documents.each("/receipts", f"&agreement={safe(id_of(agreement))}"):
            yield Receipt.of(row)

    async def statement(self, agreement: AgreementId, *, counterparty: str | None = None) -> Statement:
        """What is owed under a contract so far."""
        return Statement.of(await self.documents.statement(id_of(agreement), counterparty))

    async def meters(self, agreement: AgreementId, *, counterparty: str | None = None) -> Meters:
        """What a contract has used, as our data plane has counted it."""
        return Meters.of(await self.documents.meters(id_of(agreement), counterparty))

    async def duties(self, *, overdue: bool = False) -> AsyncIterator[Duty]:
        """What has to be erased, in order of its making; with ``overdue`` only what is late."""
        async for row in self.documents.each("/duties", "&overdue=1" if overdue else ""):
            yield Duty.of(row)

    async def happened(self, duty: str, counterparty: str, *, role: str = "consumer") -> Duty:
        """The event that a duty to delete waits for has happened."""
        return Duty.of(await self.documents.happened(duty, counterparty, role))

    async def evidence(self, agreement: AgreementId, file: str | Path, *, counterparty: str | None = None) -> int:
        """Write all evidence of a contract into a new zip file, to be verified offline; how many bytes it has.

        Raises FileExistsError; a file of which not all came is removed.
        """
        path = Path(file)
        opened = await asyncio.to_thread(path.open, "xb")
        try:
            with opened:
                return await self.documents.evidence(id_of(agreement), opened, counterparty)
        except BaseException:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            raise

    # -- letters ------------------------------------------------------------------------------------------------------

    async def letters(self) -> list[Letter]:
        """Messages that were given up."""
        return [Letter.of(each) for each in await self.documents.dead_letters()]

    async def retry(self, letter: str) -> None:
        """Send a message that was given up again."""
        await self.documents.retry(letter)

    async def give_up(self, letter: str) -> None:
        """Forget a message that was given up."""
        await self.documents.give_up(letter)

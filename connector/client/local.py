"""Client of a connector in its own JSON documents, on the owner's channel or, with a key, on the management listener.

The command line and the demo speak to running connectors through it and through nothing else; `connector.client.Carnet` puts
types on it. May import settings and this package; nothing of the connector's inside.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, Self, TypeVar

from connector.client.access import AccessCalls
from connector.client.calls import CALL_TIMEOUT_S, given, safe
from connector.client.offering import OfferCalls
from connector.client.persons import PUBLISH_TIMEOUT_S, PersonCalls
from connector.client.refusals import Away, Document, Refused
from connector.settings import Settings
from connector.settings.secret import read_token

__all__ = ["Away", "Document", "LocalClient", "Refused", "once"]
Result = TypeVar("Result")
WAIT_S: Final = 20
HELLO_LOOK_S: Final = 0.1


class LocalClient(PersonCalls, AccessCalls, OfferCalls):
    """One connector, as its owner talks to it; an async context manager.

    Every call raises Refused with the connector's own code, or Away when nobody answers in time.
    """

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The client for the connector of these settings. Reads the token file; raises Away if they name no channel."""
        local = settings.local
        if local.socket is not None:
            return cls(socket=str(local.socket))
        if not local.host or not local.port:
            raise Away("channel-none", "the settings name no local channel: set local.socket, or local.host and local.port")
        token = read_token(local.token_file, "local.token_file")
        return cls(url=f"http://{local.host}:{local.port}", token=token.reveal())

    # -- state, catalogue, peers --------------------------------------------------------------------------------------

    async def status(self) -> Document:
        """Who the connector is, how many messages wait, whether its data plane is there."""
        return dict(await self._call("GET", "/status"))

    async def publish(self, dataset: str, file: str, **more: Any) -> Document:
        """Offer a file; ``more`` holds title, offers, media_type, open_to; with ``table`` (what is known of it, or ``{}``) the
        rows of a file or folder, shaped by the contract; with ``dry_run`` nothing is published. Gives the dataset, what was found
        in its source, and its releases."""
        once = more.pop("once", None)
        said = {key: value for key, value in more.items() if value or (key == "table" and value is not None)}
        body = {"id": dataset, "file": file, **said}
        return dict(await self._call("POST", "/datasets", body, timeout_s=PUBLISH_TIMEOUT_S, once=once))

    async def withdraw(self, dataset: str) -> None:
        """Offer a dataset no more."""
        await self._call("DELETE", f"/datasets/{safe(dataset)}")

    async def datasets(self) -> list[Document]:
        """Everything that this connector offers."""
        return [row async for row in self.each_named("/datasets", name="@id")]

    async def catalog(self, counterparty: str, address: str | None = None) -> list[Document]:
        """Everything that a peer offers us."""
        return list(await self._call("POST", "/catalog", {"counterparty": counterparty, "address": address}))

    async def dataset(self, counterparty: str, dataset: str, address: str | None = None) -> Document:
        """One dataset of a peer."""
        body = {"counterparty": counterparty, "address": address, "dataset": dataset}
        return dict(await self._call("POST", "/catalog", body))

    async def hello(self, counterparty: str, timeout_s: float = 10.0) -> Document | None:
        """Greet a peer; what it says of itself after that, or None if it said nothing within ``timeout_s`` seconds.

        The answer is a message of its own that nothing announces, so the channel is asked ten times a second.
        """
        before = await self.capabilities(counterparty)
        await self._call("POST", f"/peers/{safe(counterparty)}/hello")
        try:
            async with asyncio.timeout(timeout_s):
                while (now := await self.capabilities(counterparty)) in (None, before):  # noqa: ASYNC110  # see above
                    await asyncio.sleep(HELLO_LOOK_S)
        except TimeoutError:
            return None
        return now

    async def capabilities(self, counterparty: str) -> Document | None:
        """What a peer last said of itself; None if it never did."""
        try:
            return dict(await self._call("GET", f"/peers/{safe(counterparty)}/capabilities"))
        except Refused as error:
            if error.code == "capabilities-unknown":
                return None
            raise

    # -- terms --------------------------------------------------------------------------------------------------------

    async def explain(self, what: str, *, language: str = "en", redacted: bool = False) -> Document:
        """What an offer that we published, or an agreement, says in sentences, and how its terms are kept."""
        return dict(await self._call("POST", "/explain", {"what": what, "language": language, "redacted": redacted}))

    async def simulate(self, what: str, **case: Any) -> list[Document]:
        """What a participant would get of an offer, or of each offer of a dataset, that we published.

        ``case`` holds participant, claims, purpose (an IRI), at and agreed (ms since the epoch), language.
        """
        return list(await self._call("POST", "/simulate", {"what": what, **given(case)}))

    # -- processes ----------------------------------------------------------------------------------------------------

    async def negotiate(self, counterparty: str, dataset: str, offer: Document, **more: Any) -> Document:
        """Begin a negotiation; ``more`` holds role and address. Of several with the same ``once`` one is begun."""
        once = more.pop("once", None)
        body = {"counterparty": counterparty, "dataset": dataset, "offer": offer, **given(more)}
        return dict(await self._call("POST", "/negotiations", body, once=once))

    async def transfer(self, agreement: str, **more: Any) -> Document:
        """Begin a transfer; ``more`` holds counterparty, sink, format, address. Of several with one ``once`` one is begun."""
        once = more.pop("once", None)
        return dict(await self._call("POST", "/transfers", {"agreement": agreement, **given(more)}, once=once))

    async def process(self, process_id: str, *, wait_s: int = 0, version: int = 0) -> Document:
        """A negotiation or transfer, once it has another version or ``wait_s`` seconds have passed."""
        query = f"?wait_s={wait_s}&version={version}" if wait_s else ""
        return dict(await self._call("GET", f"/processes/{safe(process_id)}{query}", timeout_s=CALL_TIMEOUT_S + wait_s))

    async def wait(
        self,
        process_id: str,
        until: Callable[[Document], bool],
        timeout_s: float,
        seen: Callable[[Document], None] = lambda _: None,
    ) -> Document:
        """The process when ``until`` holds, or as it is after ``timeout_s`` seconds. ``seen`` is called for each version."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        process = await self.process(process_id)
        seen(process)
        while not until(process):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            newer = await self.process(process_id, wait_s=min(WAIT_S, int(left) + 1), version=process["version"])
            if newer["version"] != process["version"]:
                seen(newer)
            process = newer
        return process

    async def processes(self, kind: str, state: str | None = None) -> list[Document]:
        """All processes of a kind (negotiation or transfer), the oldest first."""
        return [row async for row in self.each(f"/{kind}s", standing(state))]

    async def timeline(self, process_id: str) -> list[Document]:
        """What happened in a process, in order."""
        return list(await self._call("GET", f"/processes/{safe(process_id)}/timeline"))

    async def act(self, process_id: str, name: str, **content: Any) -> Document:
        """Approve, reject, accept, agree, verify, finalize, offer, start, suspend, resume, complete or terminate."""
        return dict(await self._call("POST", f"/processes/{safe(process_id)}/{safe(name)}", given(content)))

    async def approvals(self) -> list[Document]:
        """What waits for people, the newest first."""
        return [row async for row in self.each_linked("/approvals")]

    async def review(self, process_id: str, language: str = "en") -> Document:
        """What somebody sees who decides: redline, risk, explanation."""
        return dict(await self._call("GET", f"/approvals/{safe(process_id)}?language={safe(language)}"))

    async def decide(self, process_id: str, verdict: str, **said: Any) -> Document:
        """Say yes (``approve``), no (``reject``, with a reason), or answer with other terms (``counter``, with an offer)."""
        return dict(await self._call("POST", f"/approvals/{safe(process_id)}/{safe(verdict)}", given(said)))

    async def assertion(self, process_id: str, token: str) -> str:
        """For who renews by himself: what renews a token at its ``refreshEndpoint``; good once, for a minute."""
        return str((await self._call("POST", f"/transfers/{safe(process_id)}/assertion", {"token": token}))["assertion"])

    async def renewal(self, process_id: str, refused: str) -> Document:
        """The data address of a transfer with a token that is good, for who was refused with ``refused``."""
        return dict(await self._call("POST", f"/transfers/{safe(process_id)}/renewal", {"refused": refused}))

    async def data_address(self, process_id: str) -> Document:
        """Where and with which token a started transfer's data can be fetched."""
        return dict(await self._call("GET", f"/transfers/{safe(process_id)}/data-address"))

    async def progress(self, process_id: str) -> Document:
        """How far the data of a transfer to us are: ``bytes`` of ``total``, each None where it is not known, and whether the
        provider is still ``making`` the file."""
        return dict(await self._call("GET", f"/transfers/{safe(process_id)}/progress"))

    # -- agreements and letters ---------------------------------------------------------------------------------------

    async def agreements(self) -> list[Document]:
        """Every agreement, in order of their making."""
        return [row async for row in self.each("/agreements")]

    async def agreement(self, agreement_id: str) -> Document:
        """One agreement with its exact document."""
        return dict(await self._call("GET", f"/agreements/{safe(agreement_id)}"))

    async def signatures(self, agreement_id: str, counterparty: str | None = None) -> Document:
        """Who has signed an agreement, and the signed document."""
        whose = "" if counterparty is None else f"?counterparty={safe(counterparty)}"
        return dict(await self._call("GET", f"/agreements/{safe(agreement_id)}/signatures{whose}"))

    async def receipts(self, agreement: str = "") -> list[Document]:
        """Every receipt, or those of one agreement, in order of their making."""
        return [row async for row in self.each("/receipts", f"&agreement={safe(agreement)}")]

    async def statement(self, agreement_id: str, counterparty: str | None = None) -> Document:
        """What is owed under an agreement so far."""
        whose = "" if counterparty is None else f"?counterparty={safe(counterparty)}"
        return dict(await self._call("GET", f"/agreements/{safe(agreement_id)}/statement{whose}"))

    async def duties(self, *, overdue: bool = False) -> list[Document]:
        """What has to be erased, in order of its making; with ``overdue`` only what is late."""
        return [row async for row in self.each("/duties", "&overdue=1" if overdue else "")]

    async def happened(self, duty_id: str, counterparty: str, role: str = "consumer") -> Document:
        """The event that a duty to delete waits for has happened."""
        body = {"counterparty": counterparty, "role": role}
        return dict(await self._call("POST", f"/duties/{safe(duty_id)}/happened", body))

    async def dead_letters(self) -> list[Document]:
        """Messages that were given up."""
        return list(await self._call("GET", "/dead-letters"))

    async def retry(self, letter_id: str) -> None:
        """Send a dead letter again."""
        await self._call("POST", f"/dead-letters/{safe(letter_id)}/retry")

    async def give_up(self, letter_id: str) -> None:
        """Forget a dead letter."""
        await self._call("DELETE", f"/dead-letters/{safe(letter_id)}")

    # -- participants -------------------------------------------------------------------------------------------------

    async def peers(self, state: str | None = None) -> list[Document]:
        """Every participant of the registry, or those that stand at ``state``."""
        return [row async for row in self.each_named("/peers", standing(state))]

    async def peer(self, participant: str) -> Document:
        """One participant."""
        return dict(await self._call("GET", f"/peers/{safe(participant)}"))

    async def add_peer(self, participant: str, **more: Any) -> Document:
        """Write a participant down; ``more`` holds profile, claims, vouched_by."""
        return dict(await self._call("POST", "/peers", {"id": participant, **given(more)}))

    async def update_peer(self, participant: str, **more: Any) -> Document:
        """Change members of the profile, or replace the claims; ``more`` as for ``add_peer``."""
        return dict(await self._call("PATCH", f"/peers/{safe(participant)}", given(more)))

    async def admit_peer(self, participant: str, vouched_by: str, **more: Any) -> Document:
        """Vouch for a participant; ``more`` holds claims and again."""
        body = {"vouched_by": vouched_by, **given(more)}
        return dict(await self._call("POST", f"/peers/{safe(participant)}/admit", body))

    async def suspend_peer(self, participant: str, reason: str) -> Document:
        """Take nothing more of a participant, and end what is open with it."""
        return dict(await self._call("POST", f"/peers/{safe(participant)}/suspend", {"reason": reason}))

    async def expel_peer(self, participant: str, reason: str) -> Document:
        """As ``suspend_peer``, but it comes back by an explicit word only."""
        return dict(await self._call("POST", f"/peers/{safe(participant)}/expel", {"reason": reason}))

    async def accept_log(self, participant: str, reason: str) -> Document:
        """Accept the log of a participant as it is, although it contradicted itself."""
        return dict(await self._call("POST", f"/peers/{safe(participant)}/accept-log", {"reason": reason}))

    async def export_peers(self) -> list[Document]:
        """Every entry whole, for another connector or for safe keeping."""
        return list(await self._call("GET", "/peers-export"))

    async def import_peers(self, participants: list[Any], *, again: bool = False) -> list[Document]:
        """Make these entries what they say, all or none; gives those that are new or have changed."""
        body = {"participants": participants, "again": again}
        return list(await self._call("POST", "/peers-import", body, timeout_s=PUBLISH_TIMEOUT_S))

    async def reload_keys(self) -> None:
        """Have the connector read its key files again."""
        await self._call("POST", "/keys/reload")

    async def evidence(self, agreement_id: str, into: IO[bytes], counterparty: str | None = None) -> int:
        """Write the evidence of an agreement, a zip, into a file; how many bytes that were."""
        whose = "" if counterparty is None else f"?counterparty={safe(counterparty)}"
        size = 0
        async with self.streamed(f"/agreements/{safe(agreement_id)}/evidence{whose}", timeout_s=PUBLISH_TIMEOUT_S) as pieces:
            async for piece in pieces:
                size += await asyncio.to_thread(into.write, piece)
        return size


def standing(state: str | None) -> str:
    """The part of a query that narrows a list to what stands at ``state``."""
    return f"&state={safe(state)}" if state else ""


def once(settings: Settings | LocalClient, work: Callable[[LocalClient], Awaitable[Result]]) -> Result:
    """``work`` with a client, or that of the connector of these settings, for callers without a running loop.

    Ctrl-C cancels the work and raises KeyboardInterrupt.
    """

    chosen = settings if isinstance(settings, LocalClient) else LocalClient.of(settings)

    async def run() -> Result:
        with _interruptible():
            async with chosen as client:
                return await work(client)

    return asyncio.run(run())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Cancel the task of this block on Ctrl-C. What ``asyncio.run`` does about it wakes no loop that is about to sleep: the
    signal then waits for the next answer or deadline."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task, told = asyncio.get_running_loop(), asyncio.current_task(), False

    def interrupt() -> None:
        nonlocal told
        told = True
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    except asyncio.CancelledError:
        if told:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
